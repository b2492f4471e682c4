// The elements of the page. Data is inserted as text only: no markup is built from strings.

const byId = (id) => document.getElementById(id);

function element(name, properties, ...children) {
  const created = Object.assign(document.createElement(name), properties);
  created.append(...children.filter((child) => child !== null && child !== undefined));
  return created;
}

const badge = (word) => element("span", { className: `badge ${word}` }, word.replaceAll("_", " "));

function timeAgo(text) {
  if (!text) return null;
  const age = `${duration((Date.now() - Date.parse(text)) / 1000)} ago`;
  return element("time", { dateTime: text, title: text }, age);
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
function table(rows, columns, emptyText) {
  if (!rows.length) return element("p", { className: "quiet" }, emptyText);
  const heads = columns.map(([title, , kind]) =>
    element("th", { scope: "col", className: kind || "" }, title));
  const lines = rows.map((row) => element("tr", {}, ...columns.map(([, cell, kind]) =>
    element("td", { className: kind || "" }, cell(row) ?? ""))));
  return element("table", {},
    element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...lines));
}

// Replace the content of an element. The focus of the keyboard is kept, and so is a selection in it,
// which the operator may be about to copy.
function show(id, content) {
  const focused = document.activeElement?.dataset?.saga;
  const target = byId(id);
  const selection = getSelection();
  if (!selection.isCollapsed && selection.containsNode(target, true)) return;
  const hadFocus = focused && target.contains(document.activeElement);
  target.replaceChildren(content);
  if (hadFocus) target.querySelector(`[data-saga="${CSS.escape(focused)}"]`)?.focus();
}

// A number with more digits than a browser computes with, shown with all of them.
class LongNumber {
  constructor(digits) { this.digits = digits; }
  toString() { return this.digits; }
  toJSON() { return JSON.rawJSON(this.digits); }
}

const parse = (text) => JSON.parse(text, (_, value, context) =>
  typeof value === "number" && context?.source.length > 15 ? new LongNumber(context.source) : value);

// Send a request and return the JSON of the response. A problem becomes an error with its text.
async function request(path, options) {
  const response = await fetch(path, { cache: "no-store", ...options });
  const body = parse(await response.text());
  if (response.ok || path === "health") return body;
  const allowed = body.allowed_actions?.length ? ` Allowed: ${body.allowed_actions.join(", ")}.` : "";
  throw Object.assign(new Error(`${body.title}: ${body.detail}.${allowed}`), { code: body.code });
}
