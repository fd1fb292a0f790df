// Results: the address says which view and page is shown; the table is put together here.
(function () {
  "use strict";
  const REMEMBERED = "fink-results-view";
  const same = () => window.dash_clientside.no_update;

  function withArguments(search, changes) {
    const given = new URLSearchParams(search || "");
    for (const [name, value] of Object.entries(changes)) {
      if (value) given.set(name, value); else given.delete(name);
    }
    return `?${given}`;
  }

  function remembered(value) {
    try {
      if (value) window.localStorage.setItem(REMEMBERED, value);
      return window.localStorage.getItem(REMEMBERED);
    } catch {
      return null; // a browser that keeps nothing
    }
  }

  // the first row of each value stays; rows without a value all stay
  function firsts(rows, field) {
    const seen = new Set();
    return rows.filter((row) => !row[field] || (!seen.has(row[field]) && seen.add(row[field])));
  }

  // the place where files are dropped comes a moment later than its page, with an input that has no name
  function name_input(tries) {
    const input = document.querySelector("#xmatch-upload input[type=file]");
    if (input) input.setAttribute("aria-label", "Catalogue file");
    else if (tries) setTimeout(() => name_input(tries - 1), 100);
  }

  const FIELDS = { object: "objectId", sso: "sso", tracklet: "tracklet" };

  window.dash_clientside = Object.assign({}, window.dash_clientside, {
    results: {
      choose_view(value, search) {
        if (!value) return same();
        const named = new URLSearchParams(search || "").get("view");
        const shown = ["cards", "table", "map"].includes(named) ? named : "cards";
        if (value === shown) {
          if (named === shown && shown !== "map") remembered(shown);
          if (!named && remembered() === "table") {
            // later: Dash leaves out what would go around in a circle of callbacks
            const next = withArguments(search, { view: "table" });
            setTimeout(() => {
              window.history.replaceState(window.history.state, "", next); // else "back" would lead here again
              window.dash_clientside.set_props("address", { search: next });
            }, 0);
          }
          return same();
        }
        if (value !== "map") remembered(value);
        return withArguments(search, { view: value, page: null });
      },
      choose_gallery(label, number, kind, search) {
        const next = withArguments("", { class: label, n: number, kind });
        const given = new URLSearchParams(search || "");
        const same_class = (given.get("class") || "SN candidate") === label;
        const unchanged = same_class && (given.get("n") || "24") === number && (given.get("kind") || "Science") === kind;
        return !label || unchanged ? same() : next;
      },
      forget_refusal() {
        name_input(50);
        return "";
      },
      open: () => true,
      fill(unique, added, rows, definitions) {
        const names = Object.keys(added || {});
        let shown = (rows || []).map((row) => Object.assign({}, row, ...names.map((name) => ({ [name]: added[name][row.id] }))));
        for (const key of unique || []) if (FIELDS[key]) shown = firsts(shown, FIELDS[key]);
        const given = new URLSearchParams(window.location.search);
        const wanted = (unique || []).join(",");
        if ((given.get("unique") || "") !== wanted) {
          window.history.replaceState(window.history.state, "", withArguments(window.location.search, { unique: wanted }));
        }
        // names of columns have colons and dots, which AG Grid would take for paths
        const further = names.map((name) => ({ colId: name, headerName: name, field: name, filter: true, width: 170 }));
        return [shown, [...(definitions || []), ...further]];
      },
    },
  });

  window.dashAgGridFunctions = Object.assign(window.dashAgGridFunctions || {}, {
    finkDecimals: (value, decimals) => (value === null || value === undefined ? "" : Number(value).toFixed(decimals)),
  });
  window.dashAgGridComponentFunctions = Object.assign(window.dashAgGridComponentFunctions || {}, {
    FinkObject: (props) => window.React.createElement("a", { href: `/${encodeURIComponent(props.value || "")}` }, props.value),
  });

  // files that are too large never leave the browser
  const LARGEST_BYTES = 5000000;
  const judge = (event) => {
    const place = event.target instanceof Element && event.target.closest("#xmatch-upload");
    if (!place) return;
    const files = (event.dataTransfer || event.target).files;
    const large = files && files[0] && files[0].size > LARGEST_BYTES;
    window.dash_clientside.set_props("xmatch-said", {
      children: large ? `${files[0].name.slice(0, 60)} is too large: 5 MB at most. Send it in several parts.` : "",
    });
  };
  document.addEventListener("change", judge, true);
  document.addEventListener("drop", judge, true);

  // tables follow the colour scheme of the page
  const follow = () => {
    document.documentElement.dataset.agThemeMode = document.documentElement.dataset.mantineColorScheme === "dark" ? "dark" : "light";
  };
  new MutationObserver(follow).observe(document.documentElement, { attributes: true, attributeFilter: ["data-mantine-color-scheme"] });
  follow();
})();
