import { byId, byUrgency, dateAndClock, el, follow, gib, mark, show, span } from "./common.js";

const LEVEL = { up: "ok", starting: "warn", stopped: "empty", died: "bad", lost: "bad" };
const cards = new Map();

function cardOf(service) {
  const key = `${service.host} ${service.name}`;
  if (!cards.has(key)) {
    const head = el("div", { class: "service-head" }), doing = el("p", { class: "service-doing" }), facts = el("p", { class: "quiet service-doing" });
    const lines = el("pre", { tabindex: "0", "aria-label": `Last lines of the log of ${service.name} on ${service.host}` }), none = el("p", { class: "none" }, "The log is empty.");
    const details = el("details", {}, el("summary", {}, "Last lines of its log"), lines, none);
    // a service that died is opened once: that is what one came for
    details.open = service.state === "died";
    cards.set(key, { node: el("section", { class: "card service", "aria-label": `${service.name} on ${service.host}` }, head, doing, facts, details), head, doing, facts, lines, none });
  }
  return cards.get(key);
}

function render(service, now, manyHosts) {
  const card = cardOf(service), level = LEVEL[service.state];
  card.node.dataset.level = level;
  show(card.head, mark(level), el("h2", {}, service.name), el("span", { class: `pill ${level === "empty" ? "" : level}` }, service.state), manyHosts ? el("span", { class: "quiet" }, `on ${service.host}`) : null);
  card.doing.textContent = service.why || service.doing || "It has said nothing yet.";
  card.doing.classList.toggle("bad-text", Boolean(service.why));
  const facts = [];
  if (service.ended !== null) facts.push(`ended ${dateAndClock(service.ended)}, ${span(Math.max(0, now - service.ended))} ago`);
  else if (service.since !== null) facts.push(`since ${dateAndClock(service.since)} (${span(Math.max(0, now - service.since))})`);
  if (service.pid !== null) facts.push(`pid ${service.pid}`);
  if (service.cpu_percent !== null) facts.push(`${Math.round(service.cpu_percent)} % of a core`);
  if (service.memory_mib !== null) facts.push(gib(service.memory_mib / 1024));
  if (service.sample_age !== null) facts.push(`last sample ${span(service.sample_age)} ago`);
  card.facts.textContent = facts.join(" · ");
  const text = (service.log ?? []).join("\n");
  if (card.lines.textContent !== text) {
    const atEnd = card.lines.scrollTop + card.lines.clientHeight >= card.lines.scrollHeight - 8;
    card.lines.textContent = text;
    if (atEnd) card.lines.scrollTop = card.lines.scrollHeight;
  }
  card.lines.hidden = !text; card.none.hidden = Boolean(text);
  return card.node;
}

follow((snapshot) => {
  const hosts = new Set(snapshot.services.map((service) => service.host)).size, counts = {};
  for (const service of snapshot.services) counts[service.state] = (counts[service.state] ?? 0) + 1;
  show(byId("services-pills"), Object.entries(counts).map(([state, count]) => el("span", { class: `pill ${LEVEL[state] === "empty" ? "" : LEVEL[state]}` }, `${count} ${state}`)));
  const list = byId("service-list");
  if (!snapshot.services.length) return show(list, el("div", { class: "card start", style: "margin-top:16px" }, mark("empty"), el("h2", {}, "No service was ever started here"), el("p", { class: "quiet" }, "Start one, for example:"), el("pre", { tabindex: "0" }, "fink start stream2raw &")));
  const nodes = byUrgency(snapshot.services).map((service) => render(service, snapshot.taken, hosts > 1));
  if (nodes.length !== list.children.length || nodes.some((node, at) => node !== list.children[at])) list.replaceChildren(...nodes);
}, { logs: true });
