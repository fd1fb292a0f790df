// The choice of a night, shared by the pages that show one.
import { el, night, number } from "./common.js";

/** Fill a select with nights, the latest first; the chosen one stays. */
export function fillNights(select, nights, chosen) {
  const names = nights.length ? nights : [""];
  select.replaceChildren(...names.map((name, at) => el("option", { value: name, selected: name === chosen }, name ? `${night(name)}${at === 0 ? " (latest)" : ""}` : "none yet")));
  select.disabled = !nights.length;
}

export const counted = (alerts, name) => `${number(alerts)} alert${alerts === 1 ? "" : "s"}${name ? ` of ${night(name)}` : ""}`;
