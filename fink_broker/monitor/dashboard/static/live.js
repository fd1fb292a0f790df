import { bar, byId, byUrgency, clock, dateAndClock, el, figure, follow, gib, mark, night, number, plural, seconds, show, span, sparkline, svg, table } from "./common.js";
import { startRates } from "./rates.js";

const TITLES = { raw: "Raw", science: "Science", topics: "Topics", archived: "HBase" };
const ASIDE = { rejected: "rejected", duplicate: "duplicate", cut: "cut", failed: "refused", removed: "removed" };
const LATE_SECONDS = 120;
const DAY = 86400;

const stageOf = (snapshot, name) => snapshot.stages.find((stage) => stage.name === name);
const fresh = (snapshot, stage) => stage.difference_last !== null && snapshot.taken - stage.difference_last < DAY;
// of those of this name, on any host, the one that runs
const serviceOf = (snapshot, name) => {
  const found = snapshot.services.filter((service) => service.name === name);
  return found.find((service) => service.state === "up") ?? found.find((service) => service.state === "starting") ?? found[0];
};
const isDown = (service) => service && (service.state === "died" || service.state === "lost");
const LEVEL_OF = { up: "ok", starting: "warn", stopped: "", died: "bad", lost: "bad" };

let saidLevel = null;

function renderStatus(snapshot) {
  const { level, headline, notes } = snapshot.status;
  byId("status").dataset.level = level;
  show(byId("status-mark"), mark(level));
  byId("headline").textContent = headline;
  document.title = `${{ ok: "✓", warn: "!", bad: "✗", empty: "–" }[level]} Live : Fink dashboard`;
  const up = snapshot.services.filter((service) => service.state === "up").length;
  const reading = snapshot.read < snapshot.to_read;
  byId("under").textContent = reading
    ? `Reading the past: ${number(snapshot.read)} of ${number(snapshot.to_read)} batches.`
    : `${plural(up, "service")} up, ${plural(snapshot.stages.reduce((sum, stage) => sum + stage.batches, 0), "batch", "batches")} looked at.`;
  show(byId("notes"), notes.slice(0, 6).map(([kind, text]) => el("li", {}, mark(kind), el("span", {}, text))),
    notes.length > 6 ? el("li", { class: "quiet" }, `and ${number(notes.length - 6)} more.`) : null);
  if (saidLevel !== null && saidLevel !== level) byId("said").textContent = `${{ ok: "All is well again.", warn: "Look at this:", bad: "Trouble:", empty: "" }[level]} ${notes[0]?.[1] ?? headline}`;
  saidLevel = level;
}

function node(title, level, rate, unit, more, spark, pill) {
  return el("div", { class: "flow-node", "data-level": level },
    el("div", { class: "flow-name" }, el("span", {}, title), pill ?? ""),
    el("div", { class: "flow-rate" }, rate, el("small", {}, unit)),
    el("div", { class: "flow-more" }, more), spark ?? "");
}

function stageNode(snapshot, name) {
  const stage = stageOf(snapshot, name), service = serviceOf(snapshot, stage.service);
  const wrong = fresh(snapshot, stage), down = isDown(service);
  const pill = down ? el("span", { class: "pill bad" }, service.state) : wrong ? el("span", { class: "pill bad" }, "does not close")
    : stage.difference_count ? el("span", { class: "pill warn" }, `${number(stage.difference_count)} known`) : stage.batches ? el("span", { class: "pill ok" }, "closes") : el("span", { class: "pill" }, "nothing yet");
  const out = stage.totals.out ?? 0;
  const verb = { raw: "kept", science: "classified", topics: "filtered", archived: "stored" }[name];
  return node(TITLES[name], wrong || down ? "bad" : "", figure(stage.rate_in_60), " alerts/s", `${number(out)} ${verb}`,
    sparkline(stage.spark_in, `${TITLES[name]}: alerts a second in the last ten minutes, at most ${figure(Math.max(...stage.spark_in, 0))}`), pill);
}

function link(level, on, text) {
  return el("div", { class: "flow-link", "data-level": level }, el("span", {}, text),
    svg("svg", { viewBox: "0 0 80 18", preserveAspectRatio: "none", "aria-hidden": "true" },
      svg("path", { class: on ? "on" : "", d: "M2 9h74M70 3l7 6-7 6", "vector-effect": "non-scaling-stroke" })), el("span", {}, ""));
}

