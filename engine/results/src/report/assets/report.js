// One run.
const { summary, fleet } = model, scenario = summary.scenario;
offsetMs = scenario.utc_offset_h * 3600e3;
const startMs = Date.parse(scenario.start), endMs = startMs + scenario.duration_minutes * 60e3;
const long = scenario.duration_minutes > 14 * 1440;
const colourOf = new Map(model.aggregators.map(({ id }, at) => [id, COLOURS[at % COLOURS.length]]));
const sum = values => values.reduce((total, value) => total + (value ?? 0), 0);

page.append(el("header", {}, el("h1", {}, scenario.name), el("ul", { class: "facts" }, ...[
  `${dayName(startMs, { day: "numeric", month: "long", year: "numeric" })} ${clock(startMs)} – ${dayName(endMs, { day: "numeric", month: "long", year: "numeric" })} ${clock(endMs)}`,
  t("head.fleet", { stations: number(scenario.stations), piles: number(scenario.piles), v2g: number(scenario.v2g_piles), aggregators: number(scenario.aggregators), mva: short(scenario.capacity_mva) }),
  scenario.swap_stations ? t("head.swap", { count: number(scenario.swap_stations) }) : null,
  t("head.interval", { minutes: short(scenario.interval_s / 60) }), t("head.seed", { seed: scenario.seed }),
  ...scenario.rule_packs.map(pack => `${pack.name} v${pack.version}`),
].filter(Boolean).map(text => el("li", {}, text)))));
const nav = el("nav", { "aria-label": t("contents") });
page.append(nav);

// Headline figures ----------------------------------------------------------------------------------------------------
{
  const { energy, money, events, limits, vehicles, messages, regulation, reliability } = summary;
  const box = el("div", { class: "figures", id: "figures" });
  const figure = (name, [value, unit = ""], more, good) => box.append(el("div", { class: `card figure ${good === undefined ? "" : good ? "good" : "bad"}` },
    good === undefined ? null : el("span", { class: "mark", title: t(good ? "good" : "bad") }, good ? "✓" : "!"),
    el("div", { class: "name" }, name), el("div", { class: "value" }, value, el("small", {}, unit)), el("div", { class: "more" }, more ?? "")));
  const share = (part, all) => all > 0 ? part / all : 0;
  figure(t("fig.import"), scaled(energy.import_kwh, "kWh"), t("fig.import.more", { share: percent(share(energy.import_by_period_kwh.valley, energy.import_kwh), 0) }));
  figure(t("fig.export"), scaled(energy.export_kwh, "kWh"), t("fig.export.more", { vehicles: number(vehicles.v2g_vehicles) }));
  figure(t("fig.peak"), scaled(energy.peak_kw, "kW"), t("fig.peak.more", { share: percent(share(energy.peak_kw, scenario.capacity_mva * 1e3), 0) }));
  figure(t("fig.cost"), scaled(money.net_cost_cny, "CNY"), t("fig.cost.more", { price: number(share(money.net_cost_cny, energy.import_kwh), 3) }));
  figure(t("fig.earned"), scaled(money.feed_in_cny + money.subsidy_cny, "CNY"), t("fig.earned.more", { subsidy: quantity(money.subsidy_cny, "CNY") }));
  figure(t("fig.violations"), [number(limits.violations)], limits.worst_node ? t("fig.violations.more", { share: percent(limits.worst_loading, 0), node: limits.worst_node }) : "", limits.violations === 0);
  if (events.events) figure(t("fig.events"), [percent(share(events.delivered_kwh, events.promised_kwh))], t("fig.events.more", { delivered: events.delivered, events: events.events, short: quantity(events.shortfall_kwh, "kWh") }), events.delivered === events.events);
  if (regulation) figure(t("fig.regulation"), [percent(share(regulation.mean_achieved_error_kw, regulation.mean_requested_kw))], t("fig.regulation.more", { values: number(regulation.values) }));
  if (reliability) figure(t("fig.reliability"), [percent(reliability.kept_share)], t("fig.reliability.more", { stated: percent(reliability.stated_share), count: number(reliability.promises) }), reliability.kept_share >= reliability.stated_share - 0.005);
  figure(t("fig.vehicles"), [number(vehicles.arrivals)], t("fig.vehicles.more", { away: number(vehicles.turned_away) }));
  const causes = Object.entries(vehicles.short_causes).filter(([, count]) => count > 0).sort((a, b) => b[1] - a[1]).map(([name, count]) => ` · ${t(`short.${name}`)} ${number(count)}`).join("");
  figure(t("fig.short"), [percent(share(vehicles.short_departures, vehicles.departures), 2)], t("fig.short.more", { count: number(vehicles.short_departures), energy: quantity(vehicles.energy_short_kwh, "kWh") }) + causes);
  figure(t("fig.commands"), [number(messages.commands)], t("fig.commands.more", { refused: number(messages.refusals), guarded: number(messages.guarded) }));
  page.append(box);
}

