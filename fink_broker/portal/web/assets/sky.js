// The sky: clicks on the chart, and Aladin Lite. Data come as JSON and are shown as text, never as markup.
(function () {
  "use strict";
  const SKY = "https://alasky.cds.unistra.fr/Pan-STARRS/DR1/color-z-zg-g";
  const PATIENCE_MS = 5000;
  const shown = new Map(); // id of a map: the data its Aladin Lite shows
  let library = null;

  const isOurs = (href) => typeof href === "string" && /^\/[A-Za-z0-9]/.test(href);

  // an address is reached in time, or not
  async function reaches(url) {
    const timer = new AbortController();
    const end = setTimeout(() => timer.abort(), PATIENCE_MS);
    try {
      return (await fetch(`${url}/properties`, { signal: timer.signal, cache: "force-cache" })).ok;
    } catch {
      return false;
    } finally {
      clearTimeout(end);
    }
  }

  async function load() {
    library = library || import("/parts/aladin.js").then(async (module) => { await module.default.init; return module.default; });
    return library;
  }

  function tell(place, source) {
    place.replaceChildren();
    place.hidden = !source;
    if (!source) return;
    const name = document.createElement(isOurs(source.href) ? "a" : "strong");
    if (isOurs(source.href)) name.href = source.href;
    name.textContent = source.name;
    const rest = document.createElement("div");
    rest.textContent = [source.label, source.text].filter(Boolean).join("\n");
    place.append(name, rest);
  }

  function draw(A, data) {
    const place = document.getElementById(`${data.id}-aladin`);
    place.replaceChildren();
    const view = A.aladin(place, {
      survey: SKY, fov: data.field, target: `${data.centre[0]} ${data.centre[1]}`, cooFrame: "ICRSd", log: false,
      projection: data.field > 100 ? "MOL" : "TAN", showSimbadPointerControl: true, showCooGridControl: true,
      showShareControl: false, showFullscreenControl: true,
    });
    if (data.field < 0.2) {
      view.addCatalog(A.catalogFromSimbad({ ra: data.centre[0], dec: data.centre[1] }, data.field, { shape: "circle", color: "#339AF0", name: "SIMBAD" }));
    }
    const labels = new Map();
    for (const source of data.sources) {
      const key = `${source.label}\n${source.colour}`;
      if (!labels.has(key)) {
        labels.set(key, A.catalog({ name: source.label || "Sources", color: source.colour, sourceSize: 14, shape: "circle" }));
        view.addCatalog(labels.get(key));
      }
      labels.get(key).addSources([A.source(source.ra, source.dec, { source })]);
    }
    if (data.region.length) {
      const overlay = A.graphicOverlay({ color: "#7048E8", lineWidth: 2 });
      view.addOverlay(overlay);
      for (const ring of data.region) overlay.add(A.polygon(ring));
    }
    view.on("objectClicked", (found) => tell(document.getElementById(`${data.id}-source`), found && found.data && found.data.source));
  }

  async function show(value, data) {
    const byId = (part) => document.getElementById(`${data.id}-${part}`);
    const say = (text) => { if (byId("said")) byId("said").textContent = text; };
    const swap = (images) => { byId("images").hidden = !images; byId("chart").hidden = images; };
    if (value !== "aladin") { say(""); swap(false); return; }
    if (shown.get(data.id) === data && byId("aladin").hasChildNodes()) { swap(true); return; }
    say("Asking for images of the sky …");
    if (!(await reaches(SKY))) { say("Images of the sky are out of reach just now; the chart needs no network."); return; }
    try {
      const A = await load();
      swap(true); // it measures its place, which therefore has to be there
      draw(A, data);
      shown.set(data.id, data);
      say("");
    } catch (error) {
      library = null;
      swap(false);
      say(`Aladin Lite cannot be shown by this browser (${String(error && error.message || error).slice(0, 80)}); the chart can.`);
    }
  }

  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    sky: {
      follow(clicked) {
        const point = clicked && clicked.points && clicked.points[0];
        if (point && isOurs(point.customdata)) window.location.assign(point.customdata);
        return window.dash_clientside.no_update;
      },
      show(value, data) {
        if (data) show(value, data);
        return window.dash_clientside.no_update;
      },
    },
  });
})();
