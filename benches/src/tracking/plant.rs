//! Stations that lag.

use std::collections::VecDeque;

/// Seconds of one step.
const STEP_S: f64 = 0.1;
/// Where everybody may be, and where they are by plan, kW.
pub(super) const LOW_KW: f64 = -20.0;
pub(super) const HIGH_KW: f64 = 60.0;
pub(super) const PLAN_KW: f64 = 20.0;

/// What stations are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Make {
    /// All follow their setpoints.
    Obedient,
    /// Of five, one takes no more than by plan, or covers 70 % of the way, or stays where it is; in turns.
    Mixed,
}

/// How one differs from what it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    Saturated,
    Weak,
    Stuck,
}

/// A station: `lag · dx/dt = setpoint − x`, a dead time after the command.
#[derive(Clone, Debug)]
pub(super) struct Station {
    pub(super) lag_s: f64,
    pub(super) draw_kw: f64,
    pub(super) setpoint_kw: f64,
    /// Setpoints on their way: seconds left, kW.
    pub(super) coming: VecDeque<(f64, f64)>,
    fault: Fault,
}

/// All of them.
#[derive(Clone, Debug)]
pub(super) struct Plant {
    pub(super) stations: Vec<Station>,
    pub(super) dead_time_s: f64,
    pub(super) clock_s: f64,
}

impl Plant {
    pub(super) fn new(count: usize, dead_time_s: f64, make: Make) -> Plant {
        let station = |index: usize| {
            #[allow(clippy::cast_precision_loss)]
            let lag_s = 1.0 + 9.0 * index as f64 / (count.max(2) - 1) as f64;
            let faults = [Fault::Saturated, Fault::Weak, Fault::Stuck];
            let fault = match make {
                Make::Mixed if index % 5 == 2 => faults[index / 5 % faults.len()],
                _ => Fault::None,
            };
            Station {
                lag_s,
                draw_kw: PLAN_KW,
                setpoint_kw: PLAN_KW,
                coming: VecDeque::new(),
                fault,
            }
        };
        Plant {
            stations: (0..count).map(station).collect(),
            dead_time_s,
            clock_s: 0.0,
        }
    }

    /// How far all can move from the plan, in the direction in which that is less.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn room_kw(&self) -> f64 {
        (PLAN_KW - LOW_KW).min(HIGH_KW - PLAN_KW) * self.stations.len() as f64
    }

    pub(super) fn draw_kw(&self) -> f64 {
        self.stations.iter().map(|station| station.draw_kw).sum()
    }

    pub(super) fn command(&mut self, station: usize, setpoint_kw: f64) {
        let setpoint_kw = setpoint_kw.clamp(LOW_KW, HIGH_KW);
        let due = self.dead_time_s;
        self.stations[station].coming.push_back((due, setpoint_kw));
    }

    /// Some seconds pass.
    pub(super) fn live(&mut self, seconds: f64) {
        let mut left = seconds;
        while left > 1e-9 {
            let step = STEP_S.min(left);
            for station in &mut self.stations {
                station.live(step);
            }
            self.clock_s += step;
            left -= step;
        }
    }
}

impl Station {
    fn live(&mut self, step: f64) {
        for (due, _) in &mut self.coming {
            *due -= step;
        }
        while let Some((due, setpoint)) = self.coming.front().copied() {
            if due > 1e-9 {
                break;
            }
            self.setpoint_kw = setpoint;
            self.coming.pop_front();
        }
        let goal = match self.fault {
            Fault::None => self.setpoint_kw,
            Fault::Saturated => self.setpoint_kw.min(PLAN_KW),
            Fault::Weak => PLAN_KW + 0.7 * (self.setpoint_kw - PLAN_KW),
            Fault::Stuck => PLAN_KW,
        };
        self.draw_kw += (goal - self.draw_kw) * (1.0 - (-step / self.lag_s).exp());
    }

    /// Where it comes to rest at a schedule.
    pub(super) fn expected_kw(&self, schedule_kw: f64) -> f64 {
        match self.fault {
            Fault::None | Fault::Weak => schedule_kw,
            Fault::Saturated => schedule_kw.min(PLAN_KW),
            Fault::Stuck => PLAN_KW,
        }
    }
}