// Power ---------------------------------------------------------------------------------------------------------------
{
  const at = fleet.power.reduce((best, value, k) => value !== null && (best < 0 || value > fleet.power[best]) ? k : best, -1);
  const peak = at < 0 ? t("nothing") : t("power.title", { peak: quantity(fleet.power[at], "kW"), when: moment(fleet.axis.start_ms + at * fleet.axis.step_s * 1000) });
  const grid = el("div", { class: "grid" });
  section("power", t("power"), t("power.lead"), grid);
  const main = card(peak, t(scenario.duration_minutes >= 45 * 1440 ? "power.note.long" : "power.note"));
  grid.append(main);
  const low = fleet.power.map((value, k) => value === null || fleet.callable_up[k] === null ? null : value - fleet.callable_up[k]);
  const high = fleet.power.map((value, k) => value === null || fleet.callable_down[k] === null ? null : value + fleet.callable_down[k]);
  const series = [{ name: t("power.all"), values: fleet.power, colour: "var(--c0)", kind: "area" }];
  if (!long && low.some(value => value !== null)) series.unshift({ name: t("power.callable"), values: high, low, colour: "var(--c2)", kind: "band" });
  curves(main, { axis: fleet.axis, height: 300, series, shade: fleet.price });
  const price = card(t("price.title"), t("price.note"), "half");
  grid.append(price);
  curves(price, { axis: fleet.axis, unit: "CNY/kWh", height: 170, format: value => value === null ? "–" : `${number(value, 4)} ${t("CNY/kWh")}`, series: [
    { name: t("price.energy"), values: fleet.price, colour: "var(--c5)", kind: "line" },
    { name: t("price.feed_in"), values: fleet.feed_in, colour: "var(--c2)", kind: "dash" }] });
  const vehicles = card(t("vehicles.title", { most: number(Math.max(0, ...fleet.vehicles)) }), t("vehicles.note"), "half");
  grid.append(vehicles);
  curves(vehicles, { axis: fleet.axis, unit: "", height: 170, format: value => value === null ? "–" : number(value), series: [{ name: t("vehicles"), values: fleet.vehicles, colour: "var(--c6)", kind: "area" }] });
}

