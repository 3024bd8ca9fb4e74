// Choosing days by dragging over a strip, copying, and the chart of events a day. Everything can be done without this.
"use strict";

(() => {
  document.querySelector("form[data-continue]")?.requestSubmit();

  const days = (strip) => [...strip.querySelectorAll("[data-day]")];

  const mark = (strip, first, last) => {
    days(strip).forEach((cell) => cell.classList.toggle("chosen", cell.dataset.day >= first && cell.dataset.day <= last));
  };

  document.querySelectorAll(".strip[data-for]").forEach((strip) => {
    const { first, last } = document.getElementById(strip.dataset.for).elements;
    let start = "";
    const show = () => mark(strip, first.value, last.value || first.value);
    const choose = (day) => {
      if (!start || !day) return;
      [first.value, last.value] = [start, day].sort();
      show();
    };
    const dayAt = (event) => document.elementFromPoint(event.clientX, event.clientY)?.closest(".strip") === strip
      ? document.elementFromPoint(event.clientX, event.clientY).dataset.day : "";
    strip.addEventListener("pointerdown", (event) => {
      const day = dayAt(event);
      if (!day || day > last.max || event.button) return;
      start = day;
      choose(day);
      event.preventDefault();
    });
    strip.addEventListener("pointermove", (event) => { if (start) choose(dayAt(event)); });
    addEventListener("pointerup", () => { start = ""; });
    addEventListener("pointercancel", () => { start = ""; });
    first.addEventListener("change", show);
    last.addEventListener("change", show);
    show();
  });

  document.querySelectorAll("[data-copies]").forEach((button) => {
    if (!navigator.clipboard) return;
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copies).textContent.trim());
      const label = button.textContent;
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = label; }, 2000);
    });
  });

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  let plot = null;

  // The chart of events a day comes with the manifest, which the living part of the page may bring later.
  const draw = () => {
    const place = document.getElementById("events-a-day");
    const rows = [...document.querySelectorAll("#days-of-manifest [data-day]")];
    plot?.destroy();
    plot = null;
    if (!place) return;
    place.hidden = false;
    place.setAttribute("role", "img");
    place.setAttribute("aria-label", "Events a day; the table below has the figures.");
    place.replaceChildren();
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 } };
    const each = Math.ceil(rows.length / 8);
    plot = new uPlot({
      width: Math.max(place.clientWidth, 240),
      height: 200,
      legend: { show: false },
      cursor: { drag: { x: false, y: false } },
      scales: { x: { time: false, range: () => [-0.5, rows.length - 0.5] }, y: { range: (_plot, _least, most) => [0, Math.max(most, 1) * 1.05] } },
      axes: [
        { ...axis, splits: () => rows.map((_row, number) => number).filter((number) => number % each === 0), values: (_plot, places) => places.map((number) => rows[number]?.dataset.day.slice(5) ?? "") },
        { ...axis, size: 70, values: (_plot, places) => places.map((events) => events.toLocaleString("en")) },
      ],
      series: [{}, { label: "events", fill: colour("--mark"), stroke: colour("--mark"), paths: uPlot.paths.bars({ size: [0.7, 60] }), points: { show: false } }],
    }, [rows.map((_row, number) => number), rows.map((row) => Number(row.dataset.events))], place);
  };

  if (typeof uPlot === "undefined") return;
  draw();
  document.body.addEventListener("live:seen", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  addEventListener("resize", draw);
})();
