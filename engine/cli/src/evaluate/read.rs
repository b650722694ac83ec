//! What a run's folder holds of what the plan asks for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use chrono::TimeDelta;
use vpp_core::{Fleet, StationKind};
use vpp_market_adapters::plan::{Built, Measured, Place, Regulated, Response};
use vpp_market_adapters::regulation::composite::CompositeRules;
use vpp_market_adapters::regulation::performance::PerformanceRules;
use vpp_market_adapters::regulation::{Record, Sample};
use vpp_results::rows::{
    Aggregator, Event, EventColumns, Regulation, RegulationColumns, StationDay, StationDayColumns,
    System,
};
use vpp_results::schema::Row;
use vpp_results::{Reader, Summary, open, read};
use vpp_scenarios::Scenario;

/// By which rules regulation is scored: those that are fully quoted.
const COMPOSITE: &str = "hunan-2025";
/// A longer pause in the signal parts two awards.
const PAUSE: TimeDelta = TimeDelta::minutes(1);

/// A run's folder.
pub(super) struct Run {
    folder: PathBuf,
    summary: Summary,
}

/// Opens a run's folder: all of its tables are there and whole.
pub(super) fn run(folder: &Path) -> anyhow::Result<Run> {
    let summary = open(folder)?;
    let folder = folder.to_owned();
    Ok(Run { folder, summary })
}

impl Run {
    /// Name of the scenario that was run.
    pub(super) fn scenario(&self) -> &str {
        &self.summary.scenario.name
    }

    /// What it measured; what its stations are built of comes from the scenario.
    pub(super) fn measured(&self, scenario: Option<&Scenario>) -> anyhow::Result<Measured> {
        let header = &self.summary.scenario;
        #[allow(clippy::cast_possible_truncation)] // hours of a day
        let ahead = TimeDelta::seconds((header.utc_offset_h * 3_600.0) as i64);
        let mut places = BTreeMap::new();
        self.each::<StationDay>(|columns| days(columns, &mut places))?;
        let mut subsidy_cny = 0.0;
        self.each::<Aggregator>(|columns| subsidy_cny += columns.subsidy_cny.iter().sum::<f64>())?;
        let mut callable: Option<f64> = None;
        self.each::<System>(|columns| {
            let known = columns.callable_up_kw.iter().flatten();
            callable = known.copied().chain(callable).reduce(f64::max);
        })?;
        let rated_kw = scenario.and_then(|scenario| scenario.regulation.as_ref());
        let rated_kw = rated_kw.map(|award| award.capacity_up_kw.max(award.capacity_down_kw));
        let mut measured = Measured {
            name: header.name.clone(),
            first_day: (header.start + ahead).date_naive(),
            days: minutes(header.duration_minutes) / (24.0 * 60.0),
            charging_stations: header.stations.saturating_sub(header.swap_stations),
            swap_stations: header.swap_stations,
            piles: header.piles,
            v2g_piles: header.v2g_piles,
            aggregators: header.aggregators,
            connection_mva: header.capacity_mva,
            peak_mw: self.summary.energy.peak_kw / 1e3,
            callable_mw: callable.map(|kw| kw / 1e3),
            places: places.into_values().collect(),
            responses: responses(&read::<Event>(&self.folder)?),
            regulated: regulated(&read::<Regulation>(&self.folder)?, rated_kw)?,
            subsidy_cny,
        };
        if let Some(scenario) = scenario {
            let built = build(&mut measured, &scenario.fleet()?);
            built.with_context(|| self.folder.display().to_string())?;
        }
        Ok(measured)
    }

    fn each<R: Row>(&self, mut take: impl FnMut(&R::Columns)) -> anyhow::Result<()> {
        let mut reader = Reader::<R>::open(&self.folder)?;
        while let Some(columns) = reader.next_group()? {
            take(&columns);
        }
        Ok(())
    }
}

#[allow(clippy::cast_precision_loss)] // minutes of a year
fn minutes(minutes: u64) -> f64 {
    minutes as f64
}

fn days(columns: &StationDayColumns, places: &mut BTreeMap<String, Place>) {
    for row in 0..columns.station.len() {
        let name = &columns.station[row];
        // No name is made for a row whose station is known: a year has some hundred thousand rows.
        if !places.contains_key(&**name) {
            let place = Place {
                id: name.to_string(),
                profile: columns.profile[row].to_string(),
                aggregator: columns.aggregator[row].to_string(),
                pile_kwh: Some(0.0),
                ..Place::default()
            };
            places.insert(place.id.clone(), place);
        }
        let Some(place) = places.get_mut(&**name) else {
            continue;
        };
        let import = [
            &columns.import_sharp_kwh,
            &columns.import_peak_kwh,
            &columns.import_flat_kwh,
            &columns.import_valley_kwh,
        ];
        let export = [
            &columns.export_sharp_kwh,
            &columns.export_peak_kwh,
            &columns.export_flat_kwh,
            &columns.export_valley_kwh,
        ];
        for (sum, column) in place.import_kwh.iter_mut().zip(import) {
            *sum += column[row];
        }
        for (sum, column) in place.export_kwh.iter_mut().zip(export) {
            *sum += column[row];
        }
        place.pile_kwh = place.pile_kwh.map(|sum| sum + columns.pile_export_kwh[row]);
        place.v2g_vehicles += columns.v2g_vehicles[row];
    }
}

