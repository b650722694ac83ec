//! The report on some runs, in one language.

use std::collections::BTreeMap;

use chrono::{Datelike as _, NaiveDate};
use vpp_market_adapters::plan::{
    Bilingual, Finding, Language, Measured, Place, Plan, Reason, Response, Verdict, judge,
};
use vpp_market_adapters::subsidy::{Budget, Claim, SubsidyRules};

use super::document::{Block, Cell, Document, Kind, Table};
use super::words::{facility, filled, number, reason, status, words};

/// As many calls for demand response are listed.
const EVENTS: usize = 8;

/// What the facilities of a kind did, kWh by period.
#[derive(Clone, Copy, Default)]
pub(super) struct Sums {
    pub(super) stations: u64,
    pub(super) import_kwh: [f64; 4],
    pub(super) export_kwh: [f64; 4],
}

impl Sums {
    fn add(&mut self, stations: u64, import_kwh: &[f64; 4], export_kwh: &[f64; 4]) {
        self.stations += stations;
        for (sum, kwh) in self.import_kwh.iter_mut().zip(import_kwh) {
            *sum += kwh;
        }
        for (sum, kwh) in self.export_kwh.iter_mut().zip(export_kwh) {
            *sum += kwh;
        }
    }
}

/// Sums by kind of facility.
pub(super) fn facilities(run: &Measured) -> BTreeMap<&str, Sums> {
    let mut all: BTreeMap<&str, Sums> = BTreeMap::new();
    for place in &run.places {
        let sums = all.entry(&place.profile).or_default();
        sums.add(1, &place.import_kwh, &place.export_kwh);
    }
    all
}

/// The report on all runs.
pub(super) fn document(plan: &Plan, runs: &[Measured], language: Language) -> Document {
    let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
    let joint = match language {
        Language::English => ", ",
        Language::Chinese => "、",
    };
    let mut blocks = Vec::new();
    for run in runs {
        if runs.len() > 1 {
            blocks.push(Block::Heading(run.name.clone()));
        }
        let page = Page {
            plan,
            run,
            findings: judge(plan, run),
            language,
        };
        page.write(&mut blocks);
    }
    let words = words();
    blocks.push(Block::Heading(words.limits.text(language).into()));
    blocks.push(Block::Text(words.limits_text.text(language).into()));
    Document {
        language: match language {
            Language::English => "en",
            Language::Chinese => "zh-CN",
        },
        title: filled(&words.title, language, &[("name", &names.join(joint))]),
        blocks,
    }
}

/// The report on one run.
struct Page<'a> {
    plan: &'a Plan,
    run: &'a Measured,
    findings: Vec<Finding<'a>>,
    language: Language,
}

