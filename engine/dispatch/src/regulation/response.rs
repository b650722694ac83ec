//! How a station answers its setpoints, learned from its own samples.
//!
//! A setpoint is a ceiling, followed after a dead time and with a lag: `dx/dt = rate · (setpoint − x)`, with a rate for each
//! direction. A station whose vehicles take no more (or can give no more) stays where it is however far its setpoint goes
//! beyond: that end is remembered until the station goes past it or other vehicles come.
//!
//! Samples are too far apart to show a dead time. So several are tried at once, each with rates and ends of its own, and
//! the one that has foretold the samples best is believed.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use vpp_core::{Power, Timestamp};

/// Dead times that are tried, s.
const DEAD_TIMES_S: [f64; 8] = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0];
/// How much of the last error in foretelling counts.
const RECENT: f64 = 0.1;
/// Another dead time is believed when its error is this much smaller, as a share and in kW.
const BETTER: f64 = 0.8;
const BETTER_KW: f64 = 0.1;
/// Setpoints that are remembered.
const TOLD: usize = 12;
/// A time at one setpoint shorter than this, s, teaches nothing.
const SHORTEST_S: f64 = 0.3;

/// Rate before anything is known, 1/s: nearly all of the way within one cycle.
const RATE: f64 = 1.0;
/// Share of the way that counts as all of it: beyond that, samples say nothing of the rate.
const WHOLE: f64 = 0.98;
/// Faster than this is at once, 1/s: samples are too far apart to tell.
const FASTEST: f64 = 2.0;
/// How much of a new reading of the rate is believed.
const BELIEF: f64 = 0.3;
/// A station that covers less of the way between two samples does not move.
const STILL: f64 = 0.05;
/// After so many samples without moving it is at its end: fewer could be dead time.
const STILL_SAMPLES: u32 = 3;
/// A way shorter than this, kW, has been gone.
const ARRIVED_KW: f64 = 1e-6;
/// Nothing is learned from a way shorter than this, kW: meters are no better.
const SHORTEST_KW: f64 = 1.0;

/// One direction.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
struct Way {
    /// 1/s.
    rate: f64,
    still: u32,
    /// Where the station stays, kW.
    end_kw: Option<f64>,
}

impl Default for Way {
    fn default() -> Way {
        Way {
            rate: RATE,
            still: 0,
            end_kw: None,
        }
    }
}

/// A dead time, and how the station answers if that is right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
struct Model {
    dead_time_s: f64,
    /// Drawing less.
    fall: Way,
    /// Drawing more.
    rise: Way,
    /// Mean distance of samples from what was foretold, lately, kW.
    error_kw: f64,
}

/// How a station answers.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(crate) struct Response {
    /// Setpoints and since when they are followed, oldest first: milliseconds of 1970, kW.
    told: VecDeque<(i64, f64)>,
    /// The last of them, mostly the only one that matters: kept here, because the others lie elsewhere in memory.
    newest: Option<(i64, f64)>,
    /// Apart from the rest: the control loop looks at the one that is believed, of every station, for every signal.
    models: Box<[Model; DEAD_TIMES_S.len()]>,
    /// Which one is believed, and a copy of it.
    best: usize,
    believed: Model,
}

impl Default for Response {
    fn default() -> Response {
        Response {
            told: VecDeque::new(),
            newest: None,
            models: Box::new(DEAD_TIMES_S.map(|dead_time_s| Model {
                dead_time_s,
                ..Model::default()
            })),
            best: 0,
            believed: Model::default(),
        }
    }
}

impl Response {
    /// A setpoint is in force from an instant on.
    pub(crate) fn tell(&mut self, at: Timestamp, setpoint: Power) {
        if self.told.len() == TOLD {
            self.told.pop_front();
        }
        let told = (at.timestamp_millis(), setpoint.as_kilowatts());
        self.told.push_back(told);
        self.newest = Some(told);
    }

    /// Nobody knows what it follows now.
    pub(crate) fn lose_track(&mut self) {
        self.told.clear();
        self.newest = None;
    }

