// All sagas: parked ones, those in progress, statistics, participants and health.

const MAX_ROWS = 50;
const REFRESH_MS = 4000;
const STATISTICS_MS = 12000; // they read more than lists do
const STATUSES = ["parked", "running", "compensating", "pending", "completed", "compensated", "abandoned"];

let statisticsReadAt = 0;

// Sagas of a status, as the service orders them, and whether there are more of them.
async function sagasOf(status) {
  const { sagas, next_cursor } = await request(`sagas?status=${status}&limit=${MAX_ROWS}`);
  return [sagas, next_cursor !== null];
}

async function showAttention() {
  const [parked, more] = await sagasOf("parked");
  const shown = table(parked, [
    ["Saga", sagaButton],
    ["Type", (row) => row.saga_type],
    ["Entity", (row) => String(row.entity_id)],
    ["Parked", (saga) => timeAgo(saga.parked.since)],
    ["Reason", (saga) => saga.parked.reason, "reason"],
    ["Not done", (saga) => saga.parked.not_done.join(", ")],
    ["Not undone", (saga) => saga.parked.not_undone.join(", ")],
  ], "No saga is parked.");
  show("attention", element("div", {}, shown, thereAreMore(more)));
}

async function showActive() {
  const lists = await Promise.all(["running", "compensating", "pending"].map(sagasOf));
  const sagas = lists.flatMap(([page]) => page);
  sagas.sort((left, right) => left.created_at.localeCompare(right.created_at));
  const shown = table(sagas.slice(0, MAX_ROWS), [
    ["Saga", sagaButton],
    ["Type", (row) => row.saga_type],
    ["Entity", (row) => String(row.entity_id)],
    ["Status", (saga) => badge(saga.status)],
    ["Step", (saga) => saga.current_step],
    ["Started", (saga) => timeAgo(saga.created_at)],
    ["Last event", (saga) => timeAgo(saga.updated_at)],
    ["Error", (saga) => saga.error, "reason"],
  ], "No saga is in progress.");
  const more = sagas.length > MAX_ROWS || lists.some(([, hasMore]) => hasMore);
  show("active", element("div", {}, shown, thereAreMore(more)));
}

const thereAreMore = (more) =>
  (more ? element("p", { className: "quiet" }, "There are more.") : null);

const sagaButton = (saga) => {
  const button = element("button", { type: "button", className: "link" }, saga.saga_id);
  button.dataset.saga = saga.saga_id;
  button.addEventListener("click", () => { location.hash = `saga=${saga.saga_id}`; });
  return button;
};

async function showParticipants() {
  const { participants } = await request("participants");
  const outcomes = (participant) => Object.entries(participant.outcomes)
    .map(([outcome, calls]) => `${outcome.replaceAll("_", " ")} ${calls.toLocaleString("en")}`);
  show("participants", table(participants, [
    ["Name", (participant) => participant.name],
    ["URL", (participant) => participant.url ?? "not known"],
    ["In flight", (participant) => number(participant.in_flight), "number"],
    ["Waiting", (participant) => number(participant.waiting), "number"],
    ["Outcomes", (participant) => outcomes(participant).join(", ") || "none yet"],
    ["Circuit", (participant) => badge(participant.breaker)],
  ], "No participant is known."));
}

async function showStats() {
  if (Date.now() - statisticsReadAt < STATISTICS_MS) return;
  const stats = await request("stats");
  statisticsReadAt = Date.now();
  byId("totals").replaceChildren(...STATUSES.map((status) =>
    element("li", { className: status }, element("b", {}, number(stats.totals[status])), status)));
  show("types", table(stats.sagas, [
    ["Type", (row) => row.saga_type],
    ...STATUSES.map((status) => [status, (type) => number(type.counts[status]), "number"]),
    ["Failed", (type) => percent(type.lately && type.lately.failure_rate), "number"],
    ["Median", (type) => type.lately && duration(type.lately.duration_seconds.p50), "number"],
    ["95th percentile", (type) => type.lately && duration(type.lately.duration_seconds.p95), "number"],
  ], "No saga has been started yet."));
  const counts = ["succeeded", "rejected", "unknown", "not_sent", "backed_off", "compensated", "compensation_failed"];
  show("steps", table(stats.steps, [
    ["Type", (row) => row.saga_type],
    ["Step", (row) => row.step],
    ...counts.map((name) => [name.replaceAll("_", " "), (row) => number(row[name]), "number"]),
    ["Failed", (row) => percent(row.failure_rate), "number"],
  ], "No calls within 24 hours."));
}

async function showHealth() {
  const { status, checks } = await request("health");
  const failed = Object.entries(checks).filter(([, check]) => check.status !== "pass");
  const reasons = failed.map(([name, check]) => `${name} (${check.detail})`).join(", ");
  byId("health").className = `badge ${status}`;
  const word = status === "warn" ? "Warning" : "Unhealthy";
  byId("health").textContent = failed.length ? `${word}: ${reasons}` : "Healthy";
}

async function refresh() {
  const parts = [showHealth, showStats, showAttention, showActive, showParticipants, refreshSaga];
  const results = await Promise.allSettled(parts.map((part) => part()));
  const failed = results.find((result) => result.status === "rejected");
  byId("error").hidden = !failed;
  byId("error").textContent = failed ? `This page is not up to date. ${failed.reason.message}` : "";
  if (!failed) byId("updated").textContent = `as of ${new Date().toLocaleTimeString()}`;
}

// Refresh again and again, one refresh after the other, and only while the page is visible.
async function refreshRegularly() {
  if (!document.hidden) await refresh();
  setTimeout(refreshRegularly, REFRESH_MS);
}

byId("search").addEventListener("submit", (event) => {
  event.preventDefault();
  location.hash = `saga=${byId("saga-id").value.trim()}`;
});
refreshRegularly();
openFromHash();