impl Page<'_> {
    fn write(&self, blocks: &mut Vec<Block>) {
        let words = words();
        self.head(blocks);
        blocks.push(self.heading(&words.targets));
        blocks.push(Block::Table(self.targets()));
        blocks.push(self.heading(&words.power));
        blocks.push(Block::Text(self.power()));
        blocks.push(self.heading(&words.response));
        self.response(blocks);
        blocks.push(self.heading(&words.regulation));
        blocks.push(Block::Text(self.regulation()));
        if let Some(text) = self.subsidy() {
            blocks.push(self.heading(&words.subsidy));
            blocks.push(Block::Text(text));
        }
        blocks.push(self.heading(&words.energy));
        blocks.push(Block::Table(self.energy()));
        blocks.push(self.heading(&words.elsewhere));
        blocks.push(Block::Text(self.say(&words.elsewhere_text, &[])));
        blocks.push(Block::Table(self.elsewhere()));
    }

    fn say(&self, text: &Bilingual, values: &[(&str, &str)]) -> String {
        filled(text, self.language, values)
    }

    fn heading(&self, text: &Bilingual) -> Block {
        Block::Heading(self.say(text, &[]))
    }

    fn head(&self, blocks: &mut Vec<Block>) {
        let (words, run) = (words(), self.run);
        let year = run.first_day.year();
        let year_days = days_in(year);
        let covers = self.say(
            &words.covers,
            &[
                ("day", &run.first_day.to_string()),
                ("days", &short(run.days)),
                ("year_days", &short(year_days)),
                ("year", &year.to_string()),
                ("plan", &self.plan.pack.to_string()),
            ],
        );
        blocks.push(Block::Text(covers));
        if run.days < year_days {
            blocks.push(Block::Text(self.say(&words.part, &[])));
        }
        let count = |of: fn(&Verdict) -> bool| {
            let all = self.findings.iter();
            all.filter(|found| of(&found.verdict)).count().to_string()
        };
        let tally = self.say(
            &words.tally,
            &[
                ("met", &count(|verdict| *verdict == Verdict::Met)),
                ("not_met", &count(|verdict| *verdict == Verdict::NotMet)),
                (
                    "open",
                    &count(|verdict| matches!(verdict, Verdict::NotMeasurable(_))),
                ),
            ],
        );
        blocks.push(Block::Text(tally));
    }

    fn targets(&self) -> Table {
        let words = words();
        let head = [
            &words.target,
            &words.wanted,
            &words.measured,
            &words.result,
            &words.how,
        ];
        Table {
            head: head.map(|text| self.say(text, &[])).into(),
            rows: self
                .findings
                .iter()
                .map(|found| self.finding(found))
                .collect(),
        }
    }

    fn finding(&self, found: &Finding<'_>) -> Vec<Cell> {
        let (words, target) = (words(), found.target);
        let unit = target.unit.text(self.language);
        let limit = if target.at_most {
            &words.at_most
        } else {
            &words.at_least
        };
        let wanted = self.say(
            limit,
            &[
                ("value", &number(found.wanted, 0)),
                ("unit", unit),
                ("year", &found.since.to_string()),
            ],
        );
        let (kind, result) = match found.verdict {
            Verdict::Met => (Kind::Good, self.say(&words.met, &[])),
            Verdict::NotMet => (Kind::Bad, self.say(&words.not_met, &[])),
            Verdict::NotMeasurable(why) => {
                let (open, why) = (self.say(&words.open, &[]), self.say(reason(why), &[]));
                (Kind::Open, self.noted(&open, &[why]))
            }
        };
        let how = target.how.text(self.language);
        let source = target.source.text(self.language);
        let how = match self.language {
            Language::English => format!("{how}; {source}"),
            Language::Chinese => format!("{how}；{source}"),
        };
        vec![
            Cell::text(target.name.text(self.language)),
            Cell::text(wanted),
            Cell::text(self.measured(found)),
            Cell { text: result, kind },
            Cell::text(how),
        ]
    }

    /// The figure of a finding with what stands beside it.
    fn measured(&self, found: &Finding<'_>) -> String {
        let Some(measured) = found.measured else {
            return "—".into();
        };
        let words = words();
        // What is counted is whole; what is measured has a decimal at least.
        let decimals = match (found.target.decimals, measured.fract().abs() > 1e-9) {
            (0, true) => 1,
            (decimals, _) => decimals as usize,
        };
        let unit = found.target.unit.text(self.language);
        let value = number(measured, decimals);
        let value = self.say(&words.value, &[("value", &value), ("unit", unit)]);
        let beside = |text, of: Option<f64>| {
            of.map(|of| self.say(text, &[("value", &number(of, decimals.max(1)))]))
        };
        let notes = [
            beside(&words.at_piles, found.at_piles),
            beside(&words.scaled, found.scaled),
        ];
        let notes: Vec<String> = notes.into_iter().flatten().collect();
        self.noted(&value, &notes)
    }

    fn noted(&self, text: &str, notes: &[String]) -> String {
        if notes.is_empty() {
            return text.into();
        }
        match self.language {
            Language::English => format!("{text} ({})", notes.join("; ")),
            Language::Chinese => format!("{text}（{}）", notes.join("；")),
        }
    }

    fn power(&self) -> String {
        let words = words();
        let callable = match self.run.callable_mw {
            Some(mw) => self.say(&words.callable, &[("value", &number(mw, 1))]),
            None => self.say(&words.not_asked, &[]),
        };
        let peak = number(self.run.peak_mw, 1);
        self.say(
            &words.power_text,
            &[("peak", &peak), ("callable", &callable)],
        )
    }

    fn response(&self, blocks: &mut Vec<Block>) {
        let words = words();
        let mut events: Vec<_> = self.run.responses.iter().collect();
        if events.is_empty() {
            blocks.push(Block::Text(self.say(&words.no_response, &[])));
            return;
        }
        let asked: f64 = events
            .iter()
            .map(|event| event.asked_mw * event.hours)
            .sum();
        let delivered: f64 = events.iter().map(|event| event.delivered_mwh).sum();
        let ratio = if asked > 0.0 { delivered / asked } else { 0.0 };
        blocks.push(Block::Text(self.say(
            &words.response_text,
            &[
                ("count", &events.len().to_string()),
                ("asked", &number(asked, 1)),
                ("delivered", &number(delivered, 1)),
                ("ratio", &percent(Some(ratio))),
            ],
        )));
        events.sort_by(|a, b| b.mean_mw().total_cmp(&a.mean_mw()).then(a.id.cmp(&b.id)));
        let head = [
            &words.event,
            &words.asked_mw,
            &words.promised_mw,
            &words.delivered_mw,
            &words.ratio,
            &words.aggregators,
        ];
        let row = |event: &&Response| {
            vec![
                Cell::text(event.id.as_str()),
                Cell::number(number(event.asked_mw, 2)),
                Cell::number(number(event.promised_mw, 2)),
                Cell::number(number(event.mean_mw(), 2)),
                Cell::number(percent(event.ratio())),
                Cell::number(event.aggregators.len().to_string()),
            ]
        };
        blocks.push(Block::Table(Table {
            head: head.map(|text| self.say(text, &[])).into(),
            rows: events.iter().take(EVENTS).map(row).collect(),
        }));
    }

    fn regulation(&self) -> String {
        let words = words();
        let Some(regulated) = &self.run.regulated else {
            return self.say(reason(Reason::NoRegulation), &[]);
        };
        let score = |score: Option<&(f64, String)>| match score {
            Some((value, rules)) => self.say(
                &words.scored,
                &[("value", &number(*value, 2)), ("rules", rules)],
            ),
            None => self.say(&words.none, &[]),
        };
        self.say(
            &words.regulation_text,
            &[
                ("awards", &regulated.awards.to_string()),
                ("values", &number_of(regulated.values)),
                ("k", &score(regulated.composite.as_ref())),
                ("score", &score(regulated.performance.as_ref())),
            ],
        )
    }

    /// What the discharge would take of the year's money at the plan's ceiling; none in a year without the rules.
    fn subsidy(&self) -> Option<String> {
        let rules = SubsidyRules::guangzhou();
        let year = self.run.first_day.year();
        let mut budget = Budget::of(rules, year).ok()?;
        let whole = budget.left_fen();
        let kwh: f64 = self.run.places.iter().map(Place::exported_kwh).sum();
        #[allow(clippy::cast_possible_truncation)] // Wh of a city's year
        let claim = Claim::Discharge {
            wh: (kwh * 1e3).round() as i64,
            rate: rules.discharge_rate(),
        };
        let granted = budget.grant(rules, self.run.first_day, claim).ok()?;
        #[allow(clippy::cast_precision_loss)] // far below 2^53 fen
        let cny = |fen: i64| number(fen as f64 / 100.0, 0);
        Some(
            self.say(
                &words().subsidy_text,
                &[
                    ("paid", &number(self.run.subsidy_cny, 0)),
                    (
                        "rate",
                        &rules
                            .discharge_rate()
                            .as_cny_per_kwh()
                            .normalize()
                            .to_string(),
                    ),
                    ("most", &cny(granted.granted_fen)),
                    ("left", &cny(budget.left_fen())),
                    ("budget", &cny(whole)),
                ],
            ),
        )
    }

    fn energy(&self) -> Table {
        let words = words();
        let periods = [&words.sharp, &words.peak, &words.flat, &words.valley];
        let mut head = vec![
            self.say(&words.facility, &[]),
            self.say(&words.stations, &[]),
        ];
        for direction in [&words.forward, &words.reverse] {
            let of = |period| self.say(direction, &[("period", &self.say(period, &[]))]);
            head.extend(periods.map(of));
        }
        let mut all = Sums::default();
        let row = |name: String, sums: &Sums| {
            let kwh = sums.import_kwh.iter().chain(&sums.export_kwh);
            let mut row = vec![Cell::text(name), Cell::number(number_of(sums.stations))];
            row.extend(kwh.map(|kwh| Cell::number(number(kwh / 1e3, 1))));
            row
        };
        let mut rows = Vec::new();
        for (profile, sums) in facilities(self.run) {
            all.add(sums.stations, &sums.import_kwh, &sums.export_kwh);
            rows.push(row(facility(profile, self.language), &sums));
        }
        rows.push(row(self.say(&words.all, &[]), &all));
        Table { head, rows }
    }

    fn elsewhere(&self) -> Table {
        let words = words();
        let head = [
            &words.place,
            &words.figures,
            &words.station_kw,
            &words.discharged,
            &words.source,
        ];
        let dash = || Cell::number("—");
        let or_dash = |value: Option<f64>| value.map_or_else(dash, |v| Cell::number(number(v, 1)));
        let mut rows = vec![self.this_run()];
        rows.extend(self.plan.cities.iter().map(|city| {
            let of_a_station = city.response_mw.zip(city.stations);
            let kw = of_a_station.map(|(mw, stations)| mw * 1e3 / f64::from(stations));
            let sure = self.say(status(city.status), &[]);
            vec![
                Cell::text(city.place.text(self.language)),
                Cell::text(city.figures.text(self.language)),
                or_dash(kw),
                or_dash(city.discharged_mwh),
                Cell::text(self.noted(&city.source, &[sure])),
            ]
        }));
        Table {
            head: head.map(|text| self.say(text, &[])).into(),
            rows,
        }
    }

    fn this_run(&self) -> Vec<Cell> {
        let (words, run) = (words(), self.run);
        let stations = run.charging_stations + run.swap_stations;
        let figures = self.say(
            &words.this_figures,
            &[
                ("stations", &number_of(stations)),
                ("v2g", &number_of(run.v2g_piles)),
            ],
        );
        let strongest = run.strongest().map(|event| {
            let takes_part = |place: &&Place| event.aggregators.contains(&place.aggregator);
            #[allow(clippy::cast_precision_loss)] // some thousand stations
            let stations = run.places.iter().filter(takes_part).count().max(1) as f64;
            number(event.mean_mw() * 1e3 / stations, 1)
        });
        let mwh: f64 = run
            .places
            .iter()
            .map(|place| place.exported_kwh() / 1e3)
            .sum();
        let whole = run.days >= days_in(run.first_day.year());
        vec![
            Cell::text(self.say(&words.this_run, &[])),
            Cell::text(figures),
            Cell::number(strongest.unwrap_or_else(|| "—".into())),
            Cell::number(if whole { number(mwh, 1) } else { "—".into() }),
            Cell::text(self.say(&words.simulated, &[])),
        ]
    }
}

fn days_in(year: i32) -> f64 {
    let leap = NaiveDate::from_ymd_opt(year, 2, 29).is_some();
    if leap { 366.0 } else { 365.0 }
}

/// Without decimals where there are none.
fn short(value: f64) -> String {
    let decimals = usize::from(value.fract().abs() > 0.005) * 2;
    number(value, decimals)
}

#[allow(clippy::cast_precision_loss)] // counts far below 2^53
fn number_of(count: u64) -> String {
    number(count as f64, 0)
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "—".into(), |share| format!("{:.1} %", share * 100.0))
}
