// Asks for the living part of a page again, as long as somebody can see it and it says not that it rests (data-rests).
// Without this the page stays as it came.
"use strict";

(() => {
  const EVERY = 5000;
  const live = document.getElementById("live");
  if (!live || !live.childElementCount) return;
  const stale = document.getElementById("stale");
  const announcer = document.getElementById("announcer");
  const controls = "a, button, input, select, textarea, summary, [tabindex]";
  let word = live.querySelector("[data-word]")?.dataset.word;
  let seen = new Date();
  let timer = 0;
  let asking = false;

  // Whoever fills in a form or marks a text must not lose it.
  const busy = () => {
    const focused = document.activeElement;
    const writing = live.contains(focused) && focused.matches("input, select, textarea");
    const marked = document.getSelection();
    return writing || (marked && !marked.isCollapsed && live.contains(marked.anchorNode));
  };

  const remember = () => ({
    focus: live.contains(document.activeElement) ? [...live.querySelectorAll(controls)].indexOf(document.activeElement) : -1,
    open: [...live.querySelectorAll("details[open][id]")].map((found) => found.id),
    scroll: [...live.querySelectorAll(".wide")].map((found) => found.scrollLeft),
  });

  const restore = (before) => {
    before.open.forEach((id) => document.getElementById(id)?.setAttribute("open", ""));
    live.querySelectorAll(".wide").forEach((found, place) => { found.scrollLeft = before.scroll[place] || 0; });
    if (before.focus >= 0) live.querySelectorAll(controls)[before.focus]?.focus({ preventScroll: true });
  };

  // Only another word is said aloud: the ages in a sentence change each time.
  const announce = () => {
    const told = live.querySelector("[data-word]");
    if (told && told.dataset.word !== word) {
      word = told.dataset.word;
      announcer.textContent = told.dataset.announce;
    }
  };

  const ask = async () => {
    if (asking || document.hidden || busy() || live.querySelector("[data-rests]")) return;
    asking = true;
    try {
      await htmx.ajax("GET", location.href, { target: live, swap: "innerHTML", headers: { Accept: "text/html" } });
    } catch {
      // htmx tells of it by an event, below
    } finally {
      asking = false;
    }
  };

  const failed = () => {
    document.getElementById("stale-since").textContent = seen.toISOString().slice(11, 19);
    stale.hidden = false;
  };

  let before = remember();
  document.body.addEventListener("htmx:beforeSwap", () => { before = remember(); });
  document.body.addEventListener("htmx:afterSwap", () => {
    seen = new Date();
    stale.hidden = true;
    restore(before);
    announce();
    live.dispatchEvent(new CustomEvent("live:seen", { bubbles: true }));
  });
  ["htmx:responseError", "htmx:sendError", "htmx:timeout"].forEach((name) => document.body.addEventListener(name, failed));

  const turn = () => {
    clearInterval(timer);
    timer = document.hidden ? 0 : setInterval(ask, EVERY);
  };
  document.addEventListener("visibilitychange", () => { turn(); ask(); });
  turn();
})();
