"use strict";
// Replaces the sections that changed, every two seconds. What a person does with
// the page meanwhile stays: focus, and how far a table is scrolled.
(() => {
  const PERIOD = 2000;
  const PATIENCE = 8000;
  const main = document.querySelector("main");
  const lost = document.getElementById("lost");
  const shown = new Map();
  let reached = Date.now();

  const replace = (old, fresh) => {
    const scrolled = [...old.querySelectorAll(".scroll")].map((it) => [it.id, it.scrollLeft]);
    const active = document.activeElement;
    const focused = old.contains(active) ? [...old.querySelectorAll("a, [tabindex]")].indexOf(active) : -1;
    old.replaceWith(fresh);
    for (const [id, left] of scrolled) {
      const box = document.getElementById(id);
      if (box) box.scrollLeft = left;
    }
    if (focused >= 0) fresh.querySelectorAll("a, [tabindex]")[focused]?.focus({ preventScroll: true });
  };

  const show = (text) => {
    const fresh = document.createElement("template");
    fresh.innerHTML = text;
    for (const section of [...fresh.content.children]) {
      if (section.dataset.title) document.title = section.dataset.title;
      const html = section.outerHTML;
      if (shown.get(section.id) === html) continue;
      shown.set(section.id, html);
      const old = document.getElementById(section.id);
      if (old) replace(old, section);
      else main.append(section);
    }
  };

  const tell = () => {
    const silent = Date.now() - reached;
    lost.hidden = silent < PATIENCE;
    document.body.classList.toggle("old", !lost.hidden);
    if (!lost.hidden) lost.textContent = `No answer for ${Math.round(silent / 1000)} s: this page shows old figures.`;
  };

  const update = async () => {
    try {
      const answer = await fetch("/api/status.html", { cache: "no-store", signal: AbortSignal.timeout(6000) });
      if (answer.ok) {
        show(await answer.text());
        reached = Date.now();
      }
    } catch {
      // Not reached; `tell` says so when it lasts.
    }
    tell();
    setTimeout(update, PERIOD);
  };
  setTimeout(update, PERIOD);
})();
