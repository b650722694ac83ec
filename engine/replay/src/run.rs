//! A scenario on the virtual clock, from its start to its end: the dispatcher, its aggregators and all stations, with what the
//! grid calls and what energy costs.
//!
//! Time moves in the scenario's steps: in each the stations live and report, and at every cycle there is a plan. Stations that
//! follow a regulation signal live second by second while it is on, and are set at each of its values.

mod calls;
mod prices;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use vpp_core::{Event, EventId, EventRequest, Invalid, Price, Station, Timestamp};
use vpp_dispatch::{Achieved, Answer, Calendar, Config, CycleReport, Request, Subsidy};
use vpp_scenarios::Scenario;
use vpp_scenarios::format::Orderly;
use vpp_scenarios::world::World;

use crate::faults::Switches;
use crate::{Plant, STEP};
use calls::{Events, Signal};
use prices::Prices;

/// The budget of a subsidy that has none.
const UNBOUNDED_CNY: f64 = 1e15;

/// A scenario that is replayed.
#[derive(Debug)]
pub struct Run {
    plant: Plant<World>,
    start: Timestamp,
    end: Timestamp,
    step: TimeDelta,
    prices: Prices,
    events: Events,
    signal: Option<Signal>,
    /// Whether stations that regulate live in seconds.
    fine: bool,
}

/// A run as it is saved: what is not its scenario's.
#[derive(Deserialize, Serialize)]
pub(crate) struct Saved<P> {
    plant: P,
    told_until: Timestamp,
    events_left: usize,
    signal: Option<(usize, u64)>,
}

/// What happened in a step.
#[derive(Debug, Default)]
pub struct Step {
    /// The control cycle at its end.
    pub cycle: Option<CycleReport>,
    /// What the value of the signal at its end led to.
    pub signal: Option<Achieved>,
    /// What was called at its end: the scenario's name, and the engine's event.
    pub called: Vec<(EventId, Event)>,
    /// What was called and refused, with why.
    pub refused: Vec<(EventId, EventRequest, Invalid)>,
    /// Why regulation did not begin.
    pub refused_regulation: Option<Invalid>,
}

impl Run {
    /// A scenario at its start; nothing has happened yet.
    ///
    /// # Errors
    /// What the engine refuses, or a rule pack that is not known.
    pub fn new(scenario: &Scenario) -> Result<Run, Invalid> {
        let dispatch = &scenario.dispatch;
        let step = TimeDelta::seconds(i64::from(dispatch.step_s));
        let rows = scenario.aggregators.iter();
        let operators = rows.map(|row| {
            let operated = match step > STEP {
                true => World::operated_in_long_steps,
                false => World::operated,
            };
            let mut operator = operated(scenario, &row.id)?.with_period(step);
            operator.sites_mut().set_pace(step, |_| false);
            Ok(operator)
        });
        let operators = operators.collect::<Result<Vec<_>, Invalid>>()?;
        let mut prices = Prices::of(scenario)?;
        let start = scenario.start();
        let told = prices.due(start);
        let mut plant = Plant::new(config(scenario), &scenario.fleet()?, operators, told, start)?;
        plant.subsidise(scenario.subsidy.map(|row| Subsidy {
            price: Price::round_cny_per_kwh(row.discharge_cny_per_kwh),
            left_cny: row.budget_cny.unwrap_or(UNBOUNDED_CNY),
            until: scenario.end(),
        }));
        let switches = Switches {
            reachable: World::set_reachable,
            refusal: World::set_refusal,
        };
        plant.set_faults(scenario.faults()?, switches);
        Ok(Run {
            plant,
            start,
            end: scenario.end(),
            step,
            prices,
            events: Events::of(scenario)?,
            signal: Signal::of(scenario)?,
            fine: false,
        })
    }

    /// What it goes on from another time, unless a regulation signal is followed: it is saved before or after.
    pub(crate) fn saved(&self) -> Option<Saved<&Plant<World>>> {
        let calm = !self.fine && self.plant.engine().can_be_saved();
        calm.then(|| Saved {
            plant: &self.plant,
            told_until: self.prices.told_until(),
            events_left: self.events.left(),
            signal: self.signal.as_ref().map(Signal::place),
        })
    }

    /// A run of the same scenario, which has not begun, goes on from there.
    pub(crate) fn resume(&mut self, saved: Saved<Plant<World>>) {
        self.plant.resume(saved.plant, World::resume);
        self.prices.go_on(saved.told_until);
        self.events.leave(saved.events_left);
        if let (Some(signal), Some(place)) = (&mut self.signal, saved.signal) {
            signal.go_on(place);
        }
    }

