// Many runs of one scenario: what the parameters change, and how far single runs lie apart.
const { name, parameters, groups, runs, slot_s } = model;
const label = group => group.values.length ? group.values.map((value, at) => `${parameters[at].split(".").pop()} = ${value}`).join(", ") : t("sweep.as_it_is");
const title = figure => words[`sweep.figure.${figure}`] ?? figure;
const unitOf = figure => figure.includes("_kwh") || figure.startsWith("energy.") && !figure.endsWith("_kw") ? "kWh" : figure.endsWith("_kw") ? "kW" : figure.endsWith("_cny") ? "CNY" : "";
const told = (figure, value) => value === null || value === undefined ? "–"
  : figure.endsWith("_share") ? percent(value) : unitOf(figure) ? quantity(value, unitOf(figure)) : short(value);
const changes = figure => groups.some(group => group.figures[figure]?.mean !== groups[0].figures[figure]?.mean) || groups.some(group => group.figures[figure]?.half_width);

page.append(el("header", {}, el("h1", {}, t("sweep.title", { name })), el("ul", { class: "facts" },
  el("li", {}, t("sweep.runs", { runs: number(runs.length), groups: number(groups.length) })), ...parameters.map(key => el("li", {}, key)))));
const nav = el("nav", { "aria-label": t("contents") });
page.append(nav);

// Figures -------------------------------------------------------------------------------------------------------------
/** A line for each set of parameters: runs as dots, the band of eight in ten, the mean with its confidence interval. */
function spreads(parent, figure) {
  plot(parent, (box, width) => {
    const rows = groups.map((group, at) => [group, at]).filter(([group]) => group.figures[figure]);
    if (!rows.length) { box.append(empty(t("nothing"))); return; }
    const line = 30, narrow = width < 520, left = narrow ? 8 : Math.min(240, width * 0.34), right = 14, low = 26, lift = narrow ? 15 : 0;
    const values = runs.map(run => run.figures[figure]).filter(value => value !== undefined);
    const edges = rows.flatMap(([group]) => { const of = group.figures[figure], half = of.half_width ?? 0; return [of.mean - half, of.mean + half]; });
    let least = Math.min(...values, ...edges), most = Math.max(...values, ...edges);
    if (least > 0 && least < 0.5 * most) least = 0;
    if (most === least) { most += Math.abs(most) * 0.1 || 1; least -= Math.abs(least) * 0.1 || 1; }
    const unit = unitOf(figure), share = figure.endsWith("_share"), big = Math.max(-least, most);
    const [by, unitName] = share ? [0.01, "%"] : (STEPS[unit] ?? [[1, unit]]).find(([by]) => big >= by) ?? [1, unit];
    const ticks = niceTicks(least / by, most / by, Math.max(2, Math.floor(width / 130))).map(tick => tick * by);
    least = Math.min(least, ticks[0]); most = Math.max(most, ticks[ticks.length - 1]);
    const tall = (line + lift) * rows.length, x = value => left + (value - least) / (most - least) * (width - left - right);
    const root = svg("svg", { viewBox: `0 0 ${width} ${tall + low}` });
    for (const tick of ticks) {
      root.append(svg("line", { class: tick === 0 ? "zero" : "grid-line", x1: x(tick), x2: x(tick), y1: 0, y2: tall }));
      root.append(svg("text", { x: Math.min(x(tick), width - right), y: tall + 17, "text-anchor": x(tick) > width - 40 ? "end" : "middle" },
        `${+(tick / by).toPrecision(6)}${tick === ticks[ticks.length - 1] && unitName ? ` ${unitName === "CNY" ? t("CNY") : unitName}` : ""}`));
    }
    rows.forEach(([group, at], row) => {
      const of = group.figures[figure], colour = COLOURS[at % COLOURS.length], y = row * (line + lift) + lift + line / 2, half = of.half_width ?? 0;
      root.append(svg("text", narrow ? { x: left, y: y - line / 2 + 1 } : { x: left - 10, y: y + 4, "text-anchor": "end" }, label(group)));
      root.append(svg("rect", { x: x(of.low), y: y - 9, width: Math.max(1, x(of.high) - x(of.low)), height: 18, rx: 4, fill: colour, opacity: 0.18 }));
      for (const run of runs) if (run.group === at && run.figures[figure] !== undefined)
        root.append(svg("circle", { cx: x(run.figures[figure]), cy: y, r: 2.2, fill: colour, opacity: 0.55 }));
      if (half) root.append(svg("line", { x1: x(of.mean - half), x2: x(of.mean + half), y1: y, y2: y, stroke: colour, "stroke-width": 3 }));
      root.append(svg("circle", { cx: x(of.mean), cy: y, r: 5, fill: colour, stroke: "var(--card)", "stroke-width": 1.5 }));
      const hit = svg("rect", { x: 0, y: y - line / 2, width, height: line, fill: "transparent" });
      tipOn(hit, label(group), [[t("sweep.mean"), told(figure, of.mean), colour], [t("sweep.confidence"), half ? `± ${told(figure, half)}` : "–"],
        [t("sweep.band"), `${told(figure, of.low)} … ${told(figure, of.high)}`], [t("sweep.count"), number(of.runs)]]);
      root.append(hit);
    });
    box.append(root);
  }, title(figure));
}
{
  const grid = el("div", { class: "grid" });
  section("figures", t("sweep.figures"), t("sweep.figures.lead"), grid);
  const told = model.key.filter(changes);
  for (const figure of told) {
    const box = card(title(figure), t("sweep.note"), "half");
    grid.append(box);
    spreads(box, figure);
  }
  if (!told.length) grid.append(empty(t("sweep.same")));
}

