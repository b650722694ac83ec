//! Fleets of the project `spice_ev`: vehicles that come back to a depot from trips.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use chrono::{DateTime, FixedOffset, NaiveDate};
use flate2::read::GzDecoder;
use serde::Deserialize;

use super::sessions::{LEAST_KWH, Session};

/// A scenario, as far as it is used: of its places the one where most vehicles arrive.
#[derive(Deserialize)]
pub(super) struct Fleet {
    scenario: Span,
    components: Components,
    events: Events,
}

#[derive(Deserialize)]
struct Span {
    start_time: DateTime<FixedOffset>,
}

#[derive(Deserialize)]
struct Components {
    vehicle_types: BTreeMap<String, VehicleType>,
    vehicles: BTreeMap<String, Vehicle>,
    charging_stations: BTreeMap<String, ChargingStation>,
}

#[derive(Deserialize)]
struct VehicleType {
    /// kWh.
    capacity: f64,
    #[serde(default)]
    v2g: bool,
    /// Share of the charging power with which it discharges, and state of charge below which it does not.
    #[serde(default = "one")]
    v2g_power_factor: f64,
    #[serde(default)]
    discharge_limit: f64,
}

fn one() -> f64 {
    1.0
}

#[derive(Deserialize)]
struct Vehicle {
    vehicle_type: String,
    soc: f64,
    desired_soc: Option<f64>,
    connected_charging_station: Option<String>,
    estimated_time_of_departure: Option<DateTime<FixedOffset>>,
}

#[derive(Deserialize)]
struct ChargingStation {
    /// kW.
    max_power: f64,
    #[serde(default)]
    min_power: f64,
    parent: String,
}

#[derive(Deserialize)]
struct Events {
    vehicle_events: Vec<Event>,
}

#[derive(Deserialize)]
struct Event {
    start_time: DateTime<FixedOffset>,
    vehicle_id: String,
    event_type: String,
    update: Update,
}

#[derive(Deserialize)]
struct Update {
    connected_charging_station: Option<String>,
    estimated_time_of_departure: Option<DateTime<FixedOffset>>,
    desired_soc: Option<f64>,
    #[serde(default)]
    soc_delta: f64,
}

/// What a depot's sessions are charged with.
#[derive(Debug)]
pub(super) struct Depot {
    /// The first local day.
    pub(super) day: NaiveDate,
    pub(super) piles: usize,
    /// Of each pile, kW.
    pub(super) most_kw: f64,
    pub(super) least_kw: f64,
    pub(super) sessions: Vec<Session>,
}

/// A stay at the depot.
struct Stay<'a> {
    vehicle: &'a str,
    arrival: DateTime<FixedOffset>,
    departure: DateTime<FixedOffset>,
    soc: f64,
    desired: f64,
}

impl Fleet {
    pub(super) fn load(path: &Path) -> anyhow::Result<Fleet> {
        let name = || format!("{}: a fleet of spice_ev", path.display());
        let file = File::open(path).with_context(name)?;
        serde_json::from_reader(std::io::BufReader::new(GzDecoder::new(file))).with_context(name)
    }