// Days, when there are many -------------------------------------------------------------------------------------------
if (model.typical) {
  const grid = el("div", { class: "grid" });
  section("days", t("days"), t("days.lead", { days: model.days.length }), grid);
  const slots = model.typical.slot_s;
  for (const [key, colour] of [["weekday", "var(--c0)"], ["weekend", "var(--c3)"]]) {
    const band = model.typical[key], box = card(t(`days.${key}`, { days: band.days }), t("days.band"), "half");
    grid.append(box);
    const hour = at => `${two(Math.floor(at * slots / 3600))}:${two(Math.floor(at * slots % 3600 / 60))}`;
    curves(box, { axis: { start_ms: 0, step_s: slots }, height: 210, zoom: false, name: hour, series: [
      { name: t("days.tenth"), values: band.high, low: band.low, colour, kind: "band" }, { name: t("days.median"), values: band.median, colour, kind: "line" }],
      ticks: width => Array.from({ length: 9 }, (_, k) => k * 3).filter(k => width > 420 || k % 6 === 0).map(k => [k * 3600 / slots, `${two(k)}:00`]) });
  }
  if (model.days.length >= 28) { calendar(grid); months(grid); }
}
function calendar(grid) {
  const kinds = [["import_kwh", "kWh"], ["export_kwh", "kWh"], ["peak_kw", "kW"], ["net_cost_cny", "CNY"]];
  const box = card(t("calendar.title"), t("calendar.note"));
  grid.append(box);
  let kind = 0, area = el("div");
  choice(box, kinds.map(([key]) => t(`calendar.${key}`)), at => { kind = at; draw(); });
  box.append(area);
  function draw() {
    const [key, unit] = kinds[kind], values = model.days.map(day => day[key]);
    const [least, most] = [Math.min(...values), Math.max(...values)];
    area.replaceChildren();
    plot(area, (holder, width) => {
      const first = Date.parse(model.days[0].day), monday = at => (new Date(at).getUTCDay() + 6) % 7;
      const lead = monday(first), last = Date.parse(model.days[model.days.length - 1].day);
      const weeks = Math.ceil((lead + (last - first) / 864e5 + 1) / 7);
      const perRow = width < 620 ? Math.min(weeks, 27) : weeks, lines = Math.ceil(weeks / perRow);
      const left = 30, cell = Math.min(26, (width - left) / perRow), tall = cell * 7 + 24;
      const root = svg("svg", { viewBox: `0 0 ${width} ${tall * lines}` });
      for (const day of model.days) {
        const ms = Date.parse(day.day), place = lead + Math.round((ms - first) / 864e5), week = Math.floor(place / 7);
        const x = left + week % perRow * cell, y = Math.floor(week / perRow) * tall + 18 + place % 7 * cell;
        const rect = svg("rect", { x, y, width: cell - 2, height: cell - 2, rx: Math.min(3, cell / 5), fill: rgb(mix(SEQUENCE.slice(1), most > least ? (day[key] - least) / (most - least) : 0.5)) });
        tipOn(rect, new Date(ms).toLocaleDateString(lang === "en" ? "en-GB" : lang, { timeZone: "UTC", weekday: "short", day: "numeric", month: "short", year: "numeric" }),
          kinds.map(([name, unit]) => [t(`calendar.${name}`), quantity(day[name], unit)]).concat(day.violations ? [[t("fig.violations"), number(day.violations)]] : []));
        root.append(rect);
        if (day.day.endsWith("-01")) root.append(svg("text", { x, y: Math.floor(week / perRow) * tall + 12 }, new Date(ms).toLocaleDateString(lang, { timeZone: "UTC", month: "short" })));
      }
      for (let line = 0; line < lines; line++) for (const k of [0, 2, 4, 6])
        root.append(svg("text", { x: 0, y: line * tall + 18 + k * cell + cell * 0.7 }, new Date(Date.UTC(2024, 0, 1 + k)).toLocaleDateString(lang, { weekday: "short", timeZone: "UTC" }).slice(0, 3)));
      holder.append(root);
    }, t(`calendar.${key}`));
    scale(area, quantity(least, unit), quantity(most, unit), share => mix(SEQUENCE.slice(1), share));
  }
  draw();
}
function months(grid) {
  const all = new Map();
  for (const day of model.days) {
    const month = all.get(day.day.slice(0, 7)) ?? { import_kwh: 0, export_kwh: 0, net_cost_cny: 0, peak_kw: 0 };
    for (const key of ["import_kwh", "export_kwh", "net_cost_cny"]) month[key] += day[key];
    month.peak_kw = Math.max(month.peak_kw, day.peak_kw);
    all.set(day.day.slice(0, 7), month);
  }
  if (all.size < 2) return;
  const box = card(t("months.title"), t("months.note"));
  grid.append(box);
  box.append(legend([{ name: t("drawn"), colour: "var(--c0)" }, { name: t("fed_back"), colour: "var(--c1)" }]));
  bars(box, [...all].map(([month, of]) => ({ label: month, parts: [[t("drawn"), of.import_kwh, "var(--c0)"], [t("fed_back"), of.export_kwh, "var(--c1)"]],
    amount: `${quantity(of.import_kwh, "kWh")} · ${quantity(of.net_cost_cny, "CNY")}` })), "kWh");
}

