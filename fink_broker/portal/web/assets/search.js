/* The search field: suggestions as somebody types, and keys. All text is set as text, never as markup. */
(function () {
  "use strict";

  const PAUSE = 150; // ms after a keystroke before the server is asked
  const NAME_PAUSE = 900; // ms before others are asked for a name
  const state = { answer: null, options: [], active: -1, soon: 0, later: 0, isOpen: false,
    isUnderWay: false, from: "", typed: null };

  const byId = (id) => document.getElementById(id);
  const field = () => byId("search-text");
  const own = () => window.finkSearch; // its file may come after this one
  const props = (id, given) => window.dash_clientside.set_props(id, given);

  // ---- the panel ------------------------------------------------------------------------------------------------

  function element(name, className, text) {
    const made = document.createElement(name);
    made.className = className;
    if (text) made.textContent = text;
    return made;
  }

  const NAMES = { before: "searched before", key: "add" };

  function draw() {
    const input = field(), list = byId("search-options");
    if (!input || !list) return;
    const text = input.value;
    state.options = own().offers(text, state.answer && state.answer.text === text.trim() ? state.answer.offers : []);
    state.active = Math.min(state.active, state.options.length - 1);
    const scrolled = list.scrollTop;
    list.replaceChildren(...state.options.map((each, number) => {
      const option = element("div", "search-option" + (number === state.active ? " search-option-active" : ""));
      option.id = "search-option-" + number;
      option.setAttribute("role", "option");
      option.setAttribute("aria-selected", String(number === state.active));
      option.dataset.number = number;
      const words = element("div", "search-option-words");
      words.append(element("span", "search-option-title", each.title));
      if (each.detail) words.append(element("span", "search-option-detail", each.detail));
      option.append(words, element("span", "search-option-kind", NAMES[each.kind] || each.kind));
      return option;
    }));
    list.scrollTop = scrolled;
    const note = noteOf(text);
    byId("search-note").textContent = note;
    byId("search-panel").classList.toggle("search-panel-open", state.isOpen && (state.options.length > 0 || note !== ""));
    const isShown = byId("search-panel").classList.contains("search-panel-open");
    input.setAttribute("aria-expanded", String(isShown && state.options.length > 0));
    if (isShown && state.active >= 0) input.setAttribute("aria-activedescendant", "search-option-" + state.active);
    else input.removeAttribute("aria-activedescendant");
    byId("search-clear").classList.toggle("search-clear-away", text === "");
  }

  function noteOf(text) {
    const answer = state.answer;
    if (!text.trim() || !answer || answer.text !== text.trim()) return "";
    if (state.options.some((each) => each.fill)) return ""; // the text is not finished
    if (answer.note) return answer.note;
    return answer.waits ? "Looking for this name at the TNS, SIMBAD and SsODNet …" : "";
  }

  function say(text) {
    const place = byId("search-said");
    if (place) place.textContent = text;
  }

  function guide(isOpen) {
    const button = byId("search-help"), panel = byId("search-guide");
    if (!button || !panel) return;
    panel.classList.toggle("search-guide-open", isOpen);
    button.setAttribute("aria-expanded", String(isOpen));
    if (isOpen && state.isOpen) close();
  }

  const hasGuide = () => byId("search-guide") && byId("search-guide").classList.contains("search-guide-open");

  function open() {
    guide(false);
    state.isOpen = true;
    draw();
  }

  function close() {
    state.isOpen = false;
    state.active = -1;
    state.typed = null;
    draw();
  }

  // ---- asking the server ------------------------------------------------------------------------------------------

  function ask() {
    clearTimeout(state.soon);
    clearTimeout(state.later);
    const text = field().value.trim();
    if (/\bclass\s*[=:]/i.test(text)) own().loadClasses(() => { if (state.isOpen) draw(); });
    if (!text || (state.answer && state.answer.text === text && !state.answer.waits)) return;
    // by then the page may be another one, without a field
    state.soon = setTimeout(() => { if (field()) props("search-asked", { data: { text: text, names: false } }); }, PAUSE);
  }

  function show(answer) {
    const input = field();
    if (answer && input && answer.text === input.value.trim()) {
      state.answer = answer;
      clearTimeout(state.later);
      if (answer.waits) {
        const again = { data: { text: answer.text, names: true } };
        state.later = setTimeout(() => { if (field() && field().value.trim() === answer.text) props("search-asked", again); }, NAME_PAUSE);
      }
      if (state.isOpen) {
        draw();
        const count = state.options.length;
        say(count ? count + (count === 1 ? " suggestion: " : " suggestions, first: ") + state.options[0].title : noteOf(input.value));
      }
    }
    return window.dash_clientside.no_update;
  }

  // ---- acting ---------------------------------------------------------------------------------------------------

  const setValue = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set;

  // as if it had been typed, so that the field of the page hears of it, too
  function write(text) {
    const input = field();
    input.focus();
    setValue.call(input, text);
    input.dispatchEvent(new Event("input", { bubbles: true }));
    input.setSelectionRange(text.length, text.length);
  }

  function submit(text) {
    if (!text.trim()) {
      field().focus();
      return;
    }
    own().remember(text);
    leave();
    begin();
    props("search-submitted", { data: { text: text.trim(), at: Date.now() } });
  }

  // nothing more is offered for what was typed
  function leave() {
    clearTimeout(state.soon);
    clearTimeout(state.later);
    close();
  }

  function begin() {
    state.isUnderWay = true;
    state.from = window.location.href;
    byId("search").classList.add("search-busy");
    say("Searching");
  }

  function end() {
    const search = byId("search");
    if (search) search.classList.remove("search-busy");
    say("");
  }

  // the search leads somewhere, which may be where visitors are already
  function went() {
    end();
    if (state.isUnderWay && window.location.href === state.from) found();
    return window.dash_clientside.no_update;
  }

  function found() {
    state.isUnderWay = false;
    toFound(60, true);
  }

  // a page with a field has come
  function arrived() {
    end();
    if (state.isUnderWay && !document.querySelector(".home-forward")) found(); // that page only leads on
    if (state.isOpen) resume(60);
    return window.dash_clientside.no_update;
  }

  // Screen readers go on with what was found: the heading of the results, or the title of what is said instead. The
  // page may still be being drawn, and what has the focus may be replaced: for some frames this looks again.
  function toFound(frames, isFirst) {
    if (state.isOpen || frames === 0) return; // somebody types again
    const heading = document.querySelector(".home-results h2, .home-results .mantine-Alert-title");
    const isWanted = heading && (isFirst || document.activeElement === document.body);
    if (isWanted) {
      heading.tabIndex = -1;
      heading.focus({ preventScroll: true });
    }
    requestAnimationFrame(() => toFound(frames - 1, isFirst && !isWanted));
  }

  // Somebody is at the field already when a page brings another one: that one takes over the focus and the text. The
  // page may still be being drawn: for some frames this looks again.
  function resume(frames) {
    const input = field();
    if (!state.isOpen || frames === 0) return;
    if (!input || document.activeElement !== document.body) requestAnimationFrame(() => resume(frames - 1));
    else if (state.typed === null) input.focus();
    else write(state.typed);
  }

  // the address of a text that names one object is that object's
  function forward(address) {
    // later: Dash leaves out what would go around in a circle of callbacks
    if (address) setTimeout(() => {
      window.history.replaceState(window.history.state, "", address); // else "back" would lead here again
      const { href, pathname, search } = window.location; // all of them: it goes where an older one says otherwise
      props("address", { href, pathname, search });
    }, 0);
    return window.dash_clientside.no_update;
  }

  function take(option) {
    if (option.fill) write(option.fill);
    else if (option.again) {
      write(option.again);
      submit(option.again);
    } else if (option.href) {
      own().remember(option.kind === "object" || option.kind === "name" ? option.title : field().value);
      leave();
      go(option.href);
    }
  }

  // pages of objects have no results to go on with
  function go(address) {
    const isThere = address === window.location.pathname + window.location.search;
    if (isThere) found();
    else if (address.startsWith("/?")) begin();
    if (!isThere) props("address", { href: address });
  }

  function move(step) {
    if (!state.isOpen) open();
    const count = state.options.length;
    if (!count) return;
    state.active = state.active < 0 ? (step > 0 ? 0 : count - 1) : (state.active + step + count) % count;
    draw();
    const chosen = byId("search-option-" + state.active);
    if (chosen) chosen.scrollIntoView({ block: "nearest" });
  }

  // ---- events: the field comes and goes with its page, so the document listens ------------------------------------

  // links to results that replace those here
  const LEADING = "a.results-page, a.home-other, a.home-example, a.home-choice";

  const isField = (event) => event.target && event.target.id === "search-text";

  document.addEventListener("input", (event) => {
    if (!isField(event)) return;
    state.active = -1;
    state.isOpen = true;
    state.typed = event.target.value;
    ask();
    draw();
  });

  document.addEventListener("focusin", (event) => {
    if (isField(event)) open();
    else if (state.isOpen && byId("search") && !byId("search").contains(event.target)) close();
  });

  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && field()) {
      const at = event.target;
      const writes = at && (at.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName));
      if (!writes || (at === field() && at.value === "")) {
        event.preventDefault();
        field().focus();
        field().select();
      }
      return;
    }
    if (event.key === "Escape" && hasGuide()) {
      guide(false);
      byId("search-help").focus();
      return;
    }
    if (!isField(event) || event.isComposing) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      move(event.key === "ArrowDown" ? 1 : -1);
    } else if (event.key === "Enter") {
      event.preventDefault();
      const option = state.isOpen ? state.options[state.active] : null;
      if (option) take(option);
      else submit(field().value);
    } else if (event.key === "Escape") {
      event.preventDefault();
      if (state.isOpen) close();
      else write("");
    } else if (event.key === "Tab") close();
  });

  // the field keeps the focus when the mouse takes a suggestion
  document.addEventListener("mousedown", (event) => {
    if (event.target.closest && event.target.closest("#search-panel")) event.preventDefault();
    else if (state.isOpen && !isField(event)) close();
    else if (isField(event) && !state.isOpen) open();
  });

  document.addEventListener("click", (event) => {
    const isPlain = !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
    if (isPlain && event.target.closest && event.target.closest(LEADING)) state.isUnderWay = true;
    const at = event.target.closest ? event.target.closest("#search-options [role=option], #search-go, #search-clear, #search-help, [data-search-append], [data-search-try]") : null;
    if (hasGuide() && !(event.target.closest && event.target.closest("#search-guide, #search-help"))) guide(false);
    if (!at || !field()) return;
    if (at.id === "search-go") submit(field().value);
    else if (at.id === "search-clear") write("");
    else if (at.id === "search-help") guide(!hasGuide());
    else if (at.dataset.searchAppend) {
      const text = field().value.replace(/\s+$/, "");
      write(text + (text ? " " : "") + at.dataset.searchAppend);
    } else if (at.dataset.searchTry) {
      guide(false);
      write(at.dataset.searchTry);
      submit(at.dataset.searchTry);
    } else take(state.options[Number(at.dataset.number)]);
  });

  // Back and Forward leave the text behind; links lead on with it
  window.addEventListener("popstate", () => {
    state.isUnderWay = false;
    leave();
  });

  document.addEventListener("fink-away", () => {
    state.isUnderWay = false;
    end();
  });

  window.dash_clientside = Object.assign({}, window.dash_clientside, { search: { show: show, went: went, arrived: arrived, forward: forward } });
})();