    /// The sessions of the busiest place. Vehicles are charged there and nowhere else, with all that they drove since; what
    /// could not be had even alone is wanted at the next stay.
    pub(super) fn depot(&self, period_min: usize) -> anyhow::Result<Depot> {
        let name = self
            .busiest()
            .context("no vehicle arrives at a charging station")?;
        let here = |station: &&ChargingStation| station.parent == name;
        let mut stations = self.components.charging_stations.values().filter(here);
        let first = stations.next().context("no charging station")?;
        ensure!(
            stations.all(|other| (other.max_power - first.max_power).abs() < 1e-9
                && (other.min_power - first.min_power).abs() < 1e-9),
            "the charging stations at {name} differ"
        );
        let day = self.scenario.start_time.date_naive();
        let midnight = day
            .and_hms_opt(0, 0, 0)
            .context("a day without a midnight")?;
        let period = |at: DateTime<FixedOffset>| -> anyhow::Result<usize> {
            let minutes = (at.naive_local() - midnight).num_minutes();
            Ok(usize::try_from(minutes).context("an event before the start")? / period_min)
        };
        let mut piles: Vec<&str> = Vec::new();
        let mut sessions = Vec::new();
        for vehicle in self.components.vehicles.keys() {
            let mut soc_gained = 0.0;
            for stay in self.stays(vehicle, &name)? {
                let kind = self.kind(vehicle)?;
                let (arrival, departure) = (period(stay.arrival)?, period(stay.departure)?);
                let most = first.max_power
                    * ((departure.max(arrival) - arrival) * period_min) as f64
                    / 60.0;
                let stored = (stay.soc + soc_gained) * kind.capacity;
                let kwh = (stay.desired * kind.capacity - stored)
                    .min(most)
                    .min(kind.capacity);
                if kwh < LEAST_KWH || departure <= arrival {
                    continue;
                }
                soc_gained += kwh / kind.capacity;
                let pile = piles.iter().position(|known| *known == stay.vehicle);
                let pile = pile.unwrap_or_else(|| {
                    piles.push(stay.vehicle);
                    piles.len() - 1
                });
                sessions.push(Session {
                    pile,
                    arrival,
                    departure,
                    kwh,
                    target_kwh: stored + kwh,
                    spare_kwh: (kind.capacity - stored - kwh).max(0.0),
                    floor_kwh: kind.discharge_limit * kind.capacity,
                    discharge_kw: if kind.v2g {
                        kind.v2g_power_factor * first.max_power
                    } else {
                        0.0
                    },
                });
            }
        }
        sessions.sort_by_key(|session| (session.arrival, session.pile));
        Ok(Depot {
            day,
            piles: piles.len(),
            most_kw: first.max_power,
            least_kw: first.min_power,
            sessions,
        })
    }

    fn kind(&self, vehicle: &str) -> anyhow::Result<&VehicleType> {
        let known = self.components.vehicles.get(vehicle);
        let known = known.with_context(|| format!("there is no vehicle {vehicle}"))?;
        let kind = self.components.vehicle_types.get(&known.vehicle_type);
        kind.with_context(|| format!("there is no vehicle type {}", known.vehicle_type))
    }

    fn parent(&self, station: Option<&String>) -> anyhow::Result<Option<&str>> {
        let Some(station) = station else {
            return Ok(None);
        };
        let known = self.components.charging_stations.get(station);
        let known = known.with_context(|| format!("there is no charging station {station}"))?;
        Ok(Some(&known.parent))
    }

    fn busiest(&self) -> Option<String> {
        let mut arrivals: BTreeMap<&str, usize> = BTreeMap::new();
        for event in &self.events.vehicle_events {
            if let Ok(Some(place)) = self.parent(event.update.connected_charging_station.as_ref()) {
                *arrivals.entry(place).or_default() += 1;
            }
        }
        let busiest = arrivals.iter().max_by_key(|(_, count)| **count)?;
        Some((*busiest.0).to_owned())
    }

