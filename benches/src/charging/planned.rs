//! Ours: what the garage shall draw, by a plan over the next day at least cost, made anew every quarter of an hour and
//! whenever a vehicle comes or goes.
//!
//! It knows the vehicles that are there, the prices, and the sun and the houses of this moment; of what is to come it takes
//! the day before for a forecast: the same sun and houses, and the same vehicles. Of a depot it knows the timetable.

use std::collections::VecDeque;

use anyhow::Context as _;
use vpp_core::time::as_hours;
use vpp_core::{Flexibility, Interval, Power, Station};
use vpp_optimizer::{Penalties, Problem, Resource, solve};

use super::garage::{Case, Garage, Limits};
use super::horizon::{
    Coming, HORIZON_MIN, QUARTER_MIN, cuts, here, here_for, nodes, of_vehicle, resource, timetable,
    to_come,
};
use super::policies::Vehicle;
use super::window::{instant, session, station};

/// What is planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// The station, by what it promises for all of its vehicles together; it splits what it is told.
    Station { may_feed_in: bool },
    /// Each vehicle.
    Vehicles,
}

pub(super) struct Planner {
    scope: Scope,
    /// Who was there when the plan was made, and in which quarter of an hour.
    made_for: Option<(usize, Vec<(usize, usize)>)>,
    /// Of the station, or one for each vehicle.
    setpoints_kw: Vec<f64>,
    /// Vehicles that came within the last day, as they came.
    came: VecDeque<Vehicle>,
}

impl Planner {
    pub(super) fn new(scope: Scope) -> Planner {
        Planner {
            scope,
            made_for: None,
            setpoints_kw: Vec::new(),
            came: VecDeque::new(),
        }
    }

    pub(super) fn setpoints_kw(
        &mut self,
        case: &Case,
        limits: Limits<'_>,
        period: usize,
        vehicles: &[Vehicle],
    ) -> anyhow::Result<&[f64]> {
        let garage = &case.garage;
        let day = HORIZON_MIN / garage.period_min;
        let new = vehicles.iter().filter(|vehicle| vehicle.arrival == period);
        self.came.extend(new.copied());
        while (self.came.front()).is_some_and(|vehicle| vehicle.arrival + day < period) {
            self.came.pop_front();
        }
        let here = (vehicles.iter()).map(|vehicle| (vehicle.pile, vehicle.arrival));
        let key = (period * garage.period_min / QUARTER_MIN, here.collect());
        if self.made_for.as_ref() != Some(&key) {
            self.setpoints_kw = self.plan(case, limits, period, vehicles)?;
            self.made_for = Some(key);
        }
        Ok(&self.setpoints_kw)
    }

    fn plan(
        &self,
        case: &Case,
        limits: Limits<'_>,
        period: usize,
        vehicles: &[Vehicle],
    ) -> anyhow::Result<Vec<f64>> {
        let garage = &case.garage;
        let station = station(garage);
        let cuts = cuts(garage, period);
        let intervals = (cuts.windows(2))
            .map(|cut| Interval::new(instant(garage, cut[0]), instant(garage, cut[1])))
            .collect::<Result<Vec<Interval>, _>>()?;
        let template = resource(case, &station, &cuts);
        let mut resources: Vec<Resource> = match self.scope {
            Scope::Station { may_feed_in } => {
                let flexibility =
                    flexibility(garage, &station, period, vehicles, may_feed_in, &intervals);
                vec![here(&template, &flexibility)]
            }
            Scope::Vehicles => (vehicles.iter())
                .map(|vehicle| of_vehicle(&template, garage, vehicle, &cuts))
                .collect(),
        };
        let count = resources.len();
        let expected = match case.timetable {
            true => timetable(case, period, cuts[cuts.len() - 1]),
            false => self.as_yesterday(garage, period),
        };
        let hours: Vec<f64> = (intervals.iter())
            .map(|interval| as_hours(interval.length()))
            .collect();
        resources.extend(to_come(&template, garage, &expected, &cuts, &hours));
        let problem = Problem {
            intervals_h: hours,
            resources,
            nodes: nodes(garage, limits, period, &cuts),
            requirements: Vec::new(),
            penalties: Penalties::default(),
        };
        let solution = solve(&problem, None, &|| false).context("the plan")?;
        let planned = solution.schedule.iter().take(count);
        let planned = planned.map(|schedule| schedule.net_kw(0));
        if self.scope == Scope::Vehicles {
            // Those who leave within the first interval have less time for it.
            let departures = vehicles.iter().map(|vehicle| period + vehicle.stays);
            let parts = departures.map(|departure| here_for(&cuts[..2], departure));
            return Ok(planned.zip(parts).map(|(mean, part)| mean / part).collect());
        }
        let unmet = solution
            .schedule
            .iter()
            .flat_map(|schedule| &schedule.unmet_kwh);
        let short = unmet.sum::<f64>() > 1e-3;
        Ok(planned
            .map(|setpoint| match short && setpoint >= 0.0 {
                // Where there is not enough for all, they get all that there is.
                true => limits.room(period).draw_kw,
                false => setpoint,
            })
            .collect())
    }

    /// Those who came at this time of the day before.
    fn as_yesterday(&self, garage: &Garage, period: usize) -> Vec<Coming> {
        let day = HORIZON_MIN / garage.period_min;
        let come = |vehicle: &Vehicle| Coming {
            arrival: vehicle.arrival + day,
            departure: vehicle.arrival + day + vehicle.stays,
            wants_kwh: vehicle.wants_kwh,
        };
        let all = self.came.iter().map(come);
        all.filter(|coming| coming.arrival > period).collect()
    }
}

fn flexibility(
    garage: &Garage,
    station: &Station,
    period: usize,
    vehicles: &[Vehicle],
    may_feed_in: bool,
    intervals: &[Interval],
) -> Flexibility {
    let sessions: Vec<vpp_core::Session> = (vehicles.iter())
        .map(|vehicle| vpp_core::Session {
            // What a whole period would be too long for does not count here.
            max_charge: Power::floor_kilowatts(garage.pile_kw()),
            max_discharge: Power::floor_kilowatts(match may_feed_in {
                true => vehicle.discharge_kw,
                false => 0.0,
            }),
            ..session(garage, period, vehicle, may_feed_in)
        })
        .collect();
    Flexibility::of(station, &sessions, instant(garage, period), intervals)
}