// Limits --------------------------------------------------------------------------------------------------------------
{
  const grid = el("div", { class: "grid" });
  section("limits", t("limits"), t("limits.lead"), grid);
  if (!model.nodes.length) grid.append(empty(t("limits.none")));
  for (const node of model.nodes) {
    const box = card(t("limits.title", { node: node.id, share: percent(node.worst_loading, 0) }), t(node.axis.step_s > scenario.interval_s ? "limits.note.long" : "limits.note"), "half");
    grid.append(box);
    const least = Math.min(0, ...node.power), series = [
      { name: t("limits.power"), values: node.power, colour: "var(--c0)", kind: "area" }, { name: t("limits.stations"), values: node.stations, colour: "var(--c1)", kind: "line" },
      { name: t("limits.limit"), values: node.import_limit, colour: "var(--c5)", kind: "dash" }];
    if (least < 0) series.push({ name: t("limits.export"), values: node.export_limit.map(value => value === null ? null : -value), colour: "var(--c3)", kind: "dash" });
    curves(box, { axis: node.axis, height: 190, series });
  }
  const prices = card(t("prices.title"), t("prices.note"));
  grid.append(prices);
  if (!model.prices.length) prices.append(empty(t("prices.none")));
  else bars(prices, model.prices.map(price => ({ label: price.limit, parts: [[t("prices.worth"), price.cny_per_kw, "var(--c5)"]],
    amount: t("prices.amount", { hours: short(price.hours), mean: number(price.mean_cny_per_kwh, 3), worst: number(price.worst_cny_per_kwh, 3) }) })), "CNY/kW");
}

// Programmes ----------------------------------------------------------------------------------------------------------
{
  const grid = el("div", { class: "grid" });
  section("programmes", t("programmes"), t("programmes.lead"), grid);
  const { list, more } = model.events, promising = model.aggregators.filter(one => one.programme);
  if (promising.length) {
    const promised = sum(list.map(event => event.promised_kwh)), delivered = sum(list.map(event => event.delivered_kwh));
    const box = card(promised > 0 ? t("programmes.title", { delivered: quantity(delivered, "kWh"), promised: quantity(promised, "kWh") }) : t("programmes.over"), t("programmes.note"));
    grid.append(box);
    if (long && list.length > 1) {
      // Single hours cannot be seen on a long run: each event is a column.
      box.querySelector(".note").textContent = t("programmes.note.long");
      const by = promising.map(one => ({ name: one.id, colour: colourOf.get(one.id), kind: "stack", values: list.map(event => event.by.find(part => part.aggregator === one.id)?.delivered_kwh ?? 0) }));
      curves(box, { axis: { start_ms: 0, step_s: 1 }, unit: "kWh", zoom: false, legend: true, name: at => `${list[at].id} · ${moment(list[at].start_ms)}`,
        ticks: width => { const count = Math.min(list.length, Math.floor(width / 90)); return Array.from({ length: count }, (_, k) => { const at = Math.floor(k * list.length / count); return [at + 0.5, dayName(list[at].start_ms)]; }); },
        series: [...by, { name: t("programmes.committed"), values: list.map(event => event.promised_kwh), colour: "var(--ink)", kind: "dash" }] });
    } else {
      // Only what lies around a programme is of interest on a short run.
      const axis = promising[0].programme.axis, all = promising[0].programme.committed.map((_, at) => promising.every(one => one.programme.committed[at] === null) ? null : sum(promising.map(one => one.programme.committed[at])));
      const busy = all.map((value, at) => value ? at : -1).filter(at => at >= 0), pad = Math.ceil(5400 / axis.step_s);
      const [from, to] = [Math.max(0, busy[0] - pad), Math.min(all.length, busy[busy.length - 1] + pad + 1)];
      curves(box, { axis: { start_ms: axis.start_ms + from * axis.step_s * 1000, step_s: axis.step_s }, legend: true, series: [
        ...promising.map(one => ({ name: one.id, values: one.programme.delivered.slice(from, to), colour: colourOf.get(one.id), kind: "stack" })),
        { name: t("programmes.committed"), values: all.slice(from, to), colour: "var(--ink)", kind: "dash" }] });
    }
  }
  if (!list.length) grid.append(empty(t("events.none")));
  else {
    const box = card(t("events.title", { count: list.length + more }), more ? t("events.more", { more }) : t("events.note"), "tall");
    grid.append(box);
    box.append(legend([...new Set(list.flatMap(event => event.by.map(part => part.aggregator)))].map(id => ({ name: id, colour: colourOf.get(id) ?? "var(--c7)" }))));
    table(box, [[t("events.event")], [t("events.kind")], [t("events.when")], [t("events.asked"), true], [t("events.promised"), true], [t("events.delivered"), true], [t("events.shortfall"), true], [t("events.by")], [t("events.state")]],
      list.map(event => {
        const bar = el("div", { class: "bar", style: { display: "flex", height: "16px", width: "120px", borderRadius: "4px", overflow: "hidden", background: "var(--shade)" } });
        for (const part of event.by) {
          const piece = el("span", { style: { width: `${part.delivered_kwh / Math.max(event.promised_kwh, event.delivered_kwh, 1e-9) * 100}%`, background: colourOf.get(part.aggregator) ?? "var(--c7)" } });
          tipOn(piece, part.aggregator, [[t("events.delivered"), quantity(part.delivered_kwh, "kWh")], [t("events.promised"), quantity(part.promised_kwh, "kWh")], [t("events.state"), word(part.state)]]);
          bar.append(piece);
        }
        const states = [...new Set(event.by.map(part => part.state))], whole = states.every(state => state === "delivered");
        const state = whole ? chip(`✓ ${word("delivered")}`, "good") : states.includes("partly_delivered") ? chip(`! ${word("partly_delivered")}`, "bad") : chip(states.map(word).join(", "), "plain");
        return [event.id, word(event.kind), `${moment(event.start_ms)} – ${clock(event.end_ms)}`, quantity(event.asked_kw, "kW"), quantity(event.promised_kw, "kW"), quantity(event.delivered_kwh, "kWh"), quantity(event.shortfall_kwh, "kWh"), bar, state];
      }));
  }
}