    /// Stays of a vehicle at a place, with the state of charge that it would come with had it never been charged.
    fn stays<'a>(&'a self, vehicle: &'a str, place: &str) -> anyhow::Result<Vec<Stay<'a>>> {
        let start = &self.components.vehicles[vehicle];
        let mut soc = start.soc;
        let mut stays = Vec::new();
        if self.parent(start.connected_charging_station.as_ref())? == Some(place) {
            stays.push(Stay {
                vehicle,
                arrival: self.scenario.start_time,
                departure: start.estimated_time_of_departure.context("no departure")?,
                soc,
                desired: start.desired_soc.unwrap_or(1.0),
            });
        }
        for event in self
            .events
            .vehicle_events
            .iter()
            .filter(|event| event.vehicle_id == vehicle)
        {
            match event.event_type.as_str() {
                "arrival" => {
                    soc += event.update.soc_delta;
                    if self.parent(event.update.connected_charging_station.as_ref())? == Some(place)
                    {
                        let departure = event.update.estimated_time_of_departure;
                        stays.push(Stay {
                            vehicle,
                            arrival: event.start_time,
                            departure: departure
                                .with_context(|| format!("{vehicle}: no departure"))?,
                            soc,
                            desired: event.update.desired_soc.unwrap_or(1.0),
                        });
                    }
                }
                "departure" => {}
                other => bail!("{vehicle}: unknown event {other:?}"),
            }
        }
        Ok(stays)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two buses at a depot; one stops on the way, where it is not charged.
    const TWO_BUSES: &str = r#"{
      "scenario": {"start_time": "2018-01-02T00:00:00+02:00"},
      "components": {
        "vehicle_types": {"bus": {"capacity": 200, "v2g": true, "v2g_power_factor": 0.5, "discharge_limit": 0.3}},
        "vehicles": {
          "a": {"vehicle_type": "bus", "soc": 1},
          "b": {"vehicle_type": "bus", "soc": 0.9, "desired_soc": 1,
                "connected_charging_station": "b_depot", "estimated_time_of_departure": "2018-01-02T06:00:00+02:00"}
        },
        "charging_stations": {
          "a_stop": {"max_power": 300, "parent": "stop"},
          "a_depot": {"max_power": 100, "min_power": 10, "parent": "depot"},
          "b_depot": {"max_power": 100, "min_power": 10, "parent": "depot"}
        }
      },
      "events": {"vehicle_events": [
        {"start_time": "2018-01-02T08:00:00+02:00", "vehicle_id": "a", "event_type": "arrival", "update":
          {"connected_charging_station": "a_stop", "estimated_time_of_departure": "2018-01-02T08:10:00+02:00", "soc_delta": -0.25}},
        {"start_time": "2018-01-02T10:00:00+02:00", "vehicle_id": "a", "event_type": "arrival", "update":
          {"connected_charging_station": "a_depot", "estimated_time_of_departure": "2018-01-02T10:15:00+02:00", "soc_delta": -0.25}},
        {"start_time": "2018-01-02T10:15:00+02:00", "vehicle_id": "a", "event_type": "departure", "update": {}},
        {"start_time": "2018-01-02T20:00:00+02:00", "vehicle_id": "a", "event_type": "arrival", "update":
          {"connected_charging_station": "a_depot", "estimated_time_of_departure": "2018-01-03T04:00:00+02:00", "soc_delta": -0.1}}
      ]}
    }"#;

    #[test]
    fn a_vehicle_wants_what_it_drove_and_what_a_short_stay_left_open() {
        let fleet: Fleet = serde_json::from_str(TWO_BUSES).unwrap();
        let depot = fleet.depot(5).unwrap();
        assert_eq!((depot.piles, depot.sessions.len()), (2, 3));
        let of = |at: usize| {
            let session = &depot.sessions[at];
            (session.arrival, session.departure, session.kwh.round())
        };
        // b begins at the depot.
        assert_eq!(of(0), (0, 72, 20.0));
        // a drove 100 kWh and can have 25 of them; the rest and 20 more in the evening.
        assert_eq!(of(1), (120, 123, 25.0));
        assert_eq!(of(2), (240, 336, 95.0));
        let last = &depot.sessions[2];
        assert!((last.target_kwh - 200.0).abs() < 1e-9);
        assert!((last.floor_kwh - 60.0).abs() < 1e-9 && (last.discharge_kw - 50.0).abs() < 1e-9);
    }

    #[test]
    fn what_does_not_belong_together_is_refused() {
        let unknown = TWO_BUSES.replace(
            "\"vehicle_type\": \"bus\", \"soc\": 1",
            "\"vehicle_type\": \"tram\", \"soc\": 1",
        );
        let fleet: Fleet = serde_json::from_str(&unknown).unwrap();
        assert!(fleet.depot(5).unwrap_err().to_string().contains("tram"));
        let differ = TWO_BUSES.replacen("\"max_power\": 100", "\"max_power\": 50", 1);
        let fleet: Fleet = serde_json::from_str(&differ).unwrap();
        assert!(fleet.depot(5).unwrap_err().to_string().contains("differ"));
    }
}
