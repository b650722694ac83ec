"use strict";
// Draws charts as SVG, canvas and plain elements. Text comes in as text nodes alone: nothing of a scenario is markup.
const words = JSON.parse(document.getElementById("words").textContent);
const model = JSON.parse(document.getElementById("data").textContent);
const lang = document.documentElement.lang;
const COLOURS = Array.from({ length: 8 }, (_, at) => `var(--c${at})`);

function t(key, values = {}) {
  return (words[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}
/** A word of the field that comes as data; unknown ones as they are. */
const word = text => words[`word.${text}`] ?? text;

function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "style") Object.assign(node.style, value); else node.setAttribute(name, value);
  }
  node.append(...children.filter(child => child !== null && child !== undefined));
  return node;
}
function svg(tag, attributes = {}, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

// Numbers -------------------------------------------------------------------------------------------------------------
const number = (value, digits = 0) =>
  value.toLocaleString(lang, { minimumFractionDigits: digits, maximumFractionDigits: digits });
/** Three digits or so. */
function short(value) {
  const size = Math.abs(value);
  return value.toLocaleString(lang, { maximumFractionDigits: size >= 100 ? 0 : size >= 10 ? 1 : size >= 0.1 ? 2 : 4 });
}
const STEPS = { kW: [[1e6, "GW"], [1e3, "MW"], [1, "kW"]], kWh: [[1e6, "GWh"], [1e3, "MWh"], [1, "kWh"]] };
/** A figure in a unit of its size: [text, unit]. */
function scaled(value, unit) {
  if (unit === "CNY") {
    const many = lang === "en" ? [1e6, "million CNY"] : [1e4, "万元"];
    return Math.abs(value) >= many[0] ? [short(value / many[0]), many[1]] : [number(value), t("CNY")];
  }
  const [by, name] = (STEPS[unit] ?? [[1, unit]]).find(([by]) => Math.abs(value) >= by) ?? [1, unit];
  return [short(value / by), name];
}
const quantity = (value, unit) => value === null || value === undefined ? "–" : scaled(value, unit).join(" ");
const percent = (share, digits = 1) => `${number(share * 100, digits)} %`;

// Time ----------------------------------------------------------------------------------------------------------------
let offsetMs = 0;
const two = value => String(value).padStart(2, "0");
const parts = ms => new Date(ms + offsetMs);
const clock = ms => `${two(parts(ms).getUTCHours())}:${two(parts(ms).getUTCMinutes())}`;
const dayName = (ms, options = { day: "numeric", month: "short" }) =>
  parts(ms).toLocaleDateString(lang === "en" ? "en-GB" : lang, { timeZone: "UTC", ...options });
const moment = ms => `${dayName(ms, { weekday: "short", day: "numeric", month: "short" })} ${clock(ms)}`;

function timeTicks(from, to, room) {
  const hour = 3600e3, day = 24 * hour;
  const steps = [60e3, 300e3, 900e3, 1800e3, hour, 2 * hour, 3 * hour, 6 * hour, 12 * hour, day, 2 * day, 7 * day, 14 * day];
  const least = (to - from) / Math.max(2, Math.floor(room / 74));
  if (least > 14 * day) {
    const ticks = [], at = parts(from);
    const months = Math.ceil(least / (31 * day));
    for (let m = at.getUTCMonth() + 1; ; m += months) {
      const ms = Date.UTC(at.getUTCFullYear(), m, 1) - offsetMs;
      if (ms > to) return ticks;
      ticks.push([ms, dayName(ms, { month: "short" })]);
    }
  }
  const step = steps.find(step => step >= least) ?? 14 * day;
  const ticks = [];
  for (let ms = Math.ceil((from + offsetMs) / step) * step - offsetMs; ms <= to; ms += step) {
    const midnight = (ms + offsetMs) % day === 0;
    ticks.push([ms, step >= day || (midnight && to - from > 1.5 * day) ? dayName(ms) : clock(ms)]);
  }
  return ticks;
}
function niceTicks(low, high, count) {
  const rough = (high - low || 1) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map(by => by * power).find(step => step >= rough);
  const ticks = [];
  for (let at = Math.floor(low / step + 1e-9); at * step <= high + step * 0.999; at++) ticks.push(+(at * step).toPrecision(12));
  return ticks;
}

// Tooltip -------------------------------------------------------------------------------------------------------------
const tip = el("div", { class: "tip", role: "status", hidden: "" });
document.body.append(tip);
function showTip(event, title, rows) {
  tip.replaceChildren(el("b", {}, title), ...rows.map(([name, value, colour]) =>
    el("div", {}, el("span", {}, colour ? el("i", { style: { background: colour } }) : null, name), el("b", {}, value))));
  tip.hidden = false;
  const box = tip.getBoundingClientRect(), right = event.clientX + 16 + box.width > innerWidth;
  tip.style.left = `${Math.max(4, right ? event.clientX - box.width - 14 : event.clientX + 16)}px`;
  tip.style.top = `${Math.max(4, Math.min(innerHeight - box.height - 4, event.clientY + 14))}px`;
}
const hideTip = () => { tip.hidden = true; };
addEventListener("scroll", hideTip, { passive: true });
function tipOn(node, title, rows) {
  node.addEventListener("pointermove", event => showTip(event, title, rows));
  node.addEventListener("pointerleave", hideTip);
}

// Frames --------------------------------------------------------------------------------------------------------------
const page = document.getElementById("page");
function section(id, title, lead, ...content) {
  const node = el("section", { id }, el("h2", {}, title), lead ? el("p", { class: "lead" }, lead) : null, ...content);
  page.append(node);
  return node;
}
function card(title, note, size = "") {
  const node = el("div", { class: `card ${size}` }, el("h3", {}, title), note ? el("p", { class: "note" }, note) : null);
  return node;
}
const empty = text => el("p", { class: "empty" }, text);
function legend(entries) {
  return el("ul", { class: "legend" }, ...entries.map(({ name, colour, mark = "" }) => el("li", {},
    el("i", { class: mark, style: mark === "dash" ? { color: colour } : { background: colour } }), name)));
}
/**
 * Draws anew whenever the width changes: in the next frame, since a drawing may bring the page a scroll bar, which
 * changes widths once more, and what changes within the observer's own call the browser reports as an error.
 */
function plot(parent, draw, label) {
  const box = el("div", { class: "plot", role: "img", "aria-label": label });
  parent.append(box);
  let width = 0;
  const again = () => {
    const now = Math.round(box.clientWidth);
    if (now > 0 && now !== width) { width = now; box.replaceChildren(); draw(box, width); }
  };
  new ResizeObserver(() => requestAnimationFrame(again)).observe(box);
  again();
  return box;
}

// Curves over time ----------------------------------------------------------------------------------------------------
/**
 * options: axis {start_ms, step_s}, unit, height, series: [{name, values, colour, kind}], shade: values, ticks, format.
 * kind: "line", "step", "area", "dash", "band" (with `low` beside `values`), "stack" (on those before).
 */
function curves(parent, options) {
  const { axis, unit = "kW", height = 250 } = options;
  const series = options.series.filter(one => one.values.some(value => value !== null));
  if (!series.length) { parent.append(empty(t("nothing"))); return; }
  if (series.length > 1 || options.legend) parent.append(legend(series.map(one => ({
    name: one.name, colour: one.colour, mark: one.kind === "dash" ? "dash" : ["line", "step"].includes(one.kind) ? "line" : "" }))));
  const count = Math.max(...series.map(one => one.values.length));
  let bottom = new Array(count).fill(0), below = new Array(count).fill(0);
  for (const one of series) {
    if (one.kind !== "stack") continue;
    // What is above zero lies on what is above zero, and the same below.
    one.low = one.values.map((value, at) => (value ?? 0) < 0 ? below[at] : bottom[at]);
    one.top = one.values.map((value, at) => one.low[at] + (value ?? 0));
    one.values.forEach((value, at) => { if ((value ?? 0) < 0) below[at] += value; else bottom[at] += value ?? 0; });
  }
  let range = [0, count];
  const format = options.format ?? (value => quantity(value, unit));
  const ms = at => axis.start_ms + at * axis.step_s * 1000;
  const draw = (box, width) => {
    const [from, to] = range, left = 50, right = 8, top = 20, low = 24;
    const inner = width - left - right, tall = height - top - low;
    let [least, most] = [0, 0];
    for (const one of series) for (const values of [one.top ?? one.values, one.low ?? []])
      for (let at = from; at < to; at++) { const v = values[at]; if (v !== null && v !== undefined) { if (v < least) least = v; if (v > most) most = v; } }
    const big = Math.max(-least, most), [by, name] = (STEPS[unit] ?? [[1, unit]]).find(([by]) => big >= by) ?? [1, unit];
    const ticks = niceTicks(least / by, most / by, 4).map(tick => tick * by);
    least = Math.min(least, ticks[0]); most = Math.max(most, ticks[ticks.length - 1]) || 1;
    const x = at => left + (at - from) / (to - from) * inner, y = v => top + (most - v) / (most - least) * tall;
    const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
    if (options.shade && to - from <= 2200) {
      const known = options.shade.filter(v => v !== null), [lo, hi] = [Math.min(...known), Math.max(...known)];
      for (let at = from, begin = from; at <= to && hi > lo; at++) {
        if (at < to && options.shade[at] === options.shade[begin]) continue;
        const share = ((options.shade[begin] ?? lo) - lo) / (hi - lo);
        if (share > 0.02) root.append(svg("rect", { x: x(begin), y: top, width: x(at) - x(begin), height: tall, fill: "var(--peak)", opacity: (share * 0.2).toFixed(3) }));
        begin = at;
      }
    }
    for (const tick of ticks) {
      root.append(svg("line", { class: tick === 0 ? "zero" : "grid-line", x1: left, x2: width - right, y1: y(tick), y2: y(tick) }));
      root.append(svg("text", { x: left - 7, y: y(tick) + 4, "text-anchor": "end" }, +(tick / by).toPrecision(6)));
    }
    root.append(svg("text", { x: 0, y: 8 }, name === "CNY/kWh" ? t("CNY/kWh") : name));
    const marks = options.ticks ? options.ticks(width) : timeTicks(ms(from), ms(to), inner).map(([at, text]) => [(at - axis.start_ms) / axis.step_s / 1000, text]);
    for (const [at, text] of marks) {
      const px = x(at);
      root.append(svg("line", { class: "grid-line", x1: px, x2: px, y1: top + tall, y2: top + tall + 4 }));
      root.append(svg("text", { x: px, y: height - 6, "text-anchor": px < left + 14 ? "start" : px > width - 20 ? "end" : "middle" }, text));
    }
    // Where single values cannot be seen, whole days are what can.
    const day = Math.round(86400 / axis.step_s);
    let group = Math.max(1, Math.round((to - from) / inner));
    if (day > group && to - from >= 45 * day) group = day;
    for (const one of series) root.append(...shapes(one, from, to, x, y, group));
    const cursor = svg("line", { class: "cursor", y1: top, y2: top + tall, visibility: "hidden" });
    const pick = svg("rect", { class: "pick", y: top, height: tall, visibility: "hidden" });
    root.append(pick, cursor);
    box.append(root);
    const nearest = event => {
      const rect = root.getBoundingClientRect(), px = (event.clientX - rect.left) / rect.width * width;
      return Math.min(to - 1, Math.max(from, Math.floor(from + (px - left) / inner * (to - from))));
    };
    let grabbed = null;
    root.onpointermove = event => {
      const at = nearest(event), px = x(at + 0.5);
      cursor.setAttribute("x1", px); cursor.setAttribute("x2", px); cursor.setAttribute("visibility", "visible");
      showTip(event, options.name ? options.name(at) : moment(ms(at)), series.map(one => [one.name,
        one.kind === "band" ? `${format(one.low[at])} … ${format(one.values[at])}` : format(one.values[at]), one.colour]));
      if (grabbed !== null) {
        const [a, b] = [Math.min(grabbed, at), Math.max(grabbed, at) + 1];
        pick.setAttribute("x", x(a)); pick.setAttribute("width", x(b) - x(a)); pick.setAttribute("visibility", "visible");
      }
    };
    root.onpointerleave = () => { hideTip(); cursor.setAttribute("visibility", "hidden"); };
    if (options.zoom === false) return;
    const redraw = next => { range = next; box.replaceChildren(); draw(box, width); };
    root.onpointerdown = event => { if (event.pointerType === "mouse" && event.button === 0) { grabbed = nearest(event); event.preventDefault(); } };
    root.onpointerup = event => {
      if (grabbed === null) return;
      const at = nearest(event), next = [Math.min(grabbed, at), Math.max(grabbed, at) + 1];
      grabbed = null;
      if (next[1] - next[0] > 4) redraw(next); else pick.setAttribute("visibility", "hidden");
    };
    root.ondblclick = () => redraw([0, count]);
  };
  plot(parent, draw, options.label ?? series.map(one => one.name).join(", "));
}

/** The shapes of a series. More points than pixels become a band from least to greatest with the mean in it. */
function shapes(one, from, to, x, y, perGroup) {
  const top = one.top ?? one.values, low = one.low, colour = one.colour;
  const group = perGroup, f = value => value.toFixed(1), runs = [];
  let run = null;
  for (let at = from; at < to; at += group) {
    let hi = -Infinity, lo = Infinity, floor = Infinity, total = 0, known = 0;
    for (let k = at; k < Math.min(to, at + group); k++) {
      if (top[k] === null || top[k] === undefined) continue;
      hi = Math.max(hi, top[k]); lo = Math.min(lo, top[k]); total += top[k]; known++;
      if (low) floor = Math.min(floor, low[k] ?? 0);
    }
    if (!known) { run = null; continue; }
    if (!run) runs.push(run = []);
    run.push([at, Math.min(to, at + group), hi, low ? floor : 0, lo, total / known]);
  }
  // Values hold for their interval: steps, unless those are no wider than a pixel or two.
  const stepped = x(from + group) - x(from) > 2.5;
  const points = (run, value) => run.flatMap(([a, b, ...values]) => stepped
    ? [`${f(x(a))},${f(y(values[value]))}`, `${f(x(b))},${f(y(values[value]))}`] : [`${f(x((a + b) / 2))},${f(y(values[value]))}`]);
  const fill = (run, upper, lower, opacity) =>
    svg("path", { d: `M${points(run, upper).join("L")}L${points(run, lower).reverse().join("L")}Z`, fill: colour, opacity });
  const out = [];
  for (const run of runs) {
    if (one.kind === "band") out.push(fill(run, 0, 1, 0.16));
    else if (one.kind === "stack") out.push(fill(run, 0, 1, 0.85));
    else {
      if (group > 1) out.push(fill(run, 0, 2, 0.25));
      if (one.kind === "area" && group < 12) out.push(fill(run, 3, 1, 0.2));
      out.push(svg("path", { d: `M${points(run, 3).join("L")}`, fill: "none", stroke: colour, "stroke-width": 1.8, "stroke-linejoin": "round", ...(one.kind === "dash" ? { "stroke-dasharray": "5 4" } : {}) }));
    }
  }
  return out;
}

// Bars and tables -----------------------------------------------------------------------------------------------------
/** rows: [{label, parts: [[name, value, colour]], amount}]: one bar each, all on the same scale. */
function bars(parent, rows, unit) {
  const most = Math.max(...rows.map(row => row.parts.reduce((sum, [, value]) => sum + Math.abs(value), 0)), 1e-9);
  const box = el("div", { class: "rows" });
  for (const { label, parts, amount } of rows) {
    const bar = el("div", { class: "bar" });
    for (const [name, value, colour] of parts) {
      const part = el("span", { style: { width: `${Math.abs(value) / most * 100}%`, background: colour } });
      tipOn(part, label, [[name, quantity(value, unit), colour]]);
      bar.append(part);
    }
    box.append(el("span", { class: "label" }, label), bar, el("span", { class: "amount" }, amount));
  }
  parent.append(box);
}
/** columns: [[title, numeric]]; cells are text or nodes. */
function table(parent, columns, rows) {
  const head = el("tr", {}, ...columns.map(([title, numeric]) => el("th", numeric ? { class: "number" } : {}, title)));
  const cell = (value, at) => value instanceof Node && value.nodeName === "TD" ? value : el("td", columns[at][1] ? { class: "number" } : {}, value);
  parent.append(el("div", { class: "scroll" }, el("table", {}, el("thead", {}, head),
    el("tbody", {}, ...rows.map(row => el("tr", {}, ...row.map(cell)))))));
}
const chip = (text, tone) => el("span", { class: `chip ${tone}` }, text);
function choice(parent, names, pick) {
  const buttons = names.map((name, at) => {
    const button = el("button", { type: "button", "aria-pressed": at === 0 }, name);
    button.onclick = () => { buttons.forEach((other, k) => other.setAttribute("aria-pressed", k === at)); pick(at); };
    return button;
  });
  parent.append(el("div", { class: "choice" }, ...buttons));
}

// Colours of heat maps: both scales are told apart with any kind of colour vision. -------------------------------------
const mix = (stops, share) => {
  const place = Math.min(0.9999, Math.max(0, share)) * (stops.length - 1), at = Math.floor(place), part = place - at;
  return stops[at].map((value, k) => Math.round(value + (stops[at + 1][k] - value) * part));
};
const SEQUENCE = [[247, 249, 252], [190, 214, 234], [116, 172, 209], [40, 116, 172], [8, 62, 115], [5, 32, 66]];
const EXPORT = [[247, 249, 252], [253, 205, 138], [240, 140, 40], [178, 75, 0]];
const rgb = ([r, g, b]) => `rgb(${r},${g},${b})`;
/** −1 to 1: what is fed back is orange, what is drawn is blue. */
const diverging = share => share < 0 ? mix(EXPORT, -share) : mix(SEQUENCE, share);
function scale(parent, low, high, colour, signed) {
  const stops = Array.from({ length: 11 }, (_, at) => rgb(colour(signed ? at / 5 - 1 : at / 10)));
  parent.append(el("ul", { class: "legend" }, el("li", {}, low), el("li", { style: { flex: "0 1 160px", background: `linear-gradient(90deg,${stops})`, borderRadius: "4px", height: "11px", alignSelf: "center" } }), el("li", {}, high)));
}
