import { ask, bar, byId, bytes, dateAndClock, el, follow, keepInAddress, night, number, plural, show, table } from "./common.js";

const trouble = byId("rejected-trouble"), reason = byId("packets-reason"), day = byId("packets-day");
let offset = 0, seen = null;

const say = (error) => { trouble.textContent = error.message; trouble.hidden = false; };
const fill = (select, values, name) => {
  const chosen = select.value;
  select.replaceChildren(el("option", { value: "" }, "any"), ...values.map((value) => el("option", { value, selected: value === chosen }, name(value))));
};

async function readSummary() {
  const told = await (await ask("/api/rejected/summary.json")).json();
  byId("rejected-total").textContent = plural(told.total, "packet");
  const reasons = Object.entries(told.reasons), most = Math.max(1, ...reasons.map(([, count]) => count));
  show(byId("reasons"), table("Rejected packets by reason", [["reason", ""], ["share", "wide"], ["packets", "number"]], reasons.map(([name, count]) => [el("span", { class: "name" }, name), bar(count / most, "warn"), number(count)]), { empty: "No packet was ever rejected." }));
  const total = (entry) => Object.values(entry.reasons).reduce((sum, count) => sum + count, 0), busiest = Math.max(1, ...told.days.map(total));
  show(byId("days"), table("Rejected packets by day", [["day", ""], ["share", "wide"], ["packets", "number"], ["mostly", ""]], told.days.map((entry) => [night(entry.day), bar(total(entry) / busiest, "warn"), number(total(entry)), el("span", { class: "name quiet" }, Object.keys(entry.reasons)[0] ?? "")]), { empty: "No day." }));
  fill(reason, reasons.map(([name]) => name), (name) => name);
  fill(day, told.days.map((entry) => entry.day), night);
}

async function readPage() {
  const query = new URLSearchParams({ reason: reason.value, day: day.value, offset: String(offset) });
  const told = await (await ask(`/api/rejected/page.json?${query}`)).json();
  const rows = told.entries.map((entry) => {
    const place = `${entry.topic}/${entry.partition}/${entry.offset}`;
    const packet = new URLSearchParams({ topic: entry.topic, partition: entry.partition, offset: entry.offset });
    return [dateAndClock(entry.time), el("code", {}, place), el("span", { class: "name" }, entry.reason), bytes(entry.size), el("a", { href: `/api/rejected/packet?${packet}`, download: "", "aria-label": `Download packet ${place}` }, "download")];
  });
  show(byId("packets"), table("Rejected packets", [["came in (UTC)", ""], ["topic/partition/offset", ""], ["reason", ""], ["size", "number"], ["packet", ""]], rows, { empty: told.total ? "There are no older ones." : "No packet was rejected: every one of them became an alert." }));
  byId("packets-what").textContent = told.entries.length ? `${number(offset + 1)} to ${number(offset + told.entries.length)} of ${number(told.total)}, the newest first` : "";
  byId("packets-newer").disabled = offset === 0;
  byId("packets-older").disabled = offset + told.entries.length >= told.total;
  byId("packets-older").dataset.rows = told.rows;
}

async function read() {
  try { await readSummary(); await readPage(); trouble.hidden = true; } catch (error) { say(error); }
}
async function turn(to) {
  offset = Math.max(0, to);
  keepInAddress({ reason: reason.value, day: day.value, offset: offset || "" });
  try { await readPage(); trouble.hidden = true; } catch (error) { say(error); }
}

async function start() {
  const query = new URLSearchParams(location.search);
  offset = /^\d{1,9}$/.test(query.get("offset") ?? "") ? Number(query.get("offset")) : 0;
  try {
    await readSummary();
    for (const [select, name] of [[reason, "reason"], [day, "day"]]) {
      const value = query.get(name);
      if (value && ![...select.options].some((option) => option.value === value)) select.append(el("option", { value }, value));
      select.value = value ?? "";
    }
    await readPage();
  } catch (error) { say(error); }
}

byId("packets-form").addEventListener("submit", (event) => event.preventDefault());
byId("packets-form").addEventListener("change", () => turn(0));
byId("packets-newer").addEventListener("click", () => turn(offset - Number(byId("packets-older").dataset.rows)));
byId("packets-older").addEventListener("click", () => turn(offset + Number(byId("packets-older").dataset.rows)));
start();
follow((snapshot) => {
  const now = snapshot.stages.find((stage) => stage.name === "raw").totals.rejected ?? 0;
  if (seen !== null && now !== seen && offset === 0) read();
  seen = now;
});
