"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  const root = document.documentElement;

  // Charts: drawn when they are first visible, in the colours of the page.
  const drawn = new Set();
  function theme() {
    const style = getComputedStyle(root);
    const get = (name) => style.getPropertyValue(name).trim();
    const axis = { gridcolor: get("--rule"), linecolor: get("--muted"), zerolinecolor: get("--rule"), automargin: true,
      ticks: "outside", tickcolor: get("--muted"), ticklen: 4, zeroline: false };
    return { ink: get("--ink"), paper: get("--paper"), sans: get("--sans"), axis };
  }
  function layout(figure) {
    const { ink, paper, sans, axis } = theme();
    const merged = { ...figure.layout };
    merged.xaxis = { ...axis, showgrid: false, showline: true, ...figure.layout.xaxis };
    merged.yaxis = { ...axis, ...figure.layout.yaxis };
    return { ...merged, font: { family: sans, size: 12, color: ink }, paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)", margin: { l: 48, r: 12, t: 12, b: 40, ...figure.layout.margin },
      hoverlabel: { bgcolor: paper, bordercolor: ink, font: { family: sans, size: 12, color: ink }, namelength: -1 } };
  }
  const config = { responsive: true, displaylogo: false, displayModeBar: false };
  function draw(plot) {
    if (drawn.has(plot)) return;
    plot.figure = JSON.parse(plot.querySelector("script").textContent);
    drawn.add(plot);
    Plotly.newPlot(plot, plot.figure.data, layout(plot.figure), config);
  }
  const visible = () => all(".plot").filter((plot) => plot.offsetParent !== null);
  const repaint = (size = {}) => drawn.forEach((plot) => Plotly.react(plot, plot.data, { ...layout(plot.figure), ...size }, config));
  visible().forEach(draw);
  all("details").forEach((details) => details.addEventListener("toggle", () => { visible().forEach(draw); applyLegend(); }));

  // One legend for all learning curves.
  const items = all(".legend [data-group]");
  function applyLegend() {
    const shown = new Map(items.map((item) => [item.dataset.group, item.getAttribute("aria-pressed") === "true"]));
    all("#curves .plot").filter((plot) => drawn.has(plot)).forEach((plot) => {
      Plotly.restyle(plot, { visible: plot.data.map((trace) => shown.get(trace.legendgroup) ?? true) });
    });
  }
  items.forEach((item) => item.addEventListener("click", () => {
    item.setAttribute("aria-pressed", String(item.getAttribute("aria-pressed") !== "true"));
    applyLegend();
  }));
  all(".legend .all").forEach((button) => button.addEventListener("click", () => {
    items.forEach((item) => item.setAttribute("aria-pressed", button.dataset.all));
    applyLegend();
  }));

  // Light and dark: as the system says, until the button was pressed.
  const system = matchMedia("(prefers-color-scheme: dark)");
  const store = { get: () => { try { return localStorage.getItem("theme"); } catch { return null; } },
    set: (value) => { try { localStorage.setItem("theme", value); } catch { /* a file may have no storage */ } } };
  const stored = store.get();
  if (stored) { root.dataset.theme = stored; repaint(); }
  document.getElementById("theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : system.matches;
    root.dataset.theme = dark ? "light" : "dark";
    store.set(root.dataset.theme);
    repaint();
  });
  system.addEventListener("change", () => repaint());

  // On paper: light, and as wide as the page.
  const paperWidth = 330;  // CSS pixels of one of two columns on A4 and on letter paper
  let before;
  addEventListener("beforeprint", () => {
    before = root.dataset.theme;
    root.dataset.theme = "light";
    repaint({ width: paperWidth });
  });
  addEventListener("afterprint", () => {
    if (before) root.dataset.theme = before; else delete root.dataset.theme;
    repaint();
    drawn.forEach((plot) => Plotly.Plots.resize(plot));
  });

  // Tables: a click on a heading sorts, a second one the other way round; empty cells stay last.
  const value = (row, column) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
  function compare(a, b, sign) {
    if (a === "" || b === "") return (a === "") - (b === "");
    const [x, y] = [Number(a), Number(b)];
    return sign * (Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b, undefined, { numeric: true }) : x - y);
  }
  all("table.sortable").forEach((table) => {
    const headings = all("thead th", table);
    headings.forEach((heading, column) => heading.querySelector("button").addEventListener("click", () => {
      const ascending = heading.getAttribute("aria-sort") !== "ascending";
      headings.forEach((other) => other.setAttribute("aria-sort", "none"));
      heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      const rows = [...table.tBodies[0].rows];
      rows.sort((a, b) => compare(value(a, column), value(b, column), ascending ? 1 : -1));
      table.tBodies[0].append(...rows);
    }));
  });

  // Pictures: a click enlarges, whole pixels by a whole factor.
  const zoom = document.getElementById("zoom");
  all("button.zoom").forEach((button) => button.addEventListener("click", () => {
    const small = button.querySelector("img");
    const large = zoom.querySelector("img");
    const room = Math.min((innerWidth * 0.9) / small.naturalWidth, (innerHeight * 0.78) / small.naturalHeight);
    large.src = small.src;
    large.alt = small.alt;
    large.className = small.className;
    large.style.width = `${small.naturalWidth * (room >= 1 ? Math.floor(Math.min(room, 8)) : room)}px`;
    zoom.querySelector("p").textContent = small.alt;
    zoom.showModal();
  }));
  zoom.addEventListener("click", (event) => { if (event.target === zoom) zoom.close(); });

  // The list of sections.
  document.querySelector("nav").append(...all("main section").map((section) => {
    const link = document.createElement("a");
    link.href = `#${section.id}`;
    link.textContent = section.querySelector("h2").textContent;
    return link;
  }));
})();
