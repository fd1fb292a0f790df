// The classic plot of input and processed rates, read again and again from a CSV file.
import { ask, byId, clock, figure, readCsv, svg } from "./common.js";

const FIRST_SECONDS = 2;
const WIDTH = 1200, HEIGHT = 220, LEFT = 62, RIGHT = 12, TOP = 12, BOTTOM = 44;
let timer = null, shown = "";

/** Read the address box: an address of this dashboard, or a sentence why it is none. */
function address() {
  let found;
  try { found = new URL(byId("rates-url").value.trim(), location.href); } catch { throw new Error("This is no address. Write for example /data/live_raw.csv."); }
  if (found.origin !== location.origin) throw new Error("Only files of this dashboard can be shown, for example /data/live_raw.csv.");
  return found.pathname + found.search;
}

function period() {
  const given = Number(byId("rates-seconds").value);
  return Number.isFinite(given) && given >= 1 ? Math.min(given, 3600) : FIRST_SECONDS;
}

async function read() {
  const trouble = byId("rates-trouble");
  try {
    const text = await (await ask(address())).text();
    const rows = readCsv(text).map((row) => ({ at: Date.parse(row.timestamp), input: Number(row.inputRowsPerSecond), processed: Number(row.processedRowsPerSecond) }));
    if (!text.startsWith("timestamp,")) throw new Error("This file has no columns timestamp, inputRowsPerSecond and processedRowsPerSecond.");
    draw(rows.filter((row) => [row.at, row.input, row.processed].every(Number.isFinite)).slice(-1800));
    trouble.hidden = true;
  } catch (error) {
    trouble.textContent = error.message; trouble.hidden = false;
  }
}

function again() {
  clearTimeout(timer);
  if (byId("rates-polling").checked) timer = setTimeout(async () => { if (!document.hidden) await read(); again(); }, 1000 * period());
}

/** Round up to 1, 2 or 5 times a power of ten. */
function nice(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-3)));
  return power * ([1, 2, 5].find((step) => step * power >= value) ?? 10);
}

function draw(rows) {
  const plot = byId("rates-plot"), key = JSON.stringify(rows.at(-1) ?? null) + rows.length + plot.clientWidth;
  if (key === shown) return;
  shown = key;
  const width = Math.max(320, plot.clientWidth || WIDTH);
  plot.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  if (!rows.length) {
    plot.setAttribute("aria-label", "Input and processed rates: no batch yet");
    plot.replaceChildren(svg("g", { class: "axis" }, svg("text", { x: width / 2, y: HEIGHT / 2, "text-anchor": "middle" }, "No batch yet.")));
    return;
  }
  const first = rows[0].at, last = Math.max(rows.at(-1).at, first + 1000), top = nice(Math.max(...rows.flatMap((row) => [row.input, row.processed]), 1e-3));
  const x = (at) => LEFT + (at - first) / (last - first) * (width - LEFT - RIGHT), y = (rate) => HEIGHT - BOTTOM - rate / top * (HEIGHT - TOP - BOTTOM);
  const line = (name) => rows.map((row) => `${x(row.at).toFixed(1)},${y(row[name]).toFixed(1)}`).join(" ");
  const axis = svg("g", { class: "axis" });
  for (const share of [0, 0.5, 1]) axis.append(svg("line", { x1: LEFT, x2: width - RIGHT, y1: y(share * top), y2: y(share * top) }), svg("text", { x: LEFT - 8, y: y(share * top) + 4, "text-anchor": "end" }, figure(share * top)));
  for (const share of width > 600 ? [0, 0.25, 0.5, 0.75, 1] : [0, 0.5, 1]) axis.append(svg("text", { x: x(first + share * (last - first)), y: HEIGHT - BOTTOM + 18, "text-anchor": share === 0 ? "start" : share === 1 ? "end" : "middle" }, clock((first + share * (last - first)) / 1000)));
  axis.append(svg("text", { x: (width + LEFT) / 2, y: HEIGHT - 6, "text-anchor": "middle" }, "time of the batch (UTC)"), svg("text", { transform: `translate(14 ${(HEIGHT - BOTTOM + TOP) / 2}) rotate(-90)`, "text-anchor": "middle" }, "alerts per second"));
  plot.replaceChildren(axis, svg("polyline", { class: "line-b", points: line("processed") }), svg("polyline", { class: "line-a", points: line("input") }));
  plot.setAttribute("aria-label", `Input and processed rates of ${rows.length} batches; the last one: ${figure(rows.at(-1).input)} alerts a second in, ${figure(rows.at(-1).processed)} processed`);
}

/** Begin to poll. */
export function startRates() {
  byId("rates-form").addEventListener("submit", (event) => event.preventDefault());
  for (const id of ["rates-polling", "rates-seconds", "rates-url"]) byId(id).addEventListener("change", () => { if (id === "rates-seconds") byId(id).value = String(period()); shown = ""; read(); again(); });
  addEventListener("resize", () => { shown = ""; });
  read(); again();
}
