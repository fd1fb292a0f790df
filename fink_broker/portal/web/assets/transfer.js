/* The data transfer page: what is selected stands in the address; shortcuts to nights. */
window.dash_clientside = window.dash_clientside || {};
window.dash_clientside.transfer = {
  keep(topic, start, stop, classes, conditions, content) {
    if (window.location.pathname.replace(/\/$/, "") !== "/download") return window.dash_clientside.no_update;
    const given = { start, stop, class: (classes || []).join(","), where: conditions, content, topic };
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(given)) if (value) query.set(name, value);
    const address = query.toString() ? `/download?${query}` : "/download";
    if (address.length < 8000) window.history.replaceState(window.history.state, "", address);
    return window.dash_clientside.no_update;
  },
  nights(latest, week, all, [first, recent, last]) {
    const pressed = window.dash_clientside.callback_context.triggered_id;
    const begin = { "transfer-latest": last, "transfer-week": recent, "transfer-all": first }[pressed];
    return begin ? [begin, last] : [window.dash_clientside.no_update, window.dash_clientside.no_update];
  },
};
