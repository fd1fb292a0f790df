/* Says where the portal does not answer: pages ask it by fetch, and without an answer nothing would be seen to happen. */
(function () {
  "use strict";

  const CALLBACKS = "/_dash-update-component";
  const AWAY = "The portal does not answer just now: try again.";
  const FAULT = "This failed. The fault is ours and has been noted: try again, or go on with something else.";
  const NAME = "away";
  let isLeaving = false; // what a page still asks for ends when it is left
  let toldAt = 0; // what was asked before that may be answered later, and says nothing of now

  function clear() {
    const strip = document.getElementById(NAME);
    if (strip) strip.remove();
  }

  function tell(words) {
    document.dispatchEvent(new CustomEvent("fink-away"));
    toldAt = performance.now();
    const there = document.getElementById(NAME);
    if (there && there.firstChild.textContent === words) return; // once is enough
    clear();
    const strip = document.createElement("div"), said = document.createElement("span"), close = document.createElement("button");
    strip.id = NAME;
    strip.className = "away";
    strip.setAttribute("role", "alert");
    said.textContent = words;
    close.type = "button";
    close.className = "away-close";
    close.textContent = "Close";
    close.addEventListener("click", clear);
    strip.append(said, close);
    document.body.append(strip);
  }

  function addressOf(asked) {
    return String(asked instanceof Request ? asked.url : asked);
  }

  const ask = window.fetch.bind(window);

  window.fetch = async function (asked, ...how) {
    if (!addressOf(asked).includes(CALLBACKS)) return ask(asked, ...how);
    const began = performance.now();
    let answer;
    try {
      answer = await ask(asked, ...how);
    } catch (error) {
      if (!isLeaving && error.name !== "AbortError") tell(AWAY);
      throw error;
    }
    if (answer.status >= 500) tell(answer.status === 500 ? FAULT : AWAY);
    else if (began > toldAt) clear();
    return answer;
  };

  window.addEventListener("pagehide", () => { isLeaving = true; });
  window.addEventListener("pageshow", () => { isLeaving = false; });
})();
