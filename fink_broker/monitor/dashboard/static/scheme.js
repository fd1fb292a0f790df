// Light or dark before the first paint: the visitor's choice, else the system's.
(() => {
  const root = document.documentElement;
  let chosen = null;
  try { chosen = localStorage.getItem("fink-dashboard-scheme"); } catch { /* no storage: the system decides */ }
  const system = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => { root.dataset.scheme = chosen ?? (system.matches ? "dark" : "light"); };
  apply();
  system.addEventListener("change", apply);
  document.addEventListener("click", (event) => {
    if (!event.target.closest?.("#scheme")) return;
    chosen = root.dataset.scheme === "dark" ? "light" : "dark";
    try { localStorage.setItem("fink-dashboard-scheme", chosen); } catch { /* it lasts for this page */ }
    apply();
  });
})();