    /// Takes two samples that follow each other.
    pub(crate) fn learn(&mut self, from: (Timestamp, Power), to: (Timestamp, Power)) {
        let point = |(at, draw): (Timestamp, Power)| (at.timestamp_millis(), draw.as_kilowatts());
        for model in self.models.iter_mut() {
            model.learn(&self.told, point(from), point(to));
        }
        let error = |k: usize| self.models[k].error_kw;
        let found = (0..self.models.len()).min_by(|&a, &b| error(a).total_cmp(&error(b)));
        if let Some(found) = found
            && error(found) < BETTER * error(self.best) - BETTER_KW
        {
            self.best = found;
        }
        self.believed = self.models[self.best];
    }

    /// Other vehicles are there: what they can take is not known yet.
    pub(crate) fn forget_ends(&mut self) {
        for model in self.models.iter_mut() {
            for side in [&mut model.fall, &mut model.rise] {
                (side.end_kw, side.still) = (None, 0);
            }
        }
        self.believed = self.models[self.best];
    }

    /// Seconds from a setpoint to the first movement.
    pub(crate) fn dead_time_s(&self) -> f64 {
        self.model().dead_time_s
    }

    /// Where a station that was at `from` will be when a setpoint sent now begins to show, kW.
    pub(crate) fn ahead(&self, from: (Timestamp, f64), now: Timestamp) -> f64 {
        let model = self.model();
        let dead_time = milliseconds(model.dead_time_s);
        let until = now.timestamp_millis() + dead_time;
        let (at, draw) = (from.0.timestamp_millis(), from.1);
        match self.newest {
            // Mostly the last one shows already: then there is no need to fetch those before it.
            Some((since, setpoint)) if since + dead_time <= at => {
                if until <= at {
                    return draw;
                }
                model.after(draw, setpoint, seconds(until - at))
            }
            _ => model.walk(&self.told, (at, draw), until).1,
        }
    }

    /// Where a station comes to rest at a setpoint.
    pub(crate) fn settled(&self, setpoint: Power) -> Power {
        let end = |way: &Way| way.end_kw.map(Power::round_kilowatts);
        let lowest = end(&self.model().fall).map_or(setpoint, |end| setpoint.max(end));
        end(&self.model().rise).map_or(lowest, |end| lowest.min(end))
    }

    /// Where a station that is at `from` will be after so many seconds at a setpoint, once that shows, kW.
    pub(crate) fn after(&self, from: f64, setpoint: f64, seconds: f64) -> f64 {
        self.model().after(from, setpoint, seconds)
    }

    /// The same for several setpoints.
    pub(crate) fn reach(&self, from: f64, seconds: f64) -> Reach {
        let model = self.model();
        Reach {
            from,
            fall: (model.fall.share(seconds), model.fall.end_kw),
            rise: (model.rise.share(seconds), model.rise.end_kw),
        }
    }

    /// The setpoint that brings a station from `from` to `to` within so many seconds, kW: further than there when it lags.
    pub(crate) fn setpoint(&self, from: f64, to: f64, seconds: f64) -> f64 {
        let model = self.model();
        let side = if to > from { &model.rise } else { &model.fall };
        from + (to - from) / side.share(seconds)
    }

    fn model(&self) -> &Model {
        &self.believed
    }
}

/// Where a station can be after a time, from where it is: the share of the way and the end, of each direction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reach {
    from: f64,
    fall: (f64, Option<f64>),
    rise: (f64, Option<f64>),
}

impl Reach {
    /// At a setpoint, kW.
    pub(crate) fn at(&self, setpoint: f64) -> f64 {
        let rises = setpoint > self.from;
        let (share, end) = if rises { self.rise } else { self.fall };
        self.from + way(self.from, setpoint, end) * share
    }
}

/// From where a station is to where a setpoint takes it in the end, kW.
fn way(from: f64, setpoint: f64, end: Option<f64>) -> f64 {
    let goal = if setpoint > from {
        setpoint.min(end.unwrap_or(f64::INFINITY).max(from))
    } else {
        setpoint.max(end.unwrap_or(f64::NEG_INFINITY).min(from))
    };
    goal - from
}

