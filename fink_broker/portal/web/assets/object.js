/* The page of an object: what happens in the browser alone. */
(function () {
  "use strict";
  /* Dash replaces the object that is there when this file is read. */
  const dash = () => window.dash_clientside;
  const triggered = () => (dash().callback_context.triggered[0] || {}).prop_id || "";

  /* Parts that are made at once, after the first paint. */
  const AT_ONCE = ["names", "finder"];

  function ask(tab, drawers, ids, asked) {
    const seen = new Set([...AT_ONCE, tab, ...(tab === "summary" ? drawers || [] : [])]);
    window.requestAnimationFrame(showTab);
    ids.forEach((id, place) => {
      if (!asked[place] && seen.has(id.name)) dash().set_props(id, { data: true });
    });
    return dash().no_update;
  }

  /* On a phone the bar of tabs is wider than the page: the opened tab comes to its middle. */
  function showTab() {
    const bar = document.querySelector(".object-tabs");
    const tab = bar && bar.querySelector('[aria-selected="true"]');
    if (tab) bar.scrollLeft += tab.getBoundingClientRect().left - bar.getBoundingClientRect().left - (bar.clientWidth - tab.offsetWidth) / 2;
  }

  function address(tab, mode, colour, object) {
    const search = new URLSearchParams(window.location.search);
    const set = (name, value, usual) => (value && value !== usual ? search.set(name, value) : search.delete(name));
    set("tab", tab, "summary");
    set("mode", mode, "difference");
    set("color", colour ? "1" : "", "");
    const text = search.toString();
    if (object && window.location.pathname.toUpperCase().startsWith("/" + object.toUpperCase())) {
      window.history.replaceState(window.history.state, "", window.location.pathname + (text ? "?" + text : ""));
    }
    return dash().no_update;
  }

  function choose(click, date, previous, next, largePrevious, largeNext, candid, alerts) {
    const by = triggered();
    const place = alerts.findIndex((alert) => alert.value === candid);
    let chosen = candid;
    if (by.startsWith("object-plot")) {
      const point = click && click.points && click.points[0];
      chosen = (point && point.customdata) || candid;
    } else if (by.startsWith("object-date")) {
      chosen = date || candid;
    } else {
      const step = by.includes("previous") ? -1 : 1;
      chosen = alerts[Math.min(Math.max(place + step, 0), alerts.length - 1)].value;
    }
    if (chosen === candid || !alerts.some((alert) => alert.value === chosen)) {
      return [dash().no_update, dash().no_update];
    }
    return [chosen, chosen === date ? dash().no_update : chosen];
  }

  function stamps(candid, stretch, colourmap, object, alerts) {
    const url = (kind) => {
      const asked = new URLSearchParams({
        objectId: object, kind: kind, "output-format": "PNG", stretch: stretch, candid: candid,
      });
      if (colourmap && colourmap !== "grey") asked.set("colormap", colourmap);
      return "/api/v1/cutouts?" + asked.toString();
    };
    const urls = ["Science", "Template", "Difference"].map(url);
    const alert = alerts.find((each) => each.value === candid);
    return [...urls, ...urls, alert ? alert.label + " · " + alert.class : ""];
  }

  function filter(columns, wanted, meanings) {
    const words = (wanted || "").toLowerCase().split(/\s+/).filter(Boolean);
    const rows = (columns || [])
      .map(([name, value]) => [name, value, (meanings || {})[name] || ""])
      .filter((row) => words.every((word) => row.join(" ").toLowerCase().includes(word)));
    const said = columns ? rows.length + " of " + columns.length + " columns" : "";
    return [{ head: ["Column", "Value", "Meaning"], body: rows }, said];
  }

  function system(value) {
    return [value !== "EQU", value !== "GAL"];
  }

  /* Move the ring, the last of the traces, to the alert whose images are shown. */
  function mark(candid) {
    const plot = document.querySelector("#object-plot .js-plotly-plot");
    if (!plot || !plot._fullData || !window.Plotly) return dash().no_update;
    const number = plot._fullData.findIndex((trace) => trace.name === "shown below");
    let x = null, y = null;
    for (const trace of plot._fullData) {
      const place = Array.isArray(trace.customdata) && trace.yaxis === "y" ? trace.customdata.indexOf(candid) : -1;
      if (place >= 0) [x, y] = [trace.x[place], trace.y[place]];
    }
    if (number >= 0) window.Plotly.restyle(plot, { x: [[x]], y: [[y]] }, [number]);
    return dash().no_update;
  }

  const plotted = () => {
    const plot = document.querySelector("#object-plot .js-plotly-plot");
    return plot && plot._fullData && window.Plotly ? plot : null;
  };
  const isShown = (trace) => trace.visible === true;

  /* Show and hide traces as the chips of their bands say. */
  function bands(values, groups) {
    const plot = plotted();
    if (!plot) return dash().no_update;
    const wanted = new Map();
    for (const [band, names] of Object.entries(groups || {})) names.forEach((name) => wanted.set(name, (values || []).includes(band)));
    const changed = plot._fullData.filter((trace) => wanted.has(trace.legendgroup) && isShown(trace) !== wanted.get(trace.legendgroup));
    if (changed.length) {
      const visible = changed.map((trace) => (wanted.get(trace.legendgroup) ? true : "legendonly"));
      window.Plotly.restyle(plot, { visible }, changed.map((trace) => trace.index));
    }
    return dash().no_update;
  }

  /* A click on the legend sets the chips, too: a band is shown if any of its alerts are. */
  function shown(restyled, values, groups) {
    const plot = plotted();
    if (!plot || !restyled || !restyled[0] || !("visible" in restyled[0])) return dash().no_update;
    const found = Object.entries(groups || {}).filter(([band, [name]]) => {
      const own = plot._fullData.filter((trace) => trace.legendgroup === name);
      return own.length ? own.some(isShown) : (values || []).includes(band);
    }).map(([band]) => band);
    return String(found) === String([...(values || [])].sort()) ? dash().no_update : found;
  }

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.object = { ask, address, choose, stamps, filter, system, mark, bands, shown };

  /* Images that are not there become words in their place. */
  const isStamp = (target) => target.classList && target.classList.contains("object-image");
  document.addEventListener("error", (event) => {
    if (isStamp(event.target)) event.target.parentElement.classList.add("object-frame-empty");
  }, true);
  document.addEventListener("load", (event) => {
    if (isStamp(event.target)) event.target.parentElement.classList.remove("object-frame-empty");
  }, true);

  /* Arrows step through the alerts while the images fill the screen. */
  document.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: "object-large-previous", ArrowRight: "object-large-next" }[event.key];
    const button = step && document.getElementById(step);
    if (button && !button.disabled) button.click();
  });
})();