function waitingLink(snapshot, later) {
  const waiting = snapshot.waiting.filter((each) => later.includes(each.later) && each.alerts);
  const on = later.some((name) => stageOf(snapshot, name).rate_in_60 > 0);
  const broken = later.some((name) => fresh(snapshot, stageOf(snapshot, name)));
  if (!waiting.length) return link(broken ? "bad" : "", on, broken ? "does not close" : "nothing waits");
  const most = waiting.reduce((one, other) => (other.alerts > one.alerts ? other : one));
  const age = snapshot.taken - most.oldest;
  return link(broken ? "bad" : "warn", on, `${number(most.alerts)} ${age > LATE_SECONDS ? "waiting" : "in flight"}, ${span(age)}`);
}

function renderFlow(snapshot) {
  const { lag } = snapshot, raw = stageOf(snapshot, "raw");
  const lagText = lag.state === "known" ? number(lag.total) : "?";
  const kafka = node("Kafka", lag.state === "unknown" ? "warn" : "", lagText, lag.state === "known" ? " waiting" : " unknown",
    lag.state === "known" ? (lag.text || plural(lag.count, "partition")) : lag.state === "asking" ? "asking…" : "Kafka does not answer");
  const hasArchive = stageOf(snapshot, "archived").batches > 0 || serviceOf(snapshot, "archive");
  show(byId("flow"), kafka,
    link(fresh(snapshot, raw) ? "bad" : "", raw.rate_in_60 > 0, `${number(raw.totals.in ?? 0)} in`),
    stageNode(snapshot, "raw"), waitingLink(snapshot, ["science"]), stageNode(snapshot, "science"),
    waitingLink(snapshot, ["topics", "archived"]),
    el("div", { class: "flow-ends" }, stageNode(snapshot, "topics"), hasArchive ? stageNode(snapshot, "archived")
      : node("HBase", "", "–", "", "the service archive never ran")));
}

function renderStart(snapshot) {
  const never = snapshot.stages.every((stage) => stage.batches === 0) && !snapshot.to_read;
  show(byId("start"), never && !snapshot.services.length ? el("div", { class: "card start", style: "margin-top:16px" }, mark("empty"),
    el("h2", {}, "Nothing has run here yet"), el("p", { class: "quiet" }, "Start the whole broker over stored alerts, or the services one by one:"),
    el("pre", { tabindex: "0" }, "fink demo\n\nfink start stream2raw &\nfink start raw2science &\nfink start distribution &")) : null);
}

function renderStages(snapshot) {
  const rows = snapshot.stages.map((stage) => {
    const aside = Object.entries(ASIDE).filter(([way]) => stage.totals[way]).map(([way, word]) => `${number(stage.totals[way])} ${word}`).join(", ");
    const closes = stage.difference_count === 0 ? el("span", { class: "ok-text" }, stage.batches ? "✓ yes" : "–")
      : el("span", { class: fresh(snapshot, stage) ? "bad-text" : "warn-text" }, `✗ ${plural(stage.difference_count, "difference")}`);
    return [TITLES[stage.name], number(stage.totals.in ?? 0), number(stage.totals.out ?? 0), aside || "–",
      `${figure(stage.rate_in_10)} / ${figure(stage.rate_in_60)}`, `${figure(stage.rate_out_10)} / ${figure(stage.rate_out_60)}`,
      `${seconds(stage.batch_p50)} / ${seconds(stage.batch_last)}`, stage.age === null ? "–" : span(stage.age), closes];
  });
  const sentences = snapshot.stages.flatMap((stage) => stage.differences.slice(-3).map((text) => el("p", { class: fresh(snapshot, stage) ? "bad-text name" : "warn-text name" }, text)));
  show(byId("stages"), table("Stages", [["stage", ""], ["in", "number"], ["out", "number"], ["set aside", ""], ["in/s 10 s / 60 s", "number"], ["out/s 10 s / 60 s", "number"], ["batch p50 / last", "number"], ["last batch", "number"], ["closes", ""]], rows), ...sentences);
}

function renderServices(snapshot) {
  const hosts = new Set(snapshot.services.map((service) => service.host)).size;
  const rows = byUrgency(snapshot.services).map((service) => [hosts > 1 ? `${service.name} on ${service.host}` : service.name,
    el("span", { class: `pill ${LEVEL_OF[service.state]}` }, service.state),
    service.cpu_percent === null ? "–" : `${Math.round(service.cpu_percent)} %`, service.memory_mib === null ? "–" : gib(service.memory_mib / 1024)]);
  show(byId("services"), table("Services", [["service", ""], ["state", ""], ["cpu", "number"], ["memory", "number"]], rows, { empty: "No service was ever started here." }));
}

