// What all pages share: elements, numbers, the stream of snapshots.

export const byId = (id) => document.getElementById(id);

/** Make an element; texts are always texts, never HTML. */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/** Make an SVG element. */
export function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null && value !== undefined) made.setAttribute(name, value);
  made.append(...children.flat().filter(Boolean));
  return made;
}

/** Show nodes in a place, and leave it alone if it shows the same: what is selected or focused stays. */
export function show(place, ...nodes) {
  const fresh = place.cloneNode(false);
  fresh.append(...nodes.flat().filter((node) => node !== null && node !== undefined && node !== false));
  if (fresh.isEqualNode(place)) return;
  place.replaceChildren(...fresh.childNodes);
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
export const number = (value) => whole.format(value);
export const plural = (count, word, many = `${word}s`) => `${number(count)} ${count === 1 ? word : many}`;

/** A rate or a time with three figures at most. */
export function figure(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size >= 100) return whole.format(value);
  return size >= 10 ? value.toFixed(1) : size === 0 ? "0" : value.toFixed(2);
}

export const seconds = (value) => {
  if (value === null || value === undefined) return "–";
  if (value >= 120) return span(value);
  return value < 0.1 && value > 0 ? `${(value * 1000).toFixed(0)} ms` : `${figure(value)} s`;
};

/** A time span in one unit: 12 s, 5 min, 3 h, 2 d. */
export function span(value) {
  for (const [unit, name] of [[86400, "d"], [3600, "h"], [60, "min"]]) if (value >= 2 * unit) return `${Math.round(value / unit)} ${name}`;
  return `${Math.round(value)} s`;
}

export const clock = (moment) => new Date(moment * 1000).toISOString().slice(11, 19);
export const dateAndClock = (moment) => new Date(moment * 1000).toISOString().replace("T", " ").slice(0, 19);
export const night = (name) => /^\d{8}$/.test(name) ? `${name.slice(0, 4)}-${name.slice(4, 6)}-${name.slice(6)}` : name;
export const gib = (value) => value >= 1024 ? `${(value / 1024).toFixed(1)} TiB` : `${figure(value)} GiB`;
export const bytes = (value) => value >= 1048576 ? `${(value / 1048576).toFixed(1)} MiB` : value >= 1024 ? `${(value / 1024).toFixed(1)} KiB` : `${value} B`;

/** A table: columns are [name, "number" or ""], rows are lists of texts or nodes. */
export function table(caption, columns, rows, { empty = "Nothing yet." } = {}) {
  if (!rows.length) return el("p", { class: "none" }, empty);
  const head = el("tr", {}, columns.map(([name, kind]) => el("th", { scope: "col", class: kind || null },
    kind === "wide" ? el("span", { class: "hidden" }, name) : name)));
  const body = rows.map((cells) => el("tr", {}, cells.map((cell, at) => at === 0
    ? el("th", { scope: "row" }, cell)
    : el("td", { class: columns[at][1] || null }, cell))));
  return el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": caption },
    el("table", {}, el("caption", { class: "hidden" }, caption), el("thead", {}, head), el("tbody", {}, body)));
}

/** A bar whose length is a share of the whole, with its number beside it. */
export function bar(share, kind = "") {
  const drawn = svg("svg", { class: `bar-of ${kind}`, viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: "bar-back", x: 0, y: 0, width: 100, height: 8, rx: 2 }),
    svg("rect", { class: "bar-front", x: 0, y: 0, width: Math.max(0, Math.min(100, 100 * share)).toFixed(1), height: 8, rx: 2 }));
  return drawn;
}

