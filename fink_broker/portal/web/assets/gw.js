/* The search for counterparts: asking, and uploading a skymap without reading it in the page. */
(function () {
  const LARGEST = 100 * 1024 * 1024;
  const skip = () => window.dash_clientside.no_update;
  const say = (text) => { const place = document.getElementById("gw-said"); if (place) place.textContent = text; };

  function send(input) {
    const file = input.files && input.files[0];
    if (!file) return;
    if (file.size > LARGEST) { say(`${file.name.slice(0, 60)} is too large: 100 MB at most.`); return; }
    if (file.size === 0) { say(`${file.name.slice(0, 60)} is empty.`); return; }
    const request = new XMLHttpRequest();
    request.open("POST", "/gw/skymaps");
    request.setRequestHeader("X-Fink-Upload", "1");
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.upload.onprogress = (event) => say(`Uploading ${Math.round((100 * event.loaded) / Math.max(1, event.total))} %`);
    request.onerror = () => say("The upload was interrupted: try again.");
    request.onload = () => {
      let answer = null;
      try { answer = JSON.parse(request.responseText); } catch (error) { answer = null; }
      if (request.status === 200 && answer && answer.file) {
        say(file.name.slice(0, 80));
        window.dash_clientside.set_props("gw-file", { data: { file: answer.file, name: file.name.slice(0, 80) } });
      } else {
        say(request.status === 413 ? "The file is too large." : "The portal did not take the file: try again.");
      }
      input.value = "";
    };
    say("Uploading");
    request.send(file);
  }

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.gw = {
    ask: function (clicks, submits, file, event, level, isBusy) {
      const context = window.dash_clientside.callback_context;
      const asked = context.triggered.map((each) => each.prop_id);
      if (asked.includes("gw-file.data")) {
        window.history.replaceState(null, "", "/gw");
        return file ? { ...file, level } : skip();
      }
      if (!clicks && !submits && !event) return skip();
      if (isBusy) { say("The search before is still under way."); return skip(); } // each takes long, and there are few places
      const address = new URLSearchParams({ credible_level: level, event_name: event || "" });
      window.history.replaceState(null, "", `/gw?${address}`);
      say("");
      return { event: event || "", level, at: Date.now() };
    },
    drop: function () {
      const place = document.getElementById("gw-drop");
      if (place && !place.firstChild) {
        const label = document.createElement("label");
        label.className = "gw-choose";
        label.textContent = "Choose or drop a FITS file";
        const input = document.createElement("input");
        input.type = "file";
        input.id = "gw-input";
        input.accept = ".fits,.gz,.fit";
        input.addEventListener("change", () => send(input));
        label.appendChild(input);
        place.appendChild(label);
      }
      return skip();
    },
    running: function (job, ended) { return !(job && job !== ended); },
    wait: function () {
      const component = (type, props) => ({ namespace: "dash_mantine_components", type, props });
      return [
        component("Skeleton", { height: 28, width: 320, mb: "md" }),
        component("Skeleton", { height: 420, radius: "md" }),
      ];
    },
  };
  // the form has no address of its own: the button and the field say what is asked
  document.addEventListener("submit", (event) => { if (event.target.id === "gw-form") event.preventDefault(); });
})();