/// Calls for demand response, each over all that promised.
fn responses(columns: &EventColumns) -> Vec<Response> {
    let mut events: BTreeMap<&str, Response> = BTreeMap::new();
    for row in 0..columns.event.len() {
        if &*columns.kind[row] != "demand_response" {
            continue;
        }
        let length = columns.end[row] - columns.start[row];
        #[allow(clippy::cast_precision_loss)] // hours of an event
        let hours = length.num_milliseconds() as f64 / 3.6e6;
        let event = events.entry(&columns.event[row]).or_default();
        event.id = columns.event[row].to_string();
        event.hours = hours;
        event.asked_mw += columns.asked_kw[row] / 1e3;
        event.promised_mw += columns.promised_kw[row] / 1e3;
        event.delivered_mwh += columns.delivered_kwh[row] / 1e3;
        if columns.promised_kw[row] > 0.0 {
            event.aggregators.push(columns.aggregator[row].to_string());
        }
    }
    events.into_values().collect()
}

/// How each award was followed. What a value led to is known when the next one comes.
fn regulated(
    columns: &RegulationColumns,
    rated_kw: Option<f64>,
) -> anyhow::Result<Option<Regulated>> {
    let asked = &columns.requested_kw;
    let most = asked.iter().fold(0.0_f64, |most, kw| most.max(kw.abs()));
    let rated_kw = rated_kw.unwrap_or(most);
    if columns.time.is_empty() || rated_kw <= 0.0 {
        return Ok(None);
    }
    let rules = CompositeRules::by_name(COMPOSITE);
    let rules = rules.with_context(|| format!("there is no pack {COMPOSITE}"))?;
    let performance = PerformanceRules::pjm();
    let (mut awards, mut indices, mut scores) = (0, Vec::new(), Vec::new());
    let mut begin = 0;
    for end in 1..=columns.time.len() {
        if end < columns.time.len() && columns.time[end] - columns.time[end - 1] <= PAUSE {
            continue;
        }
        awards += 1;
        let samples = (begin..end).map(|row| {
            let since = columns.time[row] - columns.time[begin];
            #[allow(clippy::cast_precision_loss)] // an award is some hours
            let at_s = since.num_milliseconds() as f64 / 1e3;
            let got_kw = match row == begin {
                true => 0.0,
                false => columns.achieved_kw[row - 1],
            };
            Sample {
                at_s,
                asked_kw: asked[row],
                got_kw,
            }
        });
        // An award of one value has nothing to score.
        if let Ok(record) = Record::new(rated_kw, samples.collect()) {
            let k = rules.score(&record).k.map(|k| k.to_string());
            indices.extend(k.and_then(|k| k.parse::<f64>().ok()));
            scores.extend(performance.score(&record).ok().map(|score| score.score));
        }
        begin = end;
    }
    Ok(Some(Regulated {
        awards,
        values: columns.time.len() as u64,
        composite: mean(&indices).map(|k| (k, rules.pack().to_string())),
        performance: mean(&scores).map(|score| (score, performance.pack().to_string())),
    }))
}

#[allow(clippy::cast_precision_loss)] // some hundred awards
fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Adds what the scenario says of each station.
fn build(measured: &mut Measured, fleet: &Fleet) -> anyhow::Result<()> {
    let stations = fleet.stations().len() as u64;
    let known = measured.charging_stations + measured.swap_stations;
    ensure!(
        stations == known,
        "{known} stations, but the scenario has {stations}: it is another one than was run"
    );
    let is_swap = |kind| kind == StationKind::Swap;
    let charging = fleet.stations().iter().filter(|s| !is_swap(s.kind));
    measured.piles = charging.map(vpp_core::Station::pile_count).sum();
    let mut places: BTreeMap<String, &mut Place> = (measured.places.iter_mut())
        .map(|place| (place.id.clone(), place))
        .collect();
    for station in fleet.stations() {
        let piles = station.piles.iter();
        let rated = piles.map(|pile| pile.rated_power.as_kilowatts() * f64::from(pile.count));
        let connected_kw = rated.sum::<f64>().min(station.import_limit.as_kilowatts());
        let about = Built {
            piles: if is_swap(station.kind) {
                0
            } else {
                station.pile_count()
            },
            v2g_piles: station.v2g_pile_count(),
            connected_kw,
            regulates: station.regulates,
        };
        let id = station.id.as_str();
        let place = places.get_mut(id);
        let place = place.with_context(|| {
            format!("the run has no station {id}: its scenario is another one than was run")
        })?;
        place.built = Some(about);
    }
    Ok(())
}
