// All sagas: what needs a person, what is under way, and how things go.

const SHOWN = 50;
const OFTEN = 4000; // milliseconds, for lists
const SELDOM = 12000; // for statistics, which read more
const STATUSES = ["parked", "running", "compensating", "pending", "completed", "compensated", "abandoned"];

let statsAsked = 0;

// Sagas of a status, as the service orders them, and whether there are more of them.
async function sagasOf(status) {
  const { sagas, next_cursor } = await ask(`sagas?status=${status}&limit=${SHOWN}`);
  return [sagas, next_cursor !== null];
}

async function showAttention() {
  const [parked, more] = await sagasOf("parked");
  const shown = table(parked, [
    ["Saga", sagaButton],
    ["Type", (one) => one.saga_type],
    ["Entity", (one) => String(one.entity_id)],
    ["Parked", (one) => moment(one.parked.since)],
    ["Reason", (one) => one.parked.reason, "reason"],
    ["Not done", (one) => one.parked.not_done.join(", ")],
    ["Not undone", (one) => one.parked.not_undone.join(", ")],
  ], "Nothing is parked.");
  show("attention", element("div", {}, shown, thereAreMore(more)));
}

async function showGoing() {
  const found = await Promise.all(["running", "compensating", "pending"].map(sagasOf));
  const sagas = found.flatMap(([some]) => some);
  sagas.sort((one, other) => one.created_at.localeCompare(other.created_at));
  const shown = table(sagas.slice(0, SHOWN), [
    ["Saga", sagaButton],
    ["Type", (one) => one.saga_type],
    ["Entity", (one) => String(one.entity_id)],
    ["Status", (one) => badge(one.status)],
    ["Step", (one) => one.current_step],
    ["Started", (one) => moment(one.created_at)],
    ["Last event", (one) => moment(one.updated_at)],
    ["Error", (one) => one.error, "reason"],
  ], "Nothing is under way.");
  const more = sagas.length > SHOWN || found.some(([, one]) => one);
  show("going", element("div", {}, shown, thereAreMore(more)));
}

const thereAreMore = (more) =>
  (more ? element("p", { className: "quiet" }, "There are more.") : null);

const sagaButton = (saga) => {
  const made = element("button", { type: "button", className: "link" }, saga.saga_id);
  made.dataset.saga = saga.saga_id;
  made.addEventListener("click", () => { location.hash = `saga=${saga.saga_id}`; });
  return made;
};

async function showParticipants() {
  const { participants } = await ask("participants");
  const outcomes = (one) => Object.entries(one.outcomes)
    .map(([outcome, calls]) => `${outcome.replaceAll("_", " ")} ${calls.toLocaleString("en")}`);
  show("participants", table(participants, [
    ["Name", (one) => one.name],
    ["URL", (one) => one.url ?? "not known"],
    ["In flight", (one) => number(one.in_flight), "number"],
    ["Waiting", (one) => number(one.waiting), "number"],
    ["Answers", (one) => outcomes(one).join(", ") || "none yet"],
    ["Breaker", (one) => badge(one.breaker)],
  ], "None is known."));
}

async function showStats() {
  if (Date.now() - statsAsked < SELDOM) return;
  const stats = await ask("stats");
  statsAsked = Date.now();
  byId("totals").replaceChildren(...STATUSES.map((status) =>
    element("li", { className: status }, element("b", {}, number(stats.totals[status])), status)));
  show("types", table(stats.sagas, [
    ["Type", (one) => one.saga_type],
    ...STATUSES.map((status) => [status, (one) => number(one.counts[status]), "number"]),
    ["Failed", (one) => percent(one.lately && one.lately.failure_rate), "number"],
    ["Half within", (one) => one.lately && duration(one.lately.duration_seconds.p50), "number"],
    ["95 % within", (one) => one.lately && duration(one.lately.duration_seconds.p95), "number"],
  ], "There has been no saga yet."));
  const counts = ["succeeded", "rejected", "unknown", "not_sent", "backed_off", "compensated", "compensation_failed"];
  show("steps", table(stats.steps, [
    ["Type", (one) => one.saga_type],
    ["Step", (one) => one.step],
    ...counts.map((name) => [name.replaceAll("_", " "), (one) => number(one[name]), "number"]),
    ["Failed", (one) => percent(one.failure_rate), "number"],
  ], "Nothing has been called lately."));
}

async function showHealth() {
  const { status, checks } = await ask("health");
  const failed = Object.entries(checks).filter(([, one]) => one.status !== "pass");
  const why = failed.map(([name, one]) => `${name} (${one.detail})`).join(", ");
  byId("health").className = `badge ${status}`;
  const word = status === "warn" ? "Look at" : "Not well";
  byId("health").textContent = failed.length ? `${word}: ${why}` : "Healthy";
}

async function refresh() {
  const asked = [showHealth, showStats, showAttention, showGoing, showParticipants, refreshSaga];
  const results = await Promise.allSettled(asked.map((one) => one()));
  const failed = results.find((one) => one.status === "rejected");
  byId("trouble").hidden = !failed;
  byId("trouble").textContent = failed ? `Not everything here is fresh. ${failed.reason.message}` : "";
  if (!failed) byId("fresh").textContent = `as of ${new Date().toLocaleTimeString()}`;
}

// One round after the other, and none while nobody looks.
async function keepFresh() {
  if (!document.hidden) await refresh();
  setTimeout(keepFresh, OFTEN);
}

byId("find").addEventListener("submit", (event) => {
  event.preventDefault();
  location.hash = `saga=${byId("wanted").value.trim()}`;
});
keepFresh();
openFromHash();
