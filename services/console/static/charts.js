// Draws the last 48 hours of the page Flow. The same figures stand in a table for those without scripts.
"use strict";

(() => {
  const EVERY = 60000;
  const place = document.getElementById("charts");
  // Each stage has its colour and its dashes, so that colours are never alone.
  const STAGES = [
    { name: "outbox", colour: "--first", dash: [] },
    { name: "plan", colour: "--second", dash: [8, 4] },
    { name: "build", colour: "--third", dash: [2, 3] },
    { name: "report", colour: "--fourth", dash: [10, 3, 2, 3] },
  ];
  const CHARTS = [
    { title: "Days of work that wait", stages: STAGES.slice(0, 3), value: (seen) => seen.workdays },
    { title: "Age of the oldest, in minutes", stages: STAGES, value: (seen) => (seen.oldestseconds || 0) / 60 },
  ];
  let plots = [];
  let known = null;

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const width = () => Math.max(place.clientWidth, 240);

  const columns = (history, chart) => [
    history.spans.map((span) => Date.parse(span.at) / 1000),
    ...chart.stages.map(({ name }) => history.spans.map(({ stages }) => (stages[name] ? chart.value(stages[name]) : null))),
  ];

  // At midnight the date, else the time of day.
  const clock = (at) => {
    const written = new Date(at * 1000).toISOString();
    return written.slice(11, 16) === "00:00" ? written.slice(5, 10) : written.slice(11, 16);
  };

  const options = (chart) => {
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line"), width: 1 } };
    return {
      title: chart.title,
      width: width(),
      height: 220,
      tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
      scales: { x: { range: () => [Date.parse(known.at) / 1000 - 48 * 3600, Date.parse(known.at) / 1000] }, y: { range: (_plot, _least, most) => [0, Math.max(most, 1) * 1.05] } },
      axes: [{ ...axis, values: (_plot, places) => places.map(clock) }, { ...axis, size: 60 }],
      cursor: { drag: { x: false, y: false } },
      series: [
        { label: "UTC", value: (_plot, at) => (at === null ? "–" : new Date(at * 1000).toISOString().slice(5, 16).replace("T", " ")) },
        ...chart.stages.map((stage) => ({
          label: stage.name,
          stroke: colour(stage.colour),
          dash: stage.dash,
          width: 2,
          spanGaps: false,
          value: (_plot, found) => (found === null ? "–" : found.toLocaleString("en", { maximumFractionDigits: 1 })),
        })),
      ],
    };
  };

  const draw = () => {
    plots.forEach((plot) => plot.destroy());
    place.replaceChildren();
    plots = CHARTS.map((chart) => {
      const figure = document.createElement("div");
      figure.setAttribute("role", "img");
      figure.setAttribute("aria-label", `${chart.title} of the last 48 hours, by stage. The table below has the figures.`);
      place.append(figure);
      return new uPlot(options(chart), columns(known, chart), figure);
    });
  };

  const load = async () => {
    if (document.hidden) return;
    let found;
    try {
      const answer = await fetch(place.dataset.source, { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(String(answer.status));
      found = await answer.json();
      if (!found.spans) throw new Error(found.unseen.join("; "));
    } catch (error) {
      if (!plots.length) place.textContent = `Not seen: ${error.message}.`;
      return;
    }
    known = found;
    if (known.spans.length) draw();
    else place.textContent = "Nothing was recorded yet.";
  };

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (known) draw(); });
  addEventListener("resize", () => plots.forEach((plot) => plot.setSize({ width: width(), height: 220 })));
  setInterval(load, EVERY);
  load();
})();