#[allow(clippy::cast_possible_truncation)] // a few thousand
pub(super) fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1e3).round() as i64
}

#[allow(clippy::cast_precision_loss)] // a few thousand
fn seconds(milliseconds: i64) -> f64 {
    milliseconds as f64 * 1e-3
}

impl Model {
    fn after(&self, from: f64, setpoint: f64, seconds: f64) -> f64 {
        let rises = setpoint > from;
        let side = if rises { &self.rise } else { &self.fall };
        let way = way(from, setpoint, side.end_kw);
        // Most stations are where they should be: not worth an exponential.
        if way.abs() < ARRIVED_KW {
            return from;
        }
        from + way * side.share(seconds)
    }

    /// Goes from one instant to another with what was told: where the last setpoint that shows began to (when, kW, and
    /// which), and where it ends, kW. Before the first one that is known it stands still.
    fn walk(
        &self,
        told: &VecDeque<(i64, f64)>,
        from: (i64, f64),
        until: i64,
    ) -> (Option<(i64, f64, f64)>, f64) {
        let (mut at, mut draw) = from;
        let mut last = None;
        let dead_time = milliseconds(self.dead_time_s);
        // The one that shows at the beginning, and those after it.
        let shown = told.iter().rposition(|(since, _)| since + dead_time <= at);
        for k in shown.unwrap_or(0)..told.len() {
            let (since, setpoint) = told[k];
            let ends = told.get(k + 1).map_or(until, |(next, _)| next + dead_time);
            let (begin, end) = ((since + dead_time).max(at), ends.min(until));
            if begin >= end {
                continue;
            }
            last = Some((begin, draw, setpoint));
            draw = self.after(draw, setpoint, seconds(end - begin));
            at = end;
        }
        (last, draw)
    }

    fn learn(&mut self, told: &VecDeque<(i64, f64)>, from: (i64, f64), to: (i64, f64)) {
        let (last, foretold) = self.walk(told, from, to.0);
        self.error_kw += RECENT * ((foretold - to.1).abs() - self.error_kw);
        let Some((since, from, setpoint)) = last else {
            return;
        };
        let seconds = seconds(to.0 - since);
        let way = setpoint - from;
        if way.abs() < SHORTEST_KW || seconds < SHORTEST_S {
            return;
        }
        let side = if way > 0.0 {
            &mut self.rise
        } else {
            &mut self.fall
        };
        side.learn(from, to.1, way, seconds);
    }
}

impl Way {
    fn learn(&mut self, from: f64, to: f64, way: f64, seconds: f64) {
        let share = (to - from) / way;
        if share < STILL {
            self.still += 1;
            if self.still >= STILL_SAMPLES {
                self.end_kw = Some(to);
            }
            return;
        }
        self.still = 0;
        let past = |end: f64| (to - end) * way.signum() > SHORTEST_KW;
        if self.end_kw.is_some_and(past) {
            self.end_kw = None;
        }
        // A way cut short by the end says nothing of the rate.
        if self.end_kw.is_none() {
            let rate = (-(1.0 - share.min(WHOLE)).ln() / seconds).min(FASTEST);
            self.rate += BELIEF * (rate - self.rate);
        }
    }

