//! What a world is made of, apart from how it came about.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::TimeDelta;
use vpp_core::{AggregatorId, Invalid, Station, StationId, Timestamp};

use crate::Scenario;
use crate::draw::Quantiles;
use crate::format::{Assumptions, SessionProfile, SwapProfile};
use crate::stays::Stay;

/// How long the world runs before the start, so that it begins with the vehicles that a usual day would have there.
/// A night and a day: longer than almost any stay.
pub const WARM_UP: TimeDelta = TimeDelta::hours(36);

/// Everything that a world needs.
#[derive(Clone, Debug)]
pub struct WorldConfig {
    /// Seed of every draw.
    pub seed: u64,
    /// When it begins. Before that it warms up without control.
    pub start: Timestamp,
    /// How long it warms up; whole minutes.
    pub warm_up: TimeDelta,
    /// Whether it warms up in long steps, as it lives afterwards.
    pub in_long_steps: bool,
    /// The stations.
    pub stations: Vec<StationModel>,
}

/// A station with what happens at it.
#[derive(Clone, Debug)]
pub struct StationModel {
    /// Its number in the whole fleet: which stream of random numbers is its own. So it lives through the same day whichever
    /// other stations are simulated beside it.
    pub number: u64,
    /// The station.
    pub station: Station,
    /// How vehicles come and stay.
    pub profile: Arc<SessionProfile>,
    /// How packs are swapped, at a swap station; nobody plugs in there.
    pub swaps: Option<Arc<SwapProfile>>,
    /// The vehicles, in the order of arrival, where they are recorded; then no other comes.
    pub recorded: Option<Arc<[Stay]>>,
    /// What vehicles and equipment are like.
    pub behaviour: Arc<Behaviour>,
}

/// What vehicles and equipment are like.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// Battery capacities.
    pub battery_capacity_kwh: Quantiles,
    /// Share of the sessions at exporting piles whose owner consents to export.
    pub v2g_consent_share: f64,
    /// Share of the sessions of which somebody says when the vehicle leaves and what it needs.
    pub stated_share: f64,
    /// State of charge below which no battery is discharged.
    pub v2g_floor: f64,
    /// State of charge above which the makers let no battery be charged.
    pub soc_ceiling: f64,
    /// The same of models that have another.
    pub soc_ceilings: BTreeMap<String, f64>,
    /// Share of piles that follow no setpoint and charge as they like.
    pub disobeying_pile_share: f64,
    /// Share of stations that refuse every command.
    pub refusing_station_share: f64,
    /// Share of stations that cannot be reached.
    pub unreachable_station_share: f64,
    /// Since when those cannot be reached.
    pub unreachable_from: Timestamp,
    /// Shortest and longest time between a command's arrival and a station's first movement, seconds.
    pub response_delay_s: [f64; 2],
}

impl Behaviour {
    /// The behaviour that a scenario assumes.
    #[must_use]
    pub fn of(assumptions: &Assumptions, start: Timestamp) -> Behaviour {
        Behaviour {
            battery_capacity_kwh: assumptions.battery_capacity_kwh.clone(),
            v2g_consent_share: assumptions.v2g_consent_share,
            stated_share: assumptions.stated_share,
            v2g_floor: assumptions.v2g_floor,
            soc_ceiling: 1.0,
            soc_ceilings: BTreeMap::new(),
            disobeying_pile_share: assumptions.disobeying_pile_share,
            refusing_station_share: assumptions.refusing_station_share,
            unreachable_station_share: assumptions.unreachable_station_share,
            unreachable_from: start,
            response_delay_s: assumptions.response_delay_s,
        }
    }

    /// State of charge above which the maker of a vehicle of this model lets its battery not be charged.
    #[must_use]
    pub fn soc_ceiling_of(&self, model: Option<&str>) -> f64 {
        let own = model.and_then(|model| self.soc_ceilings.get(model));
        own.copied().unwrap_or(self.soc_ceiling)
    }
}

impl WorldConfig {
    /// The world of a scenario: the stations of one aggregator, or all.
    ///
    /// # Errors
    /// What the fleet refuses; a scenario from [`Scenario::parse`] has nothing such.
    pub fn of(
        scenario: &Scenario,
        aggregator: Option<&AggregatorId>,
    ) -> Result<WorldConfig, Invalid> {
        let fleet = scenario.fleet()?;
        let start = scenario.start();
        let warranty = scenario.warranty.as_ref();
        let behaviour = Arc::new(Behaviour {
            soc_ceiling: warranty.map_or(1.0, |warranty| warranty.soc_ceiling),
            soc_ceilings: (scenario.warranties.iter())
                .map(|(model, warranty)| (model.clone(), warranty.soc_ceiling))
                .collect(),
            ..Behaviour::of(&scenario.assumptions, start)
        });
        let named = scenario.sessions.iter();
        let profiles: Vec<(&SessionProfile, Arc<SessionProfile>)> = named
            .map(|(_, profile)| (profile, Arc::new(profile.clone())))
            .collect();
        let profile_of = |at: usize| {
            let wanted = scenario.profile_of(at);
            let known = profiles
                .iter()
                .find(|(profile, _)| std::ptr::eq(*profile, wanted));
            known.map_or_else(
                || Arc::new(wanted.clone()),
                |(_, shared)| Arc::clone(shared),
            )
        };
        let recorded = scenario.fleet.recorded.is_some();
        let mut stays: BTreeMap<&StationId, Vec<Stay>> = BTreeMap::new();
        for stay in &scenario.fleet.stays {
            stays.entry(&stay.station).or_default().push(stay.clone());
        }
        let mut stations = Vec::new();
        for (at, (number, station)) in (0_u64..).zip(fleet.stations()).enumerate() {
            if aggregator.is_none_or(|whose| station.aggregator == *whose) {
                stations.push(StationModel {
                    number,
                    station: station.clone(),
                    profile: profile_of(at),
                    swaps: scenario.swaps_of(at).cloned().map(Arc::new),
                    recorded: recorded
                        .then(|| stays.remove(&station.id).unwrap_or_default().into()),
                    behaviour: Arc::clone(&behaviour),
                });
            }
        }
        Ok(WorldConfig {
            seed: scenario.header.seed,
            start,
            warm_up: WARM_UP,
            in_long_steps: false,
            stations,
        })
    }
}
