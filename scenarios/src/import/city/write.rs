//! The text of a year's file.

mod sessions;

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::path::Path;

use vpp_core::Invalid;
use vpp_market_adapters::RulePack;

use super::super::write::{assumptions, node_rows, quoted, regulation, station, warranty};
use super::super::{ImportError, Stage, figures, read};
use super::plan::{TRANCHES, Tranche};
use super::{AGGREGATORS, DC_KW, DC_SHARES, Growth, SEED};
use crate::Scenario;
use crate::format::{AggregatorRow, Assumptions, NodeRow, Regulation, SessionProfile, Source};

/// Events and what else the year holds; written by hand.
const CALLS: &str = include_str!("calls.toml");
const MINUTES: u32 = 365 * 24 * 60;

/// What differs from the usual comments.
const COMMENTS: [(&str, &str); 7] = [
    (
        "dc_shares",
        "assumption: half of each; it carries the energy of rapid charging",
    ),
    (
        "v2g_share_ac",
        "stations say which of their piles export (v2g_ac, v2g_dc)",
    ),
    ("v2g_share_dc", "as above"),
    (
        "v2g_consent_share",
        "assumption: exporting piles stand where vehicles take part; it carries the energy discharged",
    ),
    (
        "v2g_floor",
        "assumption: as the makers' least (see [warranty]); it carries the energy discharged",
    ),
    (
        "connection_factor",
        "every station states its connection; they add up to the plan's capacity, a kVA counted as a kW",
    ),
    (
        "v2g_dc_discharge_kw",
        "sourced: 20 kW per car in a discharge event in Shenzhen (press); a bus in Shanghai gave 106 kW",
    ),
];

pub(super) fn text(
    data_dir: &Path,
    tranche: &Tranche,
    aggregators: &[AggregatorRow],
    growth: &Growth,
    progress: &mut dyn FnMut(Stage),
) -> Result<String, ImportError> {
    let refused = |problem: fmt::Error| Invalid::new("scenario", problem.to_string());
    let mut out = String::new();
    if tranche.year > TRANCHES[0].year {
        variant(&mut out, tranche, growth).map_err(refused)?;
        return Ok(out);
    }
    let elaad = data_dir.join("elaad-sessions");
    let habits = figures::sessions_with_weekends(&elaad)?;
    let assumed = assumed(figures::assumptions(&elaad)?);
    progress(Stage::Signal);
    let signal = read::liveliest_signal(&data_dir.join("regd-ev-vpp/regd_signal_2s.csv.gz"))?;
    let by_hand =
        Scenario::parse(include_str!("../../../baiyun-scenes.toml")).map_err(ImportError::Made)?;
    let first = First {
        tranche,
        assumed,
        habits,
        by_hand,
        signal,
    };
    first
        .write(&mut out, aggregators, growth)
        .map_err(refused)?;
    Ok(out)
}

fn assumed(usual: Assumptions) -> Assumptions {
    Assumptions {
        dc_powers_kw: DC_KW.to_vec(),
        dc_shares: DC_SHARES.to_vec(),
        v2g_share_ac: 0.0,
        v2g_share_dc: 0.0,
        v2g_consent_share: 0.8,
        v2g_floor: figures::warranty().soc_floor,
        ..usual
    }
}

/// A later year: what is added to the one before.
fn variant(out: &mut String, tranche: &Tranche, growth: &Growth) -> fmt::Result {
    let (year, before) = (tranche.year, tranche.year - 1);
    top(out, tranche)?;
    writeln!(
        out,
        "# What {year} adds to {before}: stations below feeders of their own. The plan has no number of piles for {year} (assumption: the\n\
         # new stations are as large as the capacity of their connections allows) and none of exporting piles (assumption: they\n\
         # grow as the energy that it asks for).\n"
    )?;
    writeln!(
        out,
        "include = \"guangzhou-{before}.toml\"\n\n[scenario]\nname = \"guangzhou-{year}\""
    )?;
    description(out, tranche)?;
    calendar(out, tranche)?;
    writeln!(
        out,
        "# 15 July, 13:00 to 14:00.\n[[event]]\nid = \"dr-city\"\nstart_offset_s = {}\n",
        city_s(tranche)
    )?;
    nodes(out, &growth.nodes)?;
    stations(out, growth)
}

