"use strict";
window.dash_clientside = window.dash_clientside || {};
window.dash_clientside.science_tabs = {
  /* A stretch of time that is chosen in one plot is shown in all that are there. */
  same_times: function (happened, plots) {
    const none = window.dash_clientside.no_update;
    const context = window.dash_clientside.callback_context;
    const trigger = (context.triggered[0] || {}).prop_id || "";
    const from = context.inputs_list[0].findIndex((each) => trigger.includes(JSON.stringify(each.id.name)));
    const change = happened[from];
    if (!change) { return plots.map(() => none); }
    const has_range = "xaxis.range[0]" in change;
    if (!has_range && !change["xaxis.autorange"]) { return plots.map(() => none); }
    const axis = has_range
      ? { range: [change["xaxis.range[0]"], change["xaxis.range[1]"]], autorange: false }
      : { range: undefined, autorange: true };
    return plots.map((plot, at) => {
      if (at === from || !plot) { return none; }
      const layout = Object.assign({}, plot.layout);
      layout.xaxis = Object.assign({}, layout.xaxis, axis);
      return Object.assign({}, plot, { layout: layout });
    });
  },
};
