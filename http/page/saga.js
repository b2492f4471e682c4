// One saga: its steps, its audit trail, and what an operator can ask of it.

const TRAIL = 1000;
const GIVEN_WITH_A_REASON = ["abandon", "resolve"];
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
  byId("said").textContent = "";
  for (const id of ["saga-body", "saga-trail"]) byId(id).replaceChildren();
  if (!byId("saga").open) byId("saga").showModal();
  await refreshSaga().catch((error) => say(error.message));
}

async function refreshSaga() {
  const id = open;
  if (id === null) return;
  const saga = await ask(`sagas/${encodeURIComponent(id)}`);
  if (id !== open || saga.version === shownVersion) return;
  const trail = await ask(`sagas/${encodeURIComponent(id)}/events?limit=${TRAIL}`);
  if (id !== open) return;
  byId("saga-body").replaceChildren(facts(saga), element("h3", {}, "Steps"), steps(saga));
  byId("saga-trail").replaceChildren(element("h3", {}, "Audit trail"), trailOf(trail.events));
  offer(saga);
  shownVersion = saga.version;
}

function facts(saga) {
  const parked = saga.parked && [
    ["Parked", moment(saga.parked.since)],
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
    ["Started", moment(saga.created_at)],
    ["Deadline", saga.deadline],
  ];
  const shown = pairs.filter(([, value]) => value);
  return element("dl", {}, ...shown.flatMap(([name, value]) =>
    [element("dt", {}, name), element("dd", {}, value)]));
}

const steps = (saga) => element("div", { className: "wide" }, table(saga.steps, [
  ["Step", (one) => one.name],
  ["Status", (one) => badge(one.status)],
  ["Attempts", (one) => number(one.attempts), "number"],
  ["Next attempt", (one) => one.next_attempt_at && clock(one.next_attempt_at)],
  ["Last error", (one) => one.last_error, "reason"],
], "It has no steps."));

const trailOf = (events) => element("div", { className: "wide" }, table(events, [
  ["", (one) => number(one.version), "number"],
  ["At", (one) => clock(one.recorded_at)],
  ["Event", (one) => one.type],
  ["By", (one) => [one.actor, one.reason].filter(Boolean).join(": ")],
  ["Data", (one) => element("pre", {}, JSON.stringify(one.data)), "reason"],
], "Nothing is recorded."));

const clock = (text) =>
  element("time", { dateTime: text, title: text }, new Date(text).toLocaleString());

// What is legal now, as the service says; of a saga under way to cancel is to undo.
function offer(saga) {
  const legal = saga.allowed_actions.filter((one, _, all) => one !== "compensate" || !all.includes("cancel"));
  const buttons = [...byId("verbs").querySelectorAll("button")];
  for (const one of buttons) one.hidden = !legal.includes(one.value);
  byId("verbs").hidden = buttons.every((one) => one.hidden);
  byId("verdict").hidden = !saga.parked;
  if (saga.parked) offerVerdicts(saga);
}

function offerVerdicts({ parked, steps: all }) {
  const begun = new Set(all.filter((one) => one.status !== "pending").map((one) => one.name));
  const left = [...parked.not_done, ...parked.not_undone].filter((name) => begun.has(name));
  byId("step").replaceChildren(...left.map((name) => element("option", {}, name)));
  byId("outcome").value = parked.not_undone.length ? "undone" : "done";
  byId("verdict").hidden = !left.length;
}

function requestOf(verb, reason) {
  if (verb !== "resolve") return [verb, reason ? { reason } : {}];
  const step = encodeURIComponent(byId("step").value);
  return [`steps/${step}/resolve`, { outcome: byId("outcome").value, evidence: reason }];
}

async function act(verb) {
  const reason = byId("reason").value.trim();
  if (GIVEN_WITH_A_REASON.includes(verb) && !reason) {
    byId("reason").focus();
    return say(`Say why: it takes a reason to ${verb}.`);
  }
  if (verb !== "retry" && !confirm(`Really ${verb} saga ${open}?`)) return undefined;
  statsAsked = 0; // the counts will have changed
  const [path, body] = requestOf(verb, reason);
  const headers = { "Content-Type": "application/json" };
  const send = (said) =>
    ask(`sagas/${encodeURIComponent(open)}/${path}`, { method: "POST", headers, body: JSON.stringify(said) });
  const after = await send(body).catch((error) => {
    if (error.code !== "children-under-way") throw error;
    const cancel = confirm("It has child sagas under way. OK: cancel them too. Cancel: leave them to go on.");
    return send({ ...body, children: cancel ? "cancel" : "leave" });
  });
  byId("reason").value = "";
  say(`Done: it is ${after.status} now.`);
  return refreshSaga();
}

const say = (text) => { byId("said").textContent = text; };

byId("verbs").addEventListener("submit", (event) => {
  event.preventDefault();
  act(event.submitter.value).catch((error) => say(error.message));
});
// The Enter key would choose the first verb.
byId("reason").addEventListener("keydown", (event) => {
  if (event.key === "Enter") event.preventDefault();
});
byId("close").addEventListener("click", () => byId("saga").close());
byId("saga").addEventListener("close", () => {
  if (openId() !== null) history.pushState(null, "", location.pathname + location.search);
  open = null;
});
window.addEventListener("hashchange", openFromHash);
