import { ask, bar, byId, figure, follow, keepInAddress, night, number, readCsv, show, table } from "./common.js";
import { COLOURS, draw } from "./plots.js";

const SECONDS = { "1h": 3600, "6h": 21600, "1d": 86400, "7d": 604800 };
const NAMES = { inputRowsPerSecond: "input", processedRowsPerSecond: "processed", raw: "raw", science: "science", topics: "topics", archived: "HBase" };
const AGAIN_MS = 60_000;
const form = byId("history-form"), plot = byId("history-plot"), trouble = byId("history-trouble");

function restore() {
  const query = new URLSearchParams(location.search);
  for (const name of ["what", "range"]) for (const input of form.elements[name]) if (input.value === query.get(name)) input.checked = true;
}

async function read() {
  try {
    const what = form.elements.what.value, range = form.elements.range.value;
    const rows = readCsv(await (await ask(what === "rates" ? "/data/history.csv" : "/data/stages.csv")).text());
    const times = rows.map((row) => row.timestamp);
    const columns = what === "rates" ? ["inputRowsPerSecond", "processedRowsPerSecond"] : ["raw", "science", "topics", "archived"];
    const traces = columns.map((column, at) => ({ x: times, y: rows.map((row) => Number(row[column])), name: NAMES[column], mode: "lines", line: { color: COLOURS[at], width: 1.8, shape: "hv" } }));
    const now = Date.now(), begin = range === "all" ? (times[0] ?? new Date(now - 3.6e6).toISOString()) : new Date(now - 1000 * SECONDS[range]).toISOString();
    await draw(plot, traces, {
      xaxis: { title: { text: "time (UTC)" }, type: "date", range: [begin, new Date(now).toISOString()], rangeslider: { thickness: 0.12 } },
      yaxis: { title: { text: "alerts per second" }, rangemode: "tozero" },
      annotations: rows.length ? [] : [{ text: "Nothing has come in yet.", showarrow: false, xref: "paper", yref: "paper", x: 0.5, y: 0.5, font: { size: 16 } }],
    });
    const top = Math.max(0, ...traces[0].y);
    plot.setAttribute("aria-label", rows.length ? `Alerts per second over time: ${NAMES[columns[0]]} reached ${figure(top)} at most` : "Alerts per second over time: nothing has come in yet");
    trouble.hidden = true;
  } catch (error) { trouble.textContent = error.message; trouble.hidden = false; }
}

async function readNights() {
  try {
    const rows = readCsv(await (await ask("/data/nights.csv")).text()).slice(0, 200), most = Math.max(1, ...rows.map((row) => Number(row.raw)));
    show(byId("night-table"), table("Alerts by observing night", [["night", ""], ["share", "wide"], ["raw", "number"], ["science", "number"], ["filtered", "number"], ["HBase", "number"]],
      rows.map((row) => [night(row.night), bar(Number(row.raw) / most), ...["raw", "science", "filtered", "archived"].map((name) => number(Number(row[name])))]), { empty: "No night yet." }));
  } catch (error) { trouble.textContent = error.message; trouble.hidden = false; }
}

form.addEventListener("change", () => { keepInAddress({ what: form.elements.what.value, range: form.elements.range.value }); read(); });
form.addEventListener("submit", (event) => event.preventDefault());
restore(); read(); readNights();
setInterval(() => { if (!document.hidden) { read(); readNights(); } }, AGAIN_MS);
follow(() => {});
