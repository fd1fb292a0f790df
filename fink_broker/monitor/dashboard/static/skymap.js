import { ask, byId, figure, follow, keepInAddress, night, number, svg } from "./common.js";
import { counted, fillNights } from "./nights.js";

const WIDTH = 1000, HEIGHT = 520, RADIUS = 245, CX = WIDTH / 2, CY = HEIGHT / 2, DEG = Math.PI / 180;
const AGAIN_MS = 20_000;
/* North Galactic pole and node (J2000), and obliquity of the ecliptic, degrees */
const POLE_RA = 192.85948, POLE_DEC = 27.12825, NODE = 32.93192, OBLIQUITY = 23.43929;
/* Steps of viridis, dark to light */
const SCALE = ["#440154", "#482878", "#3e4a89", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6dcd59", "#b4de2c", "#fde725"];
const select = byId("sky-night"), trouble = byId("sky-trouble");

/** Mollweide (Snyder 1987, p. 251): degrees to the drawing; right ascension 180 is at the rim, east is left. */
function project(ra, dec) {
  const wrapped = ((ra + 180) % 360 + 360) % 360 - 180;
  const lat = dec * DEG;
  let theta = lat;
  if (Math.abs(dec) < 89.99) {
    for (let turn = 0; turn < 12; turn += 1) {
      const step = (2 * theta + Math.sin(2 * theta) - Math.PI * Math.sin(lat)) / (2 + 2 * Math.cos(2 * theta));
      theta -= step;
      if (Math.abs(step) < 1e-7) break;
    }
  } else theta = Math.sign(dec) * Math.PI / 2;
  return [CX - 2 * RADIUS / 90 * wrapped * Math.cos(theta) / 2, CY - RADIUS * Math.sin(theta), wrapped];
}

/** A line on the sky as path data, broken where it leaves at one rim and comes back at the other. */
function path(points) {
  let text = "", before = null;
  for (const [ra, dec] of points) {
    const [x, y, wrapped] = project(ra, dec);
    text += `${before === null || Math.abs(wrapped - before) > 180 ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`;
    before = wrapped;
  }
  return text;
}

const range = (from, to, step) => Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, at) => from + at * step);
const galactic = () => range(0, 360, 2).map((l) => {
  const angle = (l - NODE) * DEG, pole = POLE_DEC * DEG;
  const dec = Math.asin(Math.cos(pole) * Math.sin(angle));
  return [POLE_RA + 90 + Math.atan2(Math.sin(angle) * Math.sin(pole) * -1, Math.cos(angle)) / DEG * -1, dec / DEG];
});
const ecliptic = () => range(0, 360, 2).map((longitude) => {
  const angle = longitude * DEG, tilt = OBLIQUITY * DEG;
  return [Math.atan2(Math.sin(angle) * Math.cos(tilt), Math.cos(angle)) / DEG, Math.asin(Math.sin(angle) * Math.sin(tilt)) / DEG];
});

const colour = (share) => SCALE[Math.min(SCALE.length - 1, Math.floor(share * SCALE.length))];

/** The four corners of a pixel as a closed path; empty for one that lies across the rim. */
function outline(corners) {
  const centre = corners.reduce((sum, [ra]) => sum + ((ra - corners[0][0] + 540) % 360 - 180), corners[0][0] * 4) / 4;
  const middle = ((centre + 180) % 360 + 360) % 360 - 180;
  const drawn = corners.map(([ra, dec]) => {
    const offset = ((ra - centre + 540) % 360) - 180;
    // a corner beyond the rim is put on it
    const held = Math.max(-180, Math.min(180, middle + (Math.abs(dec) > 89.9 ? 0 : offset)));
    const [x, y] = project(held === -180 ? -179.9999 : held === 180 ? 179.9999 : held, dec);
    return `${x.toFixed(1)} ${y.toFixed(1)}`;
  });
  return `M${drawn.join("L")}Z`;
}

function frame() {
  const parts = [svg("ellipse", { class: "sky-back", cx: CX, cy: CY, rx: 2 * RADIUS, ry: RADIUS })];
  return parts;
}

