// One look for all plots: transparent, colours of text and grid from the style sheet.
export const COLOURS = ["#4c6ef5", "#e8590c", "#2f9e44", "#9c36b5"];

export function draw(place, traces, layout) {
  const narrow = place.clientWidth < 600;
  return globalThis.Plotly.react(place, traces, {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { family: "system-ui, sans-serif", size: 13 },
    margin: { l: narrow ? 52 : 64, r: 16, t: 16, b: 52 }, legend: { orientation: "h", y: 1.12, x: 0 }, hovermode: "x unified",
    hoverlabel: { font: { color: "#1a1d29" }, bgcolor: "#fff" }, ...layout,
  }, { displaylogo: false, responsive: true, modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"] });
}
