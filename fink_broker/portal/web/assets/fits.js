/* Fits: while one runs it is looked at, and may be cancelled; its settings are in the address. */
window.dash_clientside = window.dash_clientside || {};
window.dash_clientside.fits = {
  running: function (job, ended) {
    const on = Boolean(job) && job !== ended;
    return [!on, !on, on ? "fit-progress fit-progress-on" : "fit-progress"];
  },
  /* The next look waits for the answer to the one before; an answer that was lost on its way is not waited for. */
  look: function (ticks, taken, answered) {
    const is_waiting = taken && !(answered && answered.at === taken.at) && Date.now() - taken.at < 15000;
    return is_waiting ? window.dash_clientside.no_update : { at: Date.now() };
  },
  /* The first time the address tells the fields, then they tell it; what is usual is left out. */
  address: function (...given) {
    const [usual, object] = given.slice(-2);
    const search = new URLSearchParams(window.location.search);
    const fields = window.dash_clientside.callback_context.inputs_list
      .map((input, place) => ({ id: input.id, name: input.id.replace(/^.*-/, ""), value: given[place] }));
    if (!usual) {
      fields.forEach(({ id, name }) => {
        const asked = search.get(name);
        if (asked && Number.isFinite(Number(asked))) window.dash_clientside.set_props(id, { value: Number(asked) });
      });
      return Object.fromEntries(fields.map(({ name, value }) => [name, value]));
    }
    if (!object || !window.location.pathname.toUpperCase().startsWith("/" + object.toUpperCase())) {
      return window.dash_clientside.no_update;
    }
    fields.forEach(({ name, value }) => {
      const said = String(value === null || value === undefined ? "" : value);
      said && said !== String(usual[name]) ? search.set(name, said) : search.delete(name);
    });
    const text = search.toString();
    window.history.replaceState(window.history.state, "", window.location.pathname + (text ? "?" + text : ""));
    return window.dash_clientside.no_update;
  },
};
