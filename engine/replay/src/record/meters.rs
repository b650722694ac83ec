//! The stations' meters, read at the end of every interval, and their days.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use vpp_aggregator::Sites as _;
use vpp_core::{Cause, Energy, Promise, StationKind};
use vpp_market_adapters::tariff::Period;
use vpp_results::{Text, rows};
use vpp_scenarios::Scenario;
use vpp_scenarios::world::Tally;

use crate::run::Run;

/// One station's.
#[derive(Debug, Deserialize, Serialize)]
struct Meter {
    station: Text,
    aggregator: Text,
    profile: Text,
    /// Which operator, and which of its stations.
    place: (usize, usize),
    swaps: bool,
    last: Tally,
    /// Drawn and given in the interval that was read last.
    kwh: (f64, f64),
    vehicles: u64,
    /// As of the begin of the day.
    day: Tally,
    /// Drawn and given by period, dearest first.
    by_period: [(f64, f64); 4],
}

/// All of them.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Meters {
    meters: Vec<Meter>,
    /// The local day that is on.
    day: Option<NaiveDate>,
}

impl Meters {
    pub(super) fn new(scenario: &Scenario, run: &Run) -> Meters {
        let fleet = run.plant().engine().fleet();
        let mut next = vec![0; fleet.aggregators().len()];
        let mut profiles: Vec<Text> = Vec::new();
        let mut profile = |at: usize| {
            let row = &scenario.fleet.stations[at];
            let name = row.profile.as_ref().unwrap_or(&scenario.fleet.profile);
            if let Some(known) = profiles.iter().find(|known| ***known == **name) {
                return known.clone();
            }
            profiles.push(name.as_str().into());
            profiles[profiles.len() - 1].clone()
        };
        let aggregators: Vec<Text> = (fleet.aggregators().iter())
            .map(|aggregator| aggregator.id.as_str().into())
            .collect();
        let meter = |(at, station): (usize, &vpp_core::Station)| {
            let operator = fleet.aggregator_of(at);
            let place = (operator, next[operator]);
            next[operator] += 1;
            Meter {
                station: station.id.as_str().into(),
                aggregator: aggregators[operator].clone(),
                profile: profile(at),
                place,
                swaps: station.kind == StationKind::Swap,
                last: Tally::default(),
                kwh: (0.0, 0.0),
                vehicles: 0,
                day: Tally::default(),
                by_period: [(0.0, 0.0); 4],
            }
        };
        let stations = fleet.stations().iter().enumerate();
        Meters {
            meters: stations.map(meter).collect(),
            day: None,
        }
    }

    /// Which operator a station has, and its position there.
    pub(super) fn place(&self, station: usize) -> (usize, usize) {
        self.meters[station].place
    }

    pub(super) fn name(&self, station: usize) -> Text {
        self.meters[station].station.clone()
    }

    /// Drawn and given in the last interval.
    pub(super) fn kwh(&self, station: usize) -> (f64, f64) {
        self.meters[station].kwh
    }

    /// Drawn less given in the last interval.
    pub(super) fn net_kwh(&self, station: usize) -> f64 {
        let (drawn, given) = self.kwh(station);
        drawn - given
    }

    /// Plugged in at the end of the last interval; packs in slots are none.
    pub(super) fn vehicles(&self, station: usize) -> u64 {
        self.meters[station].vehicles
    }

    /// Drawn and given by all stations in the last interval.
    pub(super) fn total_kwh(&self) -> (f64, f64) {
        let kwh = self.meters.iter().map(|meter| meter.kwh);
        kwh.fold((0.0, 0.0), |sum, kwh| (sum.0 + kwh.0, sum.1 + kwh.1))
    }

    /// Reads all meters at the end of an interval in a period of the tariff.
    pub(super) fn read(&mut self, run: &Run, period: Period) {
        let column = Period::ALL.iter().position(|of| *of == period).unwrap_or(0);
        for meter in &mut self.meters {
            let (operator, at) = meter.place;
            let world = run.plant().operators()[operator].sites();
            let tally = world.tally(at);
            let since = |now: Energy, then: Energy| (now - then).as_kilowatt_hours();
            meter.kwh = (
                since(tally.metered_import, meter.last.metered_import),
                since(tally.metered_export, meter.last.metered_export),
            );
            meter.by_period[column].0 += meter.kwh.0;
            meter.by_period[column].1 += meter.kwh.1;
            meter.last = tally;
            if !meter.swaps {
                meter.vehicles = world.readings(at).len() as u64;
            }
        }
    }

    /// Whether a day is another than the one that is on.
    pub(super) fn begins(&self, day: NaiveDate) -> bool {
        self.day != Some(day)
    }

    pub(super) fn begin(&mut self, day: NaiveDate) {
        self.day = Some(day);
    }

    /// The day that was on, of each station; nothing before the first.
    pub(super) fn day_over(&mut self) -> Vec<rows::StationDay> {
        let Some(day) = self.day.take() else {
            return Vec::new();
        };
        self.meters
            .iter_mut()
            .map(|meter| meter.day_over(day))
            .collect()
    }
}

impl Meter {
    fn day_over(&mut self, day: NaiveDate) -> rows::StationDay {
        let (now, then) = (self.last, std::mem::replace(&mut self.day, self.last));
        let short = |cause| {
            let count = |tally: &Tally| tally.unkept.count(Promise::Departure, cause);
            count(&now) - count(&then)
        };
        let [sharp, peak, flat, valley] = std::mem::take(&mut self.by_period);
        rows::StationDay {
            day,
            station: self.station.clone(),
            aggregator: self.aggregator.clone(),
            profile: self.profile.clone(),
            import_sharp_kwh: sharp.0,
            import_peak_kwh: peak.0,
            import_flat_kwh: flat.0,
            import_valley_kwh: valley.0,
            export_sharp_kwh: sharp.1,
            export_peak_kwh: peak.1,
            export_flat_kwh: flat.1,
            export_valley_kwh: valley.1,
            arrivals: now.arrivals - then.arrivals,
            departures: now.departures - then.departures,
            short_departures: now.short_departures - then.short_departures,
            energy_short_kwh: (now.energy_short - then.energy_short).as_kilowatt_hours(),
            short_too_short: short(Cause::TooShort),
            short_ceiling: short(Cause::Ceiling),
            short_own_control: short(Cause::OwnControl),
            short_warranty: short(Cause::Warranty),
            turned_away: now.turned_away - then.turned_away,
            v2g_vehicles: now.v2g_vehicles - then.v2g_vehicles,
            pile_export_kwh: (now.energy_exported - then.energy_exported).as_kilowatt_hours(),
        }
    }
}
