(() => {
  const LATER = 150, PARKED = 5000;
  let timer = 0;
  const show = async () => {
    timer = 0;
    const answer = await fetch(location.href, { cache: "no-store" });
    if (!answer.ok) return;
    // The rest of the page has a style of its own, which this page's policy would refuse.
    const text = await answer.text();
    const main = text.slice(text.indexOf("<main"), text.lastIndexOf("</main>"));
    const fresh = new DOMParser().parseFromString(main, "text/html").querySelector("main");
    const old = document.querySelector("main");
    for (const step of fresh.querySelectorAll("details[id]")) {
      const before = document.getElementById(step.id);
      if (before) step.open = before.open;
    }
    old.replaceWith(fresh);
  };
  const soon = () => { timer ||= setTimeout(show, LATER); };
  const listen = () => {
    const path = document.querySelector("main").dataset.stream;
    if (!path) return;
    const source = new EventSource(path);
    for (const kind of ["trace", "chunk", "reset", "returnControl", "paused", "continued"]) {
      source.addEventListener(kind, soon);
    }
    source.addEventListener("end", () => { source.close(); soon(); });
    source.addEventListener("parked", () => { source.close(); soon(); setTimeout(listen, PARKED); });
  };
  listen();
})();
