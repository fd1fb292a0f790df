"use strict";
window.dash_clientside = window.dash_clientside || {};
(function () {
  /* What is chosen is in the address, so that it can be kept and sent; the page is not loaded again. */
  function keep(name, kept) {
    return function (value) {
      const address = new URL(window.location.href);
      const text = kept(value);
      if (text) { address.searchParams.set(name, text); } else { address.searchParams.delete(name); }
      window.history.replaceState(window.history.state, "", address);
      return window.dash_clientside.no_update;
    };
  }
  const itself = (value) => value;
  const compact = (value) => (value || "").replaceAll("-", "");
  const flag = (value) => (value ? "1" : "");
  window.dash_clientside.stats = {
    keep_tab: keep("tab", itself),
    keep_night: keep("night", compact),
    keep_column: keep("column", itself),
    keep_cumulative: keep("cumulative", flag),
    keep_percentage: keep("percentage", flag),
    keep_every: keep("every", itself),
    open_night: function (clicks) {
      const none = window.dash_clientside.no_update;
      const changed = (window.dash_clientside.callback_context.triggered[0] || {}).value;
      const night = changed && changed.points && changed.points[0] && changed.points[0].customdata;
      return night ? "/stats?tab=daily&night=" + encodeURIComponent(night) : none;
    },
  };
})();
