import { ask, bar, byId, el, follow, keepInAddress, number, readCsv, show, table } from "./common.js";
import { counted, fillNights } from "./nights.js";
import { COLOURS, draw } from "./plots.js";

const MOST_SHOWN = 24;
const form = byId("types-form"), plot = byId("types-plot"), trouble = byId("types-trouble"), select = byId("types-night");
let nights = [];

const annotation = { text: "No alert with a SIMBAD type in this night.", showarrow: false, xref: "paper", yref: "paper", x: 0.5, y: 0.5, font: { size: 15 } };

function traceOf(kind, names, counts) {
  if (kind === "polar") return [{ type: "barpolar", theta: names, r: counts, marker: { color: COLOURS[0], line: { color: "#fff", width: 1 } }, hovertemplate: "%{theta}: %{r}<extra></extra>" }];
  // a funnel draws its first value on top: the smallest first makes a pyramid
  if (kind === "pyramid") return [{ type: "funnel", y: [...names].reverse(), x: [...counts].reverse(), marker: { color: COLOURS[0] }, textinfo: "value", textfont: { color: "#fff" }, connector: { visible: false }, hovertemplate: "%{y}: %{x}<extra></extra>" }];
  return [{ type: "bar", x: names, y: counts, width: names.length < 6 ? 0.4 : null, marker: { color: COLOURS[0] }, hovertemplate: "%{x}: %{y}<extra></extra>" }];
}

function layoutOf(kind, hasRows) {
  const axes = { bar: { xaxis: { title: { text: "SIMBAD type" }, tickangle: -40, automargin: true }, yaxis: { title: { text: "alerts" }, rangemode: "tozero" } },
    pyramid: { xaxis: { title: { text: "alerts" }, showticklabels: false }, yaxis: { title: { text: "SIMBAD type" }, automargin: true } },
    polar: { margin: { l: 70, r: 70, t: 30, b: 30 }, polar: { bgcolor: "rgba(0,0,0,0)", radialaxis: { title: { text: "alerts" }, angle: 90 }, angularaxis: { direction: "clockwise" } } } }[kind];
  const empty = { xaxis: { visible: false }, yaxis: { visible: false }, annotations: [annotation] };
  return { hovermode: "closest", showlegend: false, ...(hasRows ? axes : empty) };
}

async function read() {
  try {
    const chosen = select.value, kind = form.elements.kind.value;
    const text = await (await ask(`/data/simbadtype.csv${chosen ? `?night=${encodeURIComponent(chosen)}` : ""}`)).text();
    const all = readCsv(text).map((row) => ({ name: row.type, count: Number(row.count) })), total = all.reduce((sum, each) => sum + each.count, 0);
    const wanted = all.filter((each) => byId("types-unknown").checked || each.name !== "Unknown").slice(0, MOST_SHOWN);
    await draw(plot, wanted.length ? traceOf(kind, wanted.map((each) => each.name), wanted.map((each) => each.count)) : [], layoutOf(kind, wanted.length > 0));
    plot.setAttribute("aria-label", wanted.length ? `Alerts by SIMBAD type: ${wanted.slice(0, 3).map((each) => `${each.name} ${each.count}`).join(", ")}${wanted.length > 3 ? ` and ${wanted.length - 3} more types` : ""}` : annotation.text);
    const most = Math.max(1, ...all.map((each) => each.count));
    show(byId("types-table"), table("Alerts by SIMBAD type", [["type", ""], ["share", "wide"], ["alerts", "number"]], all.map((each) => [el("span", { class: "name" }, each.name), bar(each.count / most), number(each.count)]), { empty: "No alert yet." }));
    byId("types-total").textContent = counted(total, chosen || nights[0]);
    byId("types-csv").href = `/data/simbadtype.csv${chosen ? `?night=${encodeURIComponent(chosen)}` : ""}`;
    trouble.hidden = true;
  } catch (error) { trouble.textContent = error.message; trouble.hidden = false; }
}

async function start() {
  const query = new URLSearchParams(location.search);
  for (const input of form.elements.kind) if (input.value === query.get("kind")) input.checked = true;
  byId("types-unknown").checked = query.get("unknown") === "1";
  try { nights = (await (await ask("/api/nights.json")).json()).nights; } catch (error) { trouble.textContent = error.message; trouble.hidden = false; }
  fillNights(select, nights, query.get("night") ?? "");
  await read();
}

form.addEventListener("change", () => { keepInAddress({ night: select.value === nights[0] ? "" : select.value, kind: form.elements.kind.value, unknown: byId("types-unknown").checked ? "1" : "" }); read(); });
form.addEventListener("submit", (event) => event.preventDefault());
start();
follow(() => {});
