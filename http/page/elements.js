// What everything shown is made of. Data only ever becomes text: no markup is built from strings.

const byId = (id) => document.getElementById(id);

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children.filter((one) => one !== null && one !== undefined));
  return made;
}

const badge = (word) => element("span", { className: `badge ${word}` }, word.replaceAll("_", " "));

function moment(text) {
  if (!text) return null;
  const shown = `${duration((Date.now() - Date.parse(text)) / 1000)} ago`;
  return element("time", { dateTime: text, title: text }, shown);
}

function duration(seconds) {
  if (seconds < 1) return `${Math.round(Math.max(seconds, 0) * 1000)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const [, unit] = [[120, "s"], [7200, "min"], [172800, "h"], [Infinity, "d"]]
    .find(([limit]) => seconds < limit);
  const units = { s: 1, min: 60, h: 3600, d: 86400 };
  return `${Math.round(seconds / units[unit])} ${unit}`;
}

const percent = (rate) => (rate === null ? "–" : `${(rate * 100).toFixed(1)} %`);

const number = (value) => element("span", {}, value.toLocaleString("en"));

// A column is [title, cell of a row, class of its cells].
function table(rows, columns, nothing) {
  if (!rows.length) return element("p", { className: "quiet" }, nothing);
  const heads = columns.map(([title, , kind]) =>
    element("th", { scope: "col", className: kind || "" }, title));
  const lines = rows.map((row) => element("tr", {}, ...columns.map(([, cell, kind]) =>
    element("td", { className: kind || "" }, cell(row) ?? ""))));
  return element("table", {},
    element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...lines));
}

// Puts it there without taking the focus from whoever works with the keyboard, or the selection
// from whoever is about to copy something.
function show(id, content) {
  const focused = document.activeElement?.dataset?.saga;
  const place = byId(id);
  const selection = getSelection();
  if (!selection.isCollapsed && selection.containsNode(place, true)) return;
  const had = focused && place.contains(document.activeElement);
  place.replaceChildren(content);
  if (had) place.querySelector(`[data-saga="${CSS.escape(focused)}"]`)?.focus();
}

// A number with more digits than a browser computes with, shown as it came.
class LongNumber {
  constructor(digits) { this.digits = digits; }
  toString() { return this.digits; }
  toJSON() { return JSON.rawJSON(this.digits); }
}

const parse = (text) => JSON.parse(text, (_, value, context) =>
  typeof value === "number" && context?.source.length > 15 ? new LongNumber(context.source) : value);

// Answers of the service: problems become errors that say what it said.
async function ask(path, options) {
  const response = await fetch(path, { cache: "no-store", ...options });
  const answer = parse(await response.text());
  if (response.ok || path === "health") return answer;
  const allowed = answer.allowed_actions?.length ? ` Allowed: ${answer.allowed_actions.join(", ")}.` : "";
  throw Object.assign(new Error(`${answer.title}: ${answer.detail}.${allowed}`), { code: answer.code });
}