// Regulation ----------------------------------------------------------------------------------------------------------
{
  const grid = el("div", { class: "grid" }), regulation = model.regulation;
  section("regulation", t("regulation"), t("regulation.lead"), grid);
  if (!regulation) grid.append(empty(t("regulation.none")));
  else {
    const box = card(t("regulation.title", { error: percent(summary.regulation.mean_achieved_error_kw / (summary.regulation.mean_requested_kw || 1)) }), t(regulation.averaged ? "regulation.note.mean" : "regulation.note", { seconds: regulation.axis.step_s }), "wide");
    const width = regulation.error_width_kw, counts = regulation.error_counts, total = sum(counts);
    const errors = card(t("regulation.errors", { error: quantity(summary.regulation.mean_achieved_error_kw, "kW") }), t("regulation.errors.note"), "third");
    grid.append(box, errors);
    curves(box, { axis: regulation.axis, series: [{ name: t("regulation.requested"), values: regulation.requested, colour: "var(--c1)", kind: "line" }, { name: t("regulation.achieved"), values: regulation.achieved, colour: "var(--c0)", kind: "line" }] });
    curves(errors, { axis: { start_ms: 0, step_s: 1 }, unit: "%", height: 230, zoom: false, format: value => `${number(value, 1)} %`,
      name: at => `${short(regulation.error_from_kw + at * width)} … ${short(regulation.error_from_kw + (at + 1) * width)} kW`,
      ticks: () => [0, 0.25, 0.5, 0.75, 1].map(share => [share * counts.length, short(share === 0.5 ? 0 : regulation.error_from_kw + share * counts.length * width)]),
      series: [{ name: t("regulation.share"), values: counts.map(count => count / total * 100), colour: "var(--c0)", kind: "area" }] });
  }
}

