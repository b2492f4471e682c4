// One saga: its steps, its audit trail, and the operator commands that are allowed.

const MAX_EVENTS = 1000;
const NEED_A_REASON = ["abandon", "resolve"];
let open = null; // the id of the saga that is shown
let shownVersion = null;

const openId = () => new URLSearchParams(location.hash.slice(1)).get("saga");

async function openFromHash() {
  open = openId();
  shownVersion = null;
  if (open === null) {
    byId("saga").close();
    return;
  }
  byId("saga-title").textContent = open;
  byId("message").textContent = "";
  for (const id of ["saga-body", "saga-trail"]) byId(id).replaceChildren();
  if (!byId("saga").open) byId("saga").showModal();
  await refreshSaga().catch((error) => showMessage(error.message));
}

async function refreshSaga() {
  const id = open;
  if (id === null) return;
  const saga = await request(`sagas/${encodeURIComponent(id)}`);
  if (id !== open || saga.version === shownVersion) return;
  const page = await request(`sagas/${encodeURIComponent(id)}/events?limit=${MAX_EVENTS}`);
  if (id !== open) return;
  byId("saga-body").replaceChildren(facts(saga), element("h3", {}, "Steps"), steps(saga));
  byId("saga-trail").replaceChildren(element("h3", {}, "Audit trail"), auditTrail(page.events));
  showCommands(saga);
  shownVersion = saga.version;
}

function facts(saga) {
  const parked = saga.parked && [
    ["Parked", timeAgo(saga.parked.since)],
    ["Reason", saga.parked.reason],
    ["Not done", saga.parked.not_done.join(", ") || "–"],
    ["Not undone", saga.parked.not_undone.join(", ") || "–"],
  ];
  const pairs = [
    ["Status", element("span", {}, badge(saga.status), saga.paused ? " paused" : "")],
    ["Type", `${saga.saga_type}, version ${saga.definition_version}`],
    ["Entity", String(saga.entity_id)],
    ["Error", saga.error],
    ...(parked || []),
    ["Started", timeAgo(saga.created_at)],
    ["Deadline", saga.deadline],
  ];
  const present = pairs.filter(([, value]) => value);
  return element("dl", {}, ...present.flatMap(([name, value]) =>
    [element("dt", {}, name), element("dd", {}, value)]));
}

const steps = (saga) => element("div", { className: "wide" }, table(saga.steps, [
  ["Step", (step) => step.name],
  ["Status", (step) => badge(step.status)],
  ["Attempts", (step) => number(step.attempts), "number"],
  ["Next attempt", (step) => step.next_attempt_at && clock(step.next_attempt_at)],
  ["Last error", (step) => step.last_error, "reason"],
], "The saga has no steps."));

const auditTrail = (events) => element("div", { className: "wide" }, table(events, [
  ["", (event) => number(event.version), "number"],
  ["At", (event) => clock(event.recorded_at)],
  ["Event", (event) => event.type],
  ["By", (event) => [event.actor, event.reason].filter(Boolean).join(": ")],
  ["Data", (event) => element("pre", {}, JSON.stringify(event.data)), "reason"],
], "No event is recorded."));

const clock = (text) =>
  element("time", { dateTime: text, title: text }, new Date(text).toLocaleString());

// Show the commands that are allowed now. Cancelling a saga in progress compensates it, so only one of
// the two is shown.
function showCommands(saga) {
  const allowed = saga.allowed_actions.filter((verb, _, all) => verb !== "compensate" || !all.includes("cancel"));
  const buttons = [...byId("commands").querySelectorAll("button")];
  for (const button of buttons) button.hidden = !allowed.includes(button.value);
  byId("commands").hidden = buttons.every((button) => button.hidden);
  byId("resolve").hidden = !saga.parked;
  if (saga.parked) showResolve(saga);
}

function showResolve({ parked, steps: all }) {
  const begun = new Set(all.filter((step) => step.status !== "pending").map((step) => step.name));
  const unresolved = [...parked.not_done, ...parked.not_undone].filter((name) => begun.has(name));
  byId("step").replaceChildren(...unresolved.map((name) => element("option", {}, name)));
  byId("outcome").value = parked.not_undone.length ? "undone" : "done";
  byId("resolve").hidden = !unresolved.length;
}

function requestOf(verb, reason) {
  if (verb !== "resolve") return [verb, reason ? { reason } : {}];
  const step = encodeURIComponent(byId("step").value);
  return [`steps/${step}/resolve`, { outcome: byId("outcome").value, evidence: reason }];
}

async function execute(verb) {
  const reason = byId("reason").value.trim();
  if (NEED_A_REASON.includes(verb) && !reason) {
    byId("reason").focus();
    return showMessage(`Give a reason: it is required to ${verb}.`);
  }
  if (verb !== "retry" && !confirm(`${verb} saga ${open}?`)) return undefined;
  statisticsReadAt = 0; // the counts change
  const [path, body] = requestOf(verb, reason);
  const headers = { "Content-Type": "application/json" };
  const send = (content) =>
    request(`sagas/${encodeURIComponent(open)}/${path}`, { method: "POST", headers, body: JSON.stringify(content) });
  const status = await send(body).catch((error) => {
    if (error.code !== "children-under-way") throw error;
    const cancel = confirm("The saga has child sagas in progress. OK: cancel them too. Cancel: let them continue.");
    return send({ ...body, children: cancel ? "cancel" : "leave" });
  });
  byId("reason").value = "";
  showMessage(`Done: the saga is ${status.status} now.`);
  return refreshSaga();
}

const showMessage = (text) => { byId("message").textContent = text; };

byId("commands").addEventListener("submit", (event) => {
  event.preventDefault();
  execute(event.submitter.value).catch((error) => showMessage(error.message));
});
// The Enter key would choose the first command.
byId("reason").addEventListener("keydown", (event) => {
  if (event.key === "Enter") event.preventDefault();
});
byId("close").addEventListener("click", () => byId("saga").close());
byId("saga").addEventListener("close", () => {
  if (openId() !== null) history.pushState(null, "", location.pathname + location.search);
  open = null;
});
window.addEventListener("hashchange", openFromHash);