function histogram(bins, label) {
  const width = 480, height = 92, foot = 18, top = Math.max(...bins.map(([, count]) => count), 1), step = width / bins.length;
  const bars = bins.map(([edge, count], at) => svg("rect", { x: (at * step + 1).toFixed(1), y: (height - foot - count / top * (height - foot - 4)).toFixed(1), width: Math.max(1, step - 2).toFixed(1), height: (count / top * (height - foot - 4)).toFixed(1), rx: 1 }));
  return svg("svg", { class: "hist", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label }, ...bars,
    svg("line", { x1: 0, x2: width, y1: height - foot, y2: height - foot }),
    svg("text", { x: 0, y: height - 4 }, `≤ ${seconds(bins[0][0])}`), svg("text", { x: width, y: height - 4, "text-anchor": "end" }, `≤ ${seconds(bins.at(-1)[0])}`));
}

const STEPS = { raw: "Raw, since Kafka, at most", science: "Science, since raw", topics: "Topics, since science", archived: "HBase, since science" };
const timed = (name, view) => [name, seconds(view.p50), seconds(view.p95), seconds(view.p99), seconds(view.longest), number(view.messages)];
const TIMED = (first) => [[first, ""], ["p50", "number"], ["p95", "number"], ["p99", "number"], ["longest", "number"], ["alerts", "number"]];

function stepTable(snapshot) {
  const recent = snapshot.stages.some((stage) => stage.step_recent.messages);
  const rows = snapshot.stages.map((stage) => [stage, recent ? stage.step_recent : stage.step_total]).filter(([, view]) => view.messages)
    .map(([stage, view]) => timed(STEPS[stage.name], view));
  return rows.length ? [el("h3", {}, `By stage, ${recent ? "last 10 min" : "all"}`), table("Latency by stage", TIMED("from commit to commit"), rows)] : [];
}

function renderLatency(snapshot) {
  const rows = ["topics", "archived"].map((name) => stageOf(snapshot, name)).flatMap((stage) => [["last 10 min", stage.latency_recent], ["all", stage.latency_total]]
    .filter(([, view]) => view.messages).map(([when, view]) => timed(`${TITLES[stage.name]}, ${when}`, view)));
  byId("latency-what").textContent = "from Kafka in to Kafka out, and to HBase";
  const topics = stageOf(snapshot, "topics"), view = topics.latency_recent.messages ? topics.latency_recent : topics.latency_total;
  show(byId("latency"), table("Latency", TIMED("from Kafka to"), rows, { empty: "No alert has left for a topic yet." }),
    view.histogram.length > 1 ? histogram(view.histogram, `How many alerts took how long to topics: ${view.messages} alerts, most in the bin up to ${seconds(view.histogram.reduce((one, other) => (other[1] > one[1] ? other : one))[0])}`) : null, ...stepTable(snapshot));
}

function renderLag(snapshot) {
  const { lag } = snapshot;
  byId("lag-asked").textContent = lag.asked === null ? "" : `asked at ${clock(lag.asked)}`;
  if (lag.state !== "known") return show(byId("lag"), el("p", { class: lag.state === "unknown" ? "box" : "none" }, lag.state === "unknown" ? lag.text : "Kafka is being asked…"));
  const most = Math.max(...lag.partitions.map((each) => each.waiting), 1);
  const sorted = [...lag.partitions].sort((one, other) => other.waiting - one.waiting || one.topic.localeCompare(other.topic) || one.partition - other.partition);
  const rows = sorted.slice(0, 12).map((each) => [el("span", { class: "name" }, `${each.topic} [${each.partition}]`), bar(each.waiting / most, each.waiting ? "warn" : ""), number(each.waiting)]);
  show(byId("lag"), table("Messages waiting by partition", [["partition", ""], ["share", "wide"], ["waiting", "number"]], rows, { empty: lag.text }),
    lag.count > rows.length ? el("p", { class: "quiet" }, `and ${plural(lag.count - rows.length, "more partition")} with fewer; ${number(lag.total)} in all.`) : null);
}

function renderTopics(snapshot) {
  const most = Math.max(...snapshot.topics.map((topic) => topic.messages), 1);
  const rows = snapshot.topics.slice(0, 25).map((topic) => [el("span", { class: "name" }, topic.name), bar(topic.messages / most), number(topic.messages), number(topic.last_hour), figure(topic.rate_60)]);
  show(byId("topics"), table("Topics", [["topic", ""], ["share", "wide"], ["all", "number"], ["last hour", "number"], ["per s", "number"]], rows, { empty: "No message was sent yet." }));
}