// Promises ------------------------------------------------------------------------------------------------------------
{
  const holder = el("div", { class: "grid" });
  section("promises", t("promises"), t("promises.lead"), holder);
  if (!model.reliability.length) holder.append(empty(t("promises.none")));
  else {
    const counted = summary.reliability;
    const box = card(counted ? t("promises.title", { kept: percent(counted.kept_share), stated: percent(counted.stated_share) }) : t("promises"), t("promises.note"), "half");
    const list = card(t("promises.table"), t("promises.table.note"), "half");
    holder.append(box, list);
    plot(box, (area, width) => {
      const size = Math.min(width, 380), left = 46, low = 34, inner = size - left - 12, tall = size - low - 12;
      const x = v => left + v * inner, y = v => 12 + (1 - v) * tall, root = svg("svg", { viewBox: `0 0 ${width} ${size}` });
      for (const tick of [0, 0.2, 0.4, 0.6, 0.8, 1]) {
        root.append(svg("line", { class: "grid-line", x1: x(0), x2: x(1), y1: y(tick), y2: y(tick) }), svg("line", { class: "grid-line", x1: x(tick), x2: x(tick), y1: y(0), y2: y(1) }));
        root.append(svg("text", { x: left - 7, y: y(tick) + 4, "text-anchor": "end" }, `${tick * 100} %`), svg("text", { x: x(tick), y: y(0) + 16, "text-anchor": "middle" }, tick * 100));
      }
      root.append(svg("line", { x1: x(0), y1: y(0), x2: x(1), y2: y(1), stroke: "var(--soft)", "stroke-dasharray": "5 4" }));
      root.append(svg("text", { x: x(0.5), y: size - 3, "text-anchor": "middle" }, t("promises.x")));
      const most = Math.max(...model.reliability.map(bin => bin.promises));
      for (const bin of model.reliability) {
        const good = bin.high >= bin.stated, colour = good ? "var(--c0)" : "var(--c5)";
        root.append(svg("line", { x1: x(bin.stated), x2: x(bin.stated), y1: y(bin.low), y2: y(bin.high), stroke: colour, "stroke-width": 2 }));
        const dot = svg("circle", { cx: x(bin.stated), cy: y(bin.kept), r: 4 + 5 * Math.sqrt(bin.promises / most), fill: colour, "fill-opacity": 0.85, stroke: "var(--card)", "stroke-width": 1.5 });
        tipOn(dot, t("promises.stated", { share: percent(bin.stated) }), [[t("promises.kept"), percent(bin.kept)], [t("promises.sure"), `${percent(bin.low)} … ${percent(bin.high)}`], [t("promises.count"), number(bin.promises)]]);
        root.append(dot);
      }
      area.append(root);
    }, t("promises"));
    table(list, [[t("promises.said"), true], [t("promises.kept"), true], [t("promises.sure"), true], [t("promises.count"), true]],
      model.reliability.map(bin => [percent(bin.stated), percent(bin.kept), `${percent(bin.low)} … ${percent(bin.high)}`, number(bin.promises)]));
  }
  if (model.visits.length) {
    const box = card(t("visits.title"), t("visits.note")), share = value => value === null ? "–" : percent(value);
    holder.append(box);
    table(box, [[t("visits.quantity")], ...[10, 50, 90].map(stated => [t("visits.below", { share: `${stated} %` }), true]), [t("visits.error"), true], [t("visits.quarters"), true]],
      model.visits.map(one => [t(`visits.${one.quantity}`), ...one.below.map(share), share(one.error_share), number(one.quarters)]));
  }
}

// Aggregators ---------------------------------------------------------------------------------------------------------
{
  const grid = el("div", { class: "grid" }), all = model.aggregators;
  section("aggregators", t("aggregators"), t("aggregators.lead"), grid);
  if (!all.length) grid.append(empty(t("nothing")));
  else {
    const energy = card(t("aggregators.energy", { energy: quantity(summary.energy.import_kwh, "kWh") }), t("aggregators.energy.note"), "half");
    const money = card(t("aggregators.money", { cost: quantity(summary.money.net_cost_cny, "CNY") }), t("aggregators.money.note"), "half");
    grid.append(energy, money);
    energy.append(legend([{ name: t("drawn"), colour: "var(--c0)" }, { name: t("fed_back"), colour: "var(--c1)" }]));
    bars(energy, all.map(one => ({ label: one.id, parts: [[t("drawn"), one.import_kwh, "var(--c0)"], [t("fed_back"), one.export_kwh, "var(--c1)"]], amount: `${quantity(one.import_kwh, "kWh")} / ${quantity(one.export_kwh, "kWh")}` })), "kWh");
    table(money, [[t("aggregators.who")], [t("aggregators.cost"), true], [t("aggregators.feed_in"), true], [t("aggregators.subsidy"), true], [t("aggregators.net"), true]],
      all.map(one => [one.id, number(one.energy_cost_cny), number(one.feed_in_cny), number(one.subsidy_cny), number(one.energy_cost_cny - one.feed_in_cny - one.subsidy_cny)]));
  }
}

