/* What the search field offers by itself: what was searched before, keys, their values, classes. */
(function () {
  "use strict";

  const HISTORY = "fink-search-history";
  const MOST_REMEMBERED = 10;
  const MOST_OFFERED = 8; // of one sort
  const MOST_LISTED = 14;
  const KEYS = {
    class: "class of alerts", last: "number of latest alerts", radius: "radius of a cone", after: "from a time on, UTC",
    before: "up to a time, UTC", window: "length of a span of time, days", random: "objects drawn at random",
    seed: "draws the same objects again", sso: "Solar System object", trend: "rising or fading",
  };
  const VALUES = {
    last: ["1", "10", "100", "1000"], r: ["10", "60", "10m", "30m"], radius: ["10", "60", "10m", "30m"],
    random: ["1", "5", "10", "16"], window: ["1h", "3h", "1", "7", "30"], trend: ["rising", "fading"],
  };

  let classes = null;

  // ---- history ------------------------------------------------------------------------------------------------

  function remembered() {
    try {
      const kept = JSON.parse(localStorage.getItem(HISTORY) || "[]");
      return Array.isArray(kept) ? kept.filter((text) => typeof text === "string").slice(0, MOST_REMEMBERED) : [];
    } catch (error) {
      return [];
    }
  }

  function remember(text) {
    const wanted = text.trim();
    if (!wanted || wanted.length > 300) return;
    const others = remembered().filter((each) => each.toLowerCase() !== wanted.toLowerCase());
    keep([wanted, ...others].slice(0, MOST_REMEMBERED));
  }

  function keep(texts) {
    try {
      localStorage.setItem(HISTORY, JSON.stringify(texts));
    } catch (error) { /* a browser that keeps nothing: there is no history */ }
  }

  // ---- what is offered ------------------------------------------------------------------------------------------

  // asks for the names of all classes, and says when they have come
  async function loadClasses(haveCome) {
    if (classes) return;
    classes = [];
    try {
      const reply = await fetch("/api/v1/classes?output-format=json");
      const lists = await reply.json();
      const [own, ...others] = Object.values(lists.classnames || lists);
      classes = [...new Set([...own, "Unknown", "Anomaly", ...others.flat()])];
      haveCome();
    } catch (error) {
      classes = null; // the next keystroke tries again
    }
  }

  const quoted = (text) => (/[\s,'"]/.test(text) ? '"' + text + '"' : text);

  function day(ago) {
    return new Date(Date.now() - ago * 86400e3).toISOString().slice(0, 10);
  }

  function ofClass(text) {
    const found = /(^|[\s,])class\s*[=:]\s*(["“]?)([^"“”=]*)$/i.exec(text);
    if (!found) return null;
    const wanted = found[3].toLowerCase();
    const start = text.slice(0, text.length - found[3].length - found[2].length);
    const plain = (name) => name.toLowerCase().replace(/^\(\w+\) /, "");
    const hits = (classes || []).filter((name) => name.toLowerCase().includes(wanted));
    hits.sort((a, b) => !plain(a).startsWith(wanted) - !plain(b).startsWith(wanted));
    if (hits.length && hits[0].toLowerCase() === wanted.trim()) return [];
    return hits.slice(0, wanted ? MOST_OFFERED : hits.length).map((name) => ({ kind: "class", title: name, detail: "", fill: start + quoted(name) + " " }));
  }

  function ofValue(text) {
    const found = /(^|[\s,])(last|r|radius|random|window|trend|after|before)\s*[=:](\S*)$/i.exec(text);
    if (!found) return null;
    const key = found[2].toLowerCase();
    const values = VALUES[key] || [day(0), day(1), day(7), day(30)];
    const start = text.slice(0, text.length - found[3].length);
    return values
      .filter((value) => value.startsWith(found[3]) && value !== found[3])
      .map((value) => ({ kind: key, title: key + "=" + value, detail: "", fill: start + value + " " }));
  }

  function ofKey(text) {
    const found = /(^|[\s,])([a-z]{1,6})$/i.exec(text);
    if (!found) return [];
    const start = text.slice(0, text.length - found[2].length);
    return Object.keys(KEYS)
      .filter((key) => key.startsWith(found[2].toLowerCase()))
      .map((key) => ({ kind: "key", title: key + "=", detail: KEYS[key], fill: start + key + "=" }));
  }

  function ofHistory(text) {
    const wanted = text.trim().toLowerCase();
    const hits = remembered().filter((each) => each.toLowerCase() !== wanted && each.toLowerCase().startsWith(wanted));
    return hits.slice(0, wanted ? 3 : MOST_REMEMBERED).map((each) => ({ kind: "before", title: each, detail: "", again: each }));
  }

  // what to show below a text: of what the server answered to it, too
  function offers(text, answered) {
    const named = ofClass(text);
    if (named && named.length) return [...named, ...answered].slice(0, Math.max(MOST_LISTED, named.length));
    const values = named || ofValue(text) || ofKey(text);
    return [...answered, ...values, ...ofHistory(text)].slice(0, MOST_LISTED);
  }

  window.finkSearch = { loadClasses: loadClasses, offers: offers, remember: remember };
})();