    /// How much of the way is covered within a time. Never so little that a wrong guess would send a station far.
    fn share(&self, seconds: f64) -> f64 {
        (1.0 - (-self.rate * seconds).exp()).clamp(0.05, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kilowatts(kw: f64) -> Power {
        Power::round_kilowatts(kw)
    }

    fn at(seconds: f64) -> Timestamp {
        Timestamp::UNIX_EPOCH + chrono::TimeDelta::milliseconds(milliseconds(seconds))
    }

    /// A station with a dead time and a rate for each direction, sampled every 2 s, told a new setpoint every 6 s.
    fn taught(dead_time: f64, rise: f64, fall: f64) -> (Response, f64, f64) {
        let mut response = Response::default();
        let (mut draw, mut told) = (0.0, vec![(0.0, 0.0)]);
        let mut last = (at(0.0), kilowatts(0.0));
        for step in 1..=3_000_u32 {
            let time = 0.1 * f64::from(step);
            let shows = told
                .iter()
                .rev()
                .find(|(since, _)| since + dead_time <= time);
            let setpoint = shows.map_or(0.0, |(_, setpoint)| *setpoint);
            let rate = if setpoint > draw { rise } else { fall };
            draw += (setpoint - draw) * (1.0 - (-0.1 * rate).exp());
            if step % 20 == 0 {
                let sample = (at(time), kilowatts(draw));
                response.learn(last, sample);
                last = sample;
            }
            if step % 60 == 0 {
                let next = [50.0, 0.0, 30.0, 10.0][(step / 60 % 4) as usize];
                response.tell(at(time), kilowatts(next));
                told.push((time, next));
            }
        }
        (response, draw, 300.0)
    }

    #[test]
    fn dead_time_and_lag_of_each_direction_are_found() {
        for dead_time in [0.0, 2.0, 3.0] {
            let (response, ..) = taught(dead_time, 0.1, 0.4);
            assert!((response.dead_time_s() - dead_time).abs() < 1e-9);
            // 1 − e^(−0.1 · 4) = 0.32968; 1 − e^(−0.4 · 4) = 0.79810
            let (rise, fall) = (
                response.after(0.0, 50.0, 4.0),
                response.after(50.0, 0.0, 4.0),
            );
            assert!((rise - 50.0 * 0.329_68).abs() < 2.0, "{dead_time}: {rise}");
            assert!(
                (fall - 50.0 * (1.0 - 0.798_10)).abs() < 2.0,
                "{dead_time}: {fall}"
            );
            let setpoint = response.setpoint(10.0, 20.0, 4.0);
            assert!((response.after(10.0, setpoint, 4.0) - 20.0).abs() < 1e-9);
        }
    }

    #[test]
    fn setpoints_on_their_way_count() {
        let (mut response, draw, time) = taught(3.0, 1.0, 1.0);
        response.lose_track();
        response.tell(at(time - 60.0), kilowatts(draw));
        response.tell(at(time), kilowatts(draw + 40.0));
        // One second later it has not begun to move; three seconds after that, one second of it shows.
        let ahead = response.ahead((at(time), draw), at(time + 1.0));
        let share = 1.0 - (-1.0_f64).exp();
        assert!(
            (ahead - (draw + 40.0 * share)).abs() < 2.0,
            "{ahead} from {draw}"
        );
    }

    #[test]
    fn an_end_is_found_and_forgotten() {
        let mut response = Response::default();
        let mut time = 0.0;
        let mut sample = |response: &mut Response, from: f64, to: f64, setpoint: f64| {
            response.lose_track();
            response.tell(at(time - 100.0), kilowatts(setpoint));
            response.learn((at(time), kilowatts(from)), (at(time + 2.0), kilowatts(to)));
            time += 2.0;
        };
        for _ in 0..STILL_SAMPLES {
            sample(&mut response, 30.0, 30.0, 60.0);
        }
        assert!((response.after(30.0, 60.0, 4.0) - 30.0).abs() < 1e-9);
        assert_eq!(response.settled(kilowatts(60.0)), kilowatts(30.0));
        // From below it still rises to there, as fast as before.
        assert!(response.after(10.0, 60.0, 4.0) > 29.0);
        // It goes past: the end was another vehicle's.
        sample(&mut response, 30.0, 40.0, 60.0);
        assert!(response.after(40.0, 60.0, 4.0) > 50.0);
        for _ in 0..STILL_SAMPLES {
            sample(&mut response, 5.0, 5.0, -20.0);
        }
        assert!((response.after(5.0, -20.0, 4.0) - 5.0).abs() < 1e-9);
        response.forget_ends();
        assert!(response.after(5.0, -20.0, 4.0) < -10.0);
    }

    #[test]
    fn without_a_setpoint_nothing_is_learned() {
        let mut response = Response::default();
        response.learn((at(0.0), kilowatts(10.0)), (at(2.0), kilowatts(10.0)));
        assert_eq!(response, Response::default());
        assert!((response.ahead((at(0.0), 10.0), at(8.0)) - 10.0).abs() < 1e-9);
    }
}