// Stations ------------------------------------------------------------------------------------------------------------
{
  const grid = el("div", { class: "grid" }), map = model.stations, periods = ["sharp", "peak", "flat", "valley"];
  section("stations", t("stations"), t("stations.lead"), grid);
  if (!map || !map.stations.length) grid.append(empty(t("stations.none")));
  else {
    const bytes = Int8Array.from(atob(map.cells), c => c.charCodeAt(0)), rows = map.stations.length, days = map.first_day !== null;
    const box = card(t(days ? "stations.title.days" : "stations.title", { count: number(rows) }), t("stations.note"));
    grid.append(box);
    const column = at => days ? new Date(Date.parse(map.first_day) + at * 864e5).toLocaleDateString(lang === "en" ? "en-GB" : lang, { timeZone: "UTC", day: "numeric", month: "short", year: "numeric" }) : `${two(Math.floor(at / 4))}:${two(at % 4 * 15)}`;
    plot(box, (area, width) => {
      const canvas = el("canvas", { width: map.width, height: rows, style: { height: `${Math.max(120, Math.min(760, rows * Math.max(1, Math.round(10 - rows / 60))))}px` } });
      const context = canvas.getContext("2d"), image = context.createImageData(map.width, rows);
      bytes.forEach((value, at) => { const [r, g, b] = diverging(value / 127); image.data.set([r, g, b, 255], at * 4); });
      context.putImageData(image, 0, 0);
      canvas.onpointermove = event => {
        const rect = canvas.getBoundingClientRect(), at = Math.floor((event.clientX - rect.left) / rect.width * map.width), row = Math.floor((event.clientY - rect.top) / rect.height * rows);
        const station = map.stations[row];
        if (station && at >= 0 && at < map.width) showTip(event, `${station.id} · ${column(at)}`, [[t("stations.power"), quantity(bytes[row * map.width + at] / 127 * station.scale_kw, "kW")], [t("stations.profile"), station.profile], [t("aggregators.who"), station.aggregator]]);
      };
      canvas.onpointerleave = hideTip;
      const count = Math.max(2, Math.min(days ? 12 : 8, Math.floor(width / 76)));
      const axis = svg("svg", { viewBox: `0 0 ${width} 20` });
      for (let k = 0; k <= count; k++) axis.append(svg("text", { x: k / count * width, y: 14, "text-anchor": k === 0 ? "start" : k === count ? "end" : "middle" }, days ? column(Math.min(map.width - 1, Math.round(k / count * map.width))).replace(/ \d{4}$/, "") : `${two(Math.round(k / count * 24))}:00`));
      area.append(canvas, axis);
    }, t("stations.title", { count: rows }));
    scale(box, t("stations.low"), t("stations.high"), diverging, true);
  }
  if (model.profiles.length) {
    const energy = card(t("profiles.title"), t("profiles.note"), "half"), table_ = card(t("profiles.vehicles"), t("profiles.vehicles.note"), "half");
    grid.append(energy, table_);
    energy.append(legend(periods.map(period => ({ name: t(`period.${period}`), colour: `var(--${period})` }))));
    bars(energy, model.profiles.flatMap(profile => [["import_kwh", "drawn"], ["export_kwh", "fed_back"]].filter(([key]) => sum(profile[key]) > 0).map(([key, name]) => ({
      label: `${profile.id} · ${t(name)}`, parts: periods.map((period, at) => [t(`period.${period}`), profile[key][at], `var(--${period})`]), amount: quantity(sum(profile[key]), "kWh") }))), "kWh");
    table(table_, [[t("stations.profile")], [t("profiles.arrivals"), true], [t("profiles.short"), true], [t("profiles.away"), true], [t("profiles.v2g"), true]],
      model.profiles.map(profile => [profile.id, number(profile.arrivals), number(profile.short_departures), number(profile.turned_away), number(profile.v2g_vehicles)]));
  }
}

// Control and alarms --------------------------------------------------------------------------------------------------
{
  const grid = el("div", { class: "grid" }), { list, more } = model.alarms, all = sum(model.decisions.map(([, count]) => count));
  section("control", t("control"), t("control.lead"), grid);
  const decisions = card(t("control.decisions"), t("control.decisions.note"), "half"), alarms = card(t("alarms.title", { count: number(list.length + more) }), more ? t("alarms.more", { more: number(more) }) : t("alarms.note"), "half");
  grid.append(decisions, alarms);
  if (all) bars(decisions, [...model.decisions].sort((a, b) => b[1] - a[1]).map(([name, count], at) => ({ label: word(name), parts: [[word(name), count, COLOURS[at % 8]]], amount: `${percent(count / all)} · ${number(count)}` })), "");
  if (!list.length) alarms.append(empty(t("alarms.none")));
  else table(alarms, [[t("alarms.when")], [t("alarms.severity")], [t("alarms.subject")], [t("alarms.text")]], list.map(alarm => [moment(alarm.time_ms), chip(word(alarm.severity), alarm.severity === "info" ? "plain" : "bad"), alarm.subject, alarm.text]));
}
for (const node of document.querySelectorAll("section")) nav.append(el("a", { href: `#${node.id}` }, node.querySelector("h2").textContent));
page.append(el("footer", {}, t("footer")));
