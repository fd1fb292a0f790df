import { byId, dateAndClock, el, follow, number, show, table } from "./common.js";

follow((snapshot) => {
  const batches = snapshot.stages.reduce((sum, stage) => sum + stage.batches, 0);
  const rows = [["version", snapshot.version], ["survey", snapshot.survey], ["host", snapshot.machine.host], ["batches read", number(batches)], ["nights", number(snapshot.nights.length)], ["looked at", el("span", {}, `${dateAndClock(snapshot.taken)} UTC`)]];
  show(byId("about-broker"), table("This broker", [["what", ""], ["value", ""]], rows));
});