fn top(out: &mut String, tranche: &Tranche) -> fmt::Result {
    let year = tranche.year;
    writeln!(
        out,
        "#:schema scenario.schema.json\n\
         # Scenario guangzhou-{year}: the city's pilot at the plan's size. Format: scenarios/README.md.\n\
         # Made by `vpp import --city guangzhou-{year}`. Figures of the plan are those of Guangzhou's document 255 of 2025; what is\n\
         # marked as assumption is ours. Power in kW, positive draws from the grid."
    )
}

fn description(out: &mut String, tranche: &Tranche) -> fmt::Result {
    let until = |of: fn(&Tranche) -> f64| -> f64 {
        let years = TRANCHES.iter().filter(|other| other.year <= tranche.year);
        years.map(of).sum()
    };
    #[allow(clippy::cast_precision_loss)] // some hundred
    let (charging, swap) = (
        until(|t| t.stations.iter().sum::<usize>() as f64),
        until(|t| t.swaps as f64),
    );
    let mva = until(|t| t.capacity_mva);
    let year = tranche.year;
    writeln!(
        out,
        "description = \"Guangzhou's pilot of {year} for a year: {charging} charging and {swap} swap stations, {mva} MVA.\"\n\
         start = {}T00:00:00+08:00",
        tranche.start
    )
}

/// When the city's event begins, seconds after the start: 15 July, 13:00.
fn city_s(tranche: &Tranche) -> u32 {
    (tranche.july * 24 + 13) * 3_600
}

fn calendar(out: &mut String, tranche: &Tranche) -> fmt::Result {
    writeln!(
        out,
        "\n# Hot days: assumption (some eight days of 35 °C outside July to September, which are sharp months anyway).\n\
         # {}.\n[calendar]",
        sentence(tranche.calendar_status)
    )?;
    writeln!(out, "hot_days = [{}]", tranche.hot_days.join(", "))?;
    writeln!(out, "holidays = [{}]\n", tranche.holidays.join(", "))
}

fn nodes(out: &mut String, rows: &[NodeRow]) -> fmt::Result {
    node_rows(out, rows)
}

fn stations(out: &mut String, growth: &Growth) -> fmt::Result {
    writeln!(
        out,
        "# Stations, one a line; place is longitude and latitude. `benchmark-` are those of the national benchmark project, `baiyun-`\n\
         # those of Baiyun's multi-scene zone, `v2g-` others with exporting piles, `gz-` the rest. The three have exporting piles alone, behind\n\
         # a gate of their own (assumption; the plan wants V2G metered apart). Sizes spread as Shenzhen's public\n\
         # stations do, around means of each kind of facility (assumption); homes fill up to the plan's number of piles.\n\
         # import_limit_kw: its part of the plan's capacity. default_setpoint_kw: half of it below feeders built short (assumption). A swap\n\
         # station has {} slots of {} kW (assumption). regulates: charging stations with exporting piles (assumption).",
        super::SLOTS,
        super::SLOT_KW
    )?;
    writeln!(out, "[fleet]\nprofile = \"public\"\nstations = [")?;
    for row in &growth.stations {
        station(out, row)?;
    }
    writeln!(out, "]")
}

/// The first year: all that the later ones share.
struct First<'a> {
    tranche: &'a Tranche,
    assumed: Assumptions,
    habits: BTreeMap<String, SessionProfile>,
    by_hand: Scenario,
    signal: Vec<f64>,
}