function renderAside(snapshot) {
  const reasons = Object.entries(snapshot.reasons).map(([reason, count]) => [el("span", { class: "name" }, reason), "rejected", number(count), number(snapshot.reasons_hour[reason] ?? 0)]);
  const cuts = Object.entries(snapshot.cuts).map(([cut, count]) => [el("span", { class: "name" }, cut), "cut", number(count), "–"]);
  const raw = stageOf(snapshot, "raw");
  const repeats = raw.totals.duplicate ? [["seen before", "duplicate", number(raw.totals.duplicate), "–"]] : [];
  show(byId("aside"), table("Alerts set aside", [["why", ""], ["what became of it", ""], ["all", "number"], ["last hour", "number"]], [...reasons, ...cuts, ...repeats], { empty: "No alert was set aside." }));
}

const perAlert = (micros) => micros >= 1000 ? `${figure(micros / 1000)} ms` : `${figure(micros)} µs`;

function renderFilters(snapshot) {
  const time = (each) => each.us_recent ?? (each.seen ? each.ms * 1000 / each.seen : 0);
  const sorted = [...snapshot.filters].sort((one, other) => time(other) - time(one)), most = Math.max(...sorted.map(time), 1e-9);
  const rows = sorted.slice(0, 25).map((each) => [el("span", { class: "name" }, each.name), bar(time(each) / most), perAlert(time(each)), number(each.passed),
    each.failed ? el("span", { class: "warn-text", title: each.error || null }, number(each.failed)) : "0"]);
  show(byId("filters"), table("Filters", [["filter", ""], ["share", "wide"], ["per alert", "number"], ["passed", "number"], ["failed", "number"]], rows, { empty: "No filter has run yet." }));
}

function renderModules(snapshot) {
  const done = stageOf(snapshot, "science").totals.out || 1;
  const time = (each) => each.us_recent ?? each.ms * 1000 / done;
  const sorted = [...snapshot.modules].sort((one, other) => time(other) - time(one) || other.failed - one.failed), most = Math.max(...sorted.map(time), 1e-9);
  const rows = sorted.slice(0, 25).map((each) => [el("span", { class: "name" }, each.name), bar(time(each) / most), each.ms ? perAlert(time(each)) : "–",
    each.failed ? el("span", { class: each.failed_last_hour ? "warn-text" : "" }, number(each.failed)) : "0", number(each.skipped)]);
  show(byId("modules"), table("Science modules", [["module", ""], ["share", "wide"], ["per alert", "number"], ["failed", "number"], ["skipped", "number"]], rows, { empty: "No module has run yet." }));
}

function renderMachine(snapshot) {
  const { machine, disks } = snapshot;
  byId("machine-host").textContent = `${machine.host}, ${plural(machine.cores, "core")}`;
  const meter = (name, share, text, level = "") => [name, bar(share, level), text];
  const load = machine.load[0] / Math.max(1, machine.cores), memory = machine.memory_used_gib / Math.max(0.001, machine.memory_total_gib);
  const rows = [meter("Processor", machine.cpu_percent / 100, `${Math.round(machine.cpu_percent)} %`),
    meter("Load, 1 min", load, machine.load.map((each) => each.toFixed(1)).join("  "), load > 2 ? "warn" : ""),
    meter("Memory", memory, `${gib(machine.memory_used_gib)} of ${gib(machine.memory_total_gib)}`, memory > 0.92 ? "warn" : ""),
    ...disks.map((disk) => meter(el("span", { class: "name" }, `Disk of ${disk.path}${disk.host === machine.host ? "" : ` on ${disk.host}`}`), 1 - disk.free_gib / disk.total_gib, `${gib(disk.free_gib)} free of ${gib(disk.total_gib)}`, disk.level))];
  show(byId("machine"), table("Machine", [["what", ""], ["share used", "wide"], ["used", "number"]], rows));
}

function renderNights(snapshot) {
  const rows = snapshot.nights.slice(0, 10).map((each) => [night(each.night), number(each.raw), number(each.science), number(each.filtered), number(each.archived)]);
  show(byId("nights"), table("Alerts by observing night", [["night", ""], ["raw", "number"], ["science", "number"], ["filtered", "number"], ["HBase", "number"]], rows, { empty: "No night yet." }));
}

follow((snapshot) => {
  for (const render of [renderStatus, renderFlow, renderStart, renderStages, renderServices, renderLatency, renderLag, renderTopics, renderAside, renderFilters, renderModules, renderMachine, renderNights]) render(snapshot);
  byId("headline").title = `Looked at ${dateAndClock(snapshot.taken)} UTC`;
});
startRates();