    /// The plant.
    #[must_use]
    pub fn plant(&self) -> &Plant<World> {
        &self.plant
    }

    /// Up to when it has lived.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.plant.now()
    }

    /// First instant after it.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        self.end
    }

    /// Lets it end sooner.
    pub fn end_at(&mut self, end: Timestamp) {
        self.end = self.end.min(end);
    }

    /// What energy costs.
    pub(crate) fn prices(&self) -> &Prices {
        &self.prices
    }

    /// Whether all of it is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.now() >= self.end
    }

    /// Goes on to the next instant at which something happens.
    pub fn advance(&mut self) -> Step {
        let now = self.now();
        let next = self.next(now);
        let cycle = self.plant.advance_by(next - now);
        let is_coarse = (next - self.start).num_milliseconds() % self.step.num_milliseconds() == 0;
        if is_coarse && cycle.is_none() {
            self.plant.serve_newcomers();
        }
        if self.fine && !is_coarse {
            self.plant.report();
        }
        let mut step = Step {
            cycle,
            ..Step::default()
        };
        self.act(&mut step);
        step
    }

    /// The first report and the first plan, and what is called at the start.
    pub fn begin(&mut self) -> Step {
        let mut step = Step {
            cycle: self.plant.begin(),
            ..Step::default()
        };
        self.act(&mut step);
        step
    }

    fn next(&self, now: Timestamp) -> Timestamp {
        let steps = (now - self.start).num_milliseconds() / self.step.num_milliseconds();
        let grid = self.start + TimeDelta::milliseconds(self.step.num_milliseconds() * (steps + 1));
        let signal = self.signal.as_ref().and_then(|signal| signal.next(now));
        let next = signal.into_iter().fold(grid, Timestamp::min);
        next.min(self.end)
    }

    /// What the grid does now.
    fn act(&mut self, step: &mut Step) {
        let now = self.now();
        let told = self.prices.due(now);
        if !told.is_empty() {
            self.plant.price(told);
        }
        while let Some((id, request)) = self.events.pop(now) {
            match self.plant.request(Request::SubmitEvent(request.clone())) {
                Ok(Answer::Event(event)) => step.called.push((id, event)),
                Ok(_) => {}
                Err(refused) => step.refused.push((id, request, refused)),
            }
        }
        self.regulate(now, step);
    }

    fn regulate(&mut self, now: Timestamp, step: &mut Step) {
        let Some(signal) = &mut self.signal else {
            return;
        };
        signal.turn(now);
        let Some(window) = signal.window() else {
            return;
        };
        // The step before the award is lived in seconds as well, so that the stations' answers are known when it begins.
        let near = window.start() - self.step <= now && now < window.end();
        if near != self.fine {
            self.fine = near;
            let fine = |station: &Station| near && station.regulates;
            for operator in self.plant.operators_mut() {
                operator.sites_mut().set_pace(self.step, fine);
            }
        }
        let Some(value) = signal.value(now) else {
            if now >= window.end() && self.plant.engine().regulation().is_some() {
                self.plant.stop_regulation();
            }
            return;
        };
        if self.plant.engine().regulation().is_none() {
            let award = signal.regulation().award();
            let sustain = TimeDelta::minutes(15);
            let request = Request::StartRegulation { award, sustain };
            if let Err(refused) = self.plant.request(request) {
                step.refused_regulation = Some(refused);
                return;
            }
        }
        signal.sequence += 1;
        match self.plant.signal(signal.sequence, value) {
            Ok(achieved) => step.signal = Some(achieved),
            Err(refused) => step.refused_regulation = Some(refused),
        }
    }
}

/// The engine's knobs in a replay: what lasts some cycles or periods, lasts as many.
fn config(scenario: &Scenario) -> Config {
    let dispatch = &scenario.dispatch;
    let cycle = TimeDelta::seconds(i64::from(dispatch.cycle_s));
    let horizon = dispatch.horizon_minutes.iter();
    let usual = Config::default();
    Config {
        cycle,
        deadline: cycle,
        solve_budget: cycle / 2,
        telemetry_period: TimeDelta::seconds(i64::from(dispatch.step_s)),
        command_lifetime: usual.command_lifetime.max(cycle * 2),
        horizon: horizon.map(|m| TimeDelta::minutes(i64::from(*m))).collect(),
        departure_margin: if cycle > usual.command_lifetime {
            cycle / 3
        } else {
            TimeDelta::zero()
        },
        orderly: dispatch.orderly == Orderly::All,
        calendar: Calendar {
            holidays: scenario.calendar.holidays.iter().copied().collect(),
            ..Calendar::default()
        },
        ..usual
    }
}