function lines() {
  const parts = [];
  for (const ra of range(-150, 150, 30)) parts.push(svg("path", { class: "sky-grid", d: path(range(-90, 90, 5).map((dec) => [ra, dec])) }));
  for (const dec of range(-60, 60, 30)) parts.push(svg("path", { class: "sky-grid", d: path(range(-179.9, 179.9, 5).concat([179.9]).map((ra) => [ra, dec])) }));
  parts.push(svg("path", { class: "sky-galaxy", d: path(galactic()) }), svg("path", { class: "sky-ecliptic", d: path(ecliptic()) }));
  for (const ra of [-120, -60, 0, 60, 120]) { const [x, y] = project(ra, 0); parts.push(svg("text", { class: "sky-text", x, y: y + 15, "text-anchor": "middle" }, `${(ra + 360) % 360 / 15} h`)); }
  for (const dec of [-60, -30, 30, 60]) { const [x, y] = project(0, dec); parts.push(svg("text", { class: "sky-text", x: x + 6, y: y - 4 }, `${dec > 0 ? "+" : "−"}${Math.abs(dec)}°`)); }
  parts.push(svg("ellipse", { class: "sky-rim", cx: CX, cy: CY, rx: 2 * RADIUS, ry: RADIUS }));
  return parts;
}

function draw(told) {
  const map = byId("sky"), area = told.pixel_square_degrees, most = Math.max(1, ...told.pixels.map((pixel) => pixel.alerts));
  const share = (alerts) => most === 1 ? 0.6 : Math.log(alerts) / Math.log(most) * 0.95;
  const pixels = told.pixels.map((pixel) => {
    const [ra, dec] = pixel.corners.reduce((sum, corner) => [sum[0] + ((corner[0] - pixel.corners[0][0] + 540) % 360 - 180) / 4, sum[1] + corner[1] / 4], [pixel.corners[0][0], 0]);
    return svg("path", { class: "sky-pixel", d: outline(pixel.corners), fill: colour(share(pixel.alerts)), "data-told": `RA ${((ra + 360) % 360).toFixed(1)}°, Dec ${dec.toFixed(1)}°: ${number(pixel.alerts)} alert${pixel.alerts === 1 ? "" : "s"}, ${figure(pixel.alerts / area)} per square degree` });
  });
  const empty = told.pixels.length ? [] : [svg("text", { class: "sky-text", x: CX, y: CY - 40, "text-anchor": "middle", style: "font-size:20px" }, "No alert of this night yet.")];
  map.replaceChildren(...frame(), ...pixels, ...lines(), ...empty);
  map.setAttribute("aria-label", `Map of the sky${told.night ? ` of ${night(told.night)}` : ""}: ${counted(told.alerts, "")} in ${number(told.pixels.length)} of 12,288 pixels, at most ${figure(most / area)} per square degree`);
  byId("sky-least").textContent = told.pixels.length ? figure(1 / area) : "";
  byId("sky-most").textContent = told.pixels.length ? figure(most / area) : "";
  byId("sky-scale").replaceChildren(...SCALE.map((fill, at) => svg("rect", { x: at * 20, y: 0, width: 20.5, height: 12, fill })));
  byId("sky-total").textContent = counted(told.alerts, told.night);
}

let last = "";
async function read() {
  try {
    const text = await (await ask(`/api/sky.json${select.value ? `?night=${encodeURIComponent(select.value)}` : ""}`)).text();
    if (text !== last) draw(JSON.parse(text));
    last = text; trouble.hidden = true;
  } catch (error) { trouble.textContent = error.message; trouble.hidden = false; }
}

async function start() {
  let nights = [];
  try { nights = (await (await ask("/api/nights.json")).json()).nights; } catch (error) { trouble.textContent = error.message; trouble.hidden = false; }
  fillNights(select, nights, new URLSearchParams(location.search).get("night") ?? "");
  select.addEventListener("change", () => { keepInAddress({ night: select.value === nights[0] ? "" : select.value }); read(); });
  await read();
}

byId("sky-form").addEventListener("submit", (event) => event.preventDefault());
byId("sky").addEventListener("pointermove", (event) => { const told = event.target.dataset?.told; if (told) byId("sky-told").textContent = told; });
start();
setInterval(() => { if (!document.hidden) read(); }, AGAIN_MS);
follow(() => {});
