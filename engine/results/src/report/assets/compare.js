// Runs beside each other; more than six are shown as a band.
const { runs, figures, differ } = model, many = runs.length > 6;
const shades = runs.map((_, at) => COLOURS[[0, 5, 2, 3, 1, 6][at] ?? 7]);
const hours = value => t("compare.from", { hours: short(value) });

page.append(el("header", {}, el("h1", {}, t("compare.title")), el("ul", { class: "facts" }, ...runs.slice(0, 12).map(({ label, summary: { scenario } }, at) =>
  el("li", {}, el("span", { style: { color: many ? "inherit" : shades[at], fontWeight: 650 } }, label), ` — ${scenario.name}, ${t("head.seed", { seed: scenario.seed })}, ${scenario.start.slice(0, 10)}`)))));
if (differ.length) page.append(el("p", { class: "notice", id: "differ" }, t("compare.differ", { what: differ.map(what => t(`compare.${what}`)).join(", ") })));

{
  const box = card(t("compare.figures"), t("compare.figures.lead"), "tall full");
  section("figures", t("compare.figures"), null, box);
  const value = (value, unit) => value === null ? "–" : unit === "share" ? percent(value, 2) : unit === "CNY/kWh" ? `${number(value, 4)} ${t("CNY/kWh")}` : unit ? quantity(value, unit) : number(value);
  const columns = [[t("compare.figure")], ...runs.slice(0, 6).flatMap(({ label }, at) => at === 0 ? [[label, true]] : [[label, true], [t("compare.difference"), true], [t("compare.share"), true]])];
  table(box, columns, figures.filter(row => row.values.some(one => one !== null)).map(row => [row.name.replace(/^ +/, "\u2003"), ...row.values.slice(0, 6).flatMap((one, at) => {
    if (at === 0) return [value(one, row.unit)];
    const first = row.values[0], verdict = row.verdicts[at], both = one !== null && first !== null, tone = { class: `number ${verdict === "better" ? "good" : verdict === "worse" ? "bad" : ""}` };
    const mark = { better: "▲ ", worse: "▼ " }[verdict] ?? "";
    return [value(one, row.unit), el("td", tone, verdict === "same" ? "=" : both ? mark + (one > first ? "+" : "") + value(one - first, row.unit) : "–"),
      el("td", tone, verdict === "same" ? "" : both && first !== 0 ? `${one > first ? "+" : ""}${percent((one - first) / Math.abs(first))}` : "–")];
  })]));
}
{
  const grid = el("div", { class: "grid" });
  section("curves", t("compare.curves"), t("compare.curves.lead"), grid);
  const draw = (title, key, axis, options = {}) => {
    const box = card(title, t("compare.note"));
    grid.append(box);
    const count = Math.max(...runs.map(run => run[key].length));
    let series = runs.map((run, at) => ({ name: run.label, values: run[key], colour: shades[at], kind: at === 0 && runs.length > 1 ? "area" : "line" }));
    if (many) {
      const at = share => Array.from({ length: count }, (_, k) => {
        const values = runs.map(run => run[key][k]).filter(one => one !== null && one !== undefined).sort((a, b) => a - b);
        return values.length ? values[Math.round(share * (values.length - 1))] : null;
      });
      series = [{ name: t("compare.band", { count: runs.length }), values: at(0.9), low: at(0.1), colour: "var(--c0)", kind: "band" }, { name: t("compare.median"), values: at(0.5), colour: "var(--c0)", kind: "line" }];
    }
    curves(box, { axis, height: 280, series, legend: true, ...options });
  };
  const alike = runs.every(run => run.axis.step_s === runs[0].axis.step_s);
  offsetMs = runs[0].summary.scenario.utc_offset_h * 3600e3;
  // Runs of other starts lie over each other from their starts, told in hours.
  const apart = differ.includes("start"), step = runs[0].axis.step_s;
  const options = apart ? { name: at => hours(at * step / 3600), ticks: width => Array.from({ length: 7 }, (_, k) => { const at = Math.round(runs[0].power.length * k / 6); return [at, `${short(at * step / 3600)} h`]; }) } : {};
  if (alike) {
    draw(t("compare.power"), "power", runs[0].axis, options);
    if (runs.some(run => run.delivered.some(value => value))) draw(t("compare.delivered"), "delivered", runs[0].axis, options);
  }
  draw(t("compare.day"), "day", { start_ms: -offsetMs, step_s: 900 }, { name: at => clock(at * 900e3 - offsetMs), zoom: false });
}
page.append(el("footer", {}, t("footer")));