impl First<'_> {
    fn write(
        &self,
        out: &mut String,
        aggregators: &[AggregatorRow],
        growth: &Growth,
    ) -> fmt::Result {
        top(out, self.tranche)?;
        writeln!(
            out,
            "\nformat = 1\n\n[scenario]\nname = \"guangzhou-{}\"",
            self.tranche.year
        )?;
        description(out, self.tranche)?;
        writeln!(
            out,
            "# 365 days: the first year of the V2G feed-in price, in force since May 2025."
        )?;
        writeln!(out, "duration_minutes = {MINUTES}\nseed = {SEED}\n")?;
        for source in self.sources(growth.stations.len()) {
            writeln!(out, "[[source]]\nname = {}", quoted(&source.name))?;
            writeln!(out, "licence = {}", quoted(&source.licence))?;
            writeln!(out, "taken = {}\n", quoted(&source.taken))?;
        }
        let pack = RulePack::guangdong_2025().id().to_string();
        writeln!(out, "[tariff]\nrule_pack = {}", quoted(&pack))?;
        calendar(out, self.tranche)?;
        let (settings, events) = CALLS
            .split_once("# What the grid calls")
            .unwrap_or((CALLS, ""));
        out.push_str(settings);
        assumptions(out, &self.assumed, &COMMENTS)?;
        warranty(out, &figures::warranty())?;
        sessions::write(out, &self.habits, &self.by_hand)?;
        let feeder = growth
            .nodes
            .iter()
            .find(|row| row.id.as_str() == "feeder-001");
        let ceiling_kw = feeder.map_or(0.0, |row| (row.import_limit_kw * 0.9).floor());
        let events = events
            .replace("{ceiling_kw}", &ceiling_kw.to_string())
            .replace("{city_s}", &city_s(self.tranche).to_string());
        write!(out, "# What the grid calls{events}")?;
        self.regulation(out)?;
        writeln!(
            out,
            "# Who operates stations: dealt without regard to place (assumption); {AGGREGATORS}, the plan wants 5."
        )?;
        for row in aggregators {
            writeln!(
                out,
                "[[aggregator]]\nid = \"{}\"\nname = {}\n",
                row.id,
                quoted(&row.name)
            )?;
        }
        nodes(out, &growth.nodes)?;
        stations(out, growth)
    }

    fn sources(&self, stations: usize) -> Vec<Source> {
        let row = |name: &str, licence: &str, taken: &str| Source {
            name: name.into(),
            licence: licence.into(),
            taken: taken.into(),
        };
        let plan = row(
            "Guangzhou, document 255 of 2025 (12 September 2025): work plan for the pilot city of vehicle-grid interaction, 2025 to 2027",
            "public document",
            "stations, swap stations, piles, capacity, exporting piles, aggregators",
        );
        let spice = row(
            "bus_scenario_D of spice_ev, rl-institut, commit 2d96cf7",
            "MIT",
            "87 stays of 30 buses at two depots in two days, as in baiyun-scenes.toml",
        );
        let mut sources = figures::sources(stations);
        for source in &mut sources {
            source.taken = source
                .taken
                .replace(
                    &format!("{stations} stations, stratified by fast piles and size; numbers of piles; places rounded to 0.001°"),
                    "the spread of the numbers of piles, around assumed means; places rounded to 0.001°",
                )
                .replace("weekday arrivals summed by hour", "arrivals of weekdays and weekends summed by hour; energy of the days of the week");
        }
        sources.insert(0, plan);
        sources.push(spice);
        sources
    }

    fn regulation(&self, out: &mut String) -> fmt::Result {
        writeln!(
            out,
            "# An hour every four weeks, 15:00 on the fourteenth day first; all stations that regulate, the plan wants 10."
        )?;
        let sampled = Regulation {
            capacity_up_kw: 1_000.0,
            capacity_down_kw: 1_000.0,
            start_offset_s: (13 * 24 + 15) * 3_600,
            duration_s: 3_600,
            every_days: Some(28),
            period_s: 4.0,
            signal: self.signal.clone(),
        };
        regulation(out, Some(&sampled))
    }
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}