/** A small line of rates over the last ten minutes. */
export function sparkline(values, label) {
  const width = 120, height = 30, top = Math.max(...values, 1e-9);
  const points = values.map((value, at) => `${(at * width / Math.max(1, values.length - 1)).toFixed(1)},${(height - 2 - value / top * (height - 5)).toFixed(1)}`);
  return svg("svg", { class: "spark", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": label },
    svg("polygon", { class: "spark-area", points: `0,${height} ${points.join(" ")} ${width},${height}` }),
    svg("polyline", { class: "spark-line", points: points.join(" "), "vector-effect": "non-scaling-stroke" }));
}

/** The mark of a state: its colour is never all it says. */
export function mark(level) {
  const shape = {
    ok: svg("path", { d: "M7 12.5l3.4 3.4L17 9" }),
    warn: svg("path", { d: "M12 6.5v7M12 17.2v.1" }),
    bad: svg("path", { d: "M8 8l8 8M16 8l-8 8" }),
    empty: svg("path", { d: "M7.5 12h9" }),
  }[level];
  return svg("svg", { class: `mark ${level}`, viewBox: "0 0 24 24", "aria-hidden": "true" }, svg("circle", { cx: 12, cy: 12, r: 11 }), shape);
}

const URGENCY = ["died", "lost", "starting", "up", "stopped"];

/** Services, those in trouble first, else as they came. */
export const byUrgency = (services) => [...services].sort((one, other) => URGENCY.indexOf(one.state) - URGENCY.indexOf(other.state));

/** Ask for something; the promise fails with the sentence the server answers. */
export async function ask(address) {
  let answer;
  try {
    answer = await fetch(address, { headers: { Accept: "application/json, text/csv, text/plain" } });
  } catch {
    throw new Error("The dashboard does not answer.");
  }
  if (!answer.ok) throw new Error((await answer.text()).trim().slice(0, 500) || `The dashboard answers ${answer.status}.`);
  return answer;
}

/** Read a CSV text into one object a line; values are texts. */
export function readCsv(text) {
  const lines = text.trim().split(/\r?\n/).map((line) => (line.match(/("([^"]|"")*"|[^,]*)(,|$)/g) ?? [])
    .slice(0, -1 + (line.endsWith(",") ? 1 : 0) || undefined)
    .map((cell) => cell.replace(/,$/, "").replace(/^"(.*)"$/s, "$1").replaceAll('""', '"')));
  const [names, ...rows] = lines;
  return rows.map((cells) => Object.fromEntries(names.map((name, at) => [name, cells[at] ?? ""])));
}

/** Put what a page shows into its address, without a new entry in the history. */
export function keepInAddress(values) {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(values)) value === "" || value === null ? query.delete(name) : query.set(name, value);
  history.replaceState(null, "", query.size ? `?${query}` : location.pathname);
}

const SILENCE_MS = 25_000;
const RETRY_MS = 3_000;
const OLD_SECONDS = 15;

/** Follow the snapshots: the one in the page first, then each that comes; says so when none come any more. */
export function follow(render, { logs = false } = {}) {
  let taken = null, source = null, heard = Date.now(), retry = null, lostSince = null;
  const state = byId("link-state"), text = byId("link-text"), lost = byId("lost");

  const take = (snapshot) => {
    taken = snapshot.taken;
    byId("foot-version").textContent = `Fink broker ${snapshot.version}, ${snapshot.survey}`;
    render(snapshot);
  };
  const alive = (label) => {
    heard = Date.now(); lostSince = null;
    state.dataset.state = "live"; text.textContent = label;
    lost.hidden = true; document.body.classList.remove("is-lost");
  };
  const stuck = (age) => {
    heard = Date.now();
    state.dataset.state = "lost"; text.textContent = `old ${clock(taken)}`;
    lost.textContent = `The dashboard answers, but has seen nothing since ${clock(taken)}, ${span(age)} ago: a disk or the storage may be away. What you see is from then.`;
    lost.hidden = false; document.body.classList.add("is-lost");
  };
  const gone = () => {
    lostSince ??= heard;
    state.dataset.state = "lost"; text.textContent = "no connection";
    lost.textContent = `The dashboard has not answered since ${clock(lostSince / 1000)}. What you see is from then. Trying again…`;
    lost.hidden = false; document.body.classList.add("is-lost");
  };
  const connect = () => {
    clearTimeout(retry);
    source?.close();
    source = new EventSource(logs ? "/events?logs" : "/events");
    source.addEventListener("snapshot", (event) => { const found = JSON.parse(event.data); alive(`live ${clock(found.taken)}`); take(found); });
    source.addEventListener("beat", (event) => {
      const { age } = JSON.parse(event.data);
      if (age > OLD_SECONDS && taken !== null) stuck(age); else alive(text.textContent.startsWith("live") ? text.textContent : "live");
    });
    source.onerror = () => { gone(); source.close(); retry = setTimeout(connect, RETRY_MS); };
  };
  setInterval(() => { if (Date.now() - heard > SILENCE_MS) { gone(); heard = Date.now(); connect(); } }, 5_000);
  addEventListener("pagehide", () => { clearTimeout(retry); source?.close(); });
  addEventListener("pageshow", (event) => { if (event.persisted) connect(); });
  take(JSON.parse(byId("first").textContent));
  connect();
}