// The day -------------------------------------------------------------------------------------------------------------
{
  const grid = el("div", { class: "grid" });
  section("day", t("sweep.day"), t("sweep.day.lead"), grid);
  const box = card(t("sweep.day.title"), groups.length > COLOURS.length ? t("sweep.day.first", { count: COLOURS.length }) : t("sweep.day.note"));
  grid.append(box);
  const pick = (spread, key) => spread.map(value => value === null ? null : value[key]);
  const series = groups.slice(0, COLOURS.length).flatMap((group, at) => [
    ...(group.runs > 1 ? [{ name: `${label(group)}: ${t("sweep.band")}`, values: pick(group.day_kw, "high"), low: pick(group.day_kw, "low"), colour: COLOURS[at], kind: "band" }] : []),
    { name: label(group), values: pick(group.day_kw, "mean"), colour: COLOURS[at], kind: "line" }]);
  const hour = at => `${two(Math.floor(at * slot_s / 3600))}:${two(Math.floor(at * slot_s % 3600 / 60))}`;
  curves(box, { axis: { start_ms: 0, step_s: slot_s }, height: 320, zoom: false, name: hour, series,
    ticks: width => Array.from({ length: 9 }, (_, k) => k * 3).filter(k => width > 420 || k % 6 === 0).map(k => [k * 3600 / slot_s, `${two(k)}:00`]) });
}

// All figures ---------------------------------------------------------------------------------------------------------
{
  const grid = el("div", { class: "grid" }), box = card(t("sweep.all.title"), t("sweep.all.note"), "tall");
  section("all", t("sweep.all"), "", grid);
  grid.append(box);
  const figures = [...new Set(groups.flatMap(group => Object.keys(group.figures)))].sort();
  const first = groups[0];
  table(box, [[t("sweep.figure")], ...groups.map(group => [label(group), true])], figures.map(figure => [title(figure), ...groups.map(group => {
    const of = group.figures[figure], base = first.figures[figure];
    if (!of) return "–";
    const change = group !== first && base && base.mean ? (of.mean - base.mean) / Math.abs(base.mean) : null;
    return `${told(figure, of.mean)}${of.half_width ? ` ± ${told(figure, of.half_width)}` : ""}${change === null || Math.abs(change) < 5e-5 ? "" : ` (${change > 0 ? "+" : "−"}${percent(Math.abs(change))})`}`;
  })]));
}
for (const node of document.querySelectorAll("section")) nav.append(el("a", { href: `#${node.id}` }, node.querySelector("h2").textContent));
page.append(el("footer", {}, t("sweep.footer")));
