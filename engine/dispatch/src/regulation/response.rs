//! How a station answers its setpoints, learned from its own samples.
//!
//! A setpoint is a ceiling, followed with a lag: `dx/dt = rate · (setpoint − x)`, with a rate for each direction. A station
//! whose vehicles take no more (or can give no more) stays where it is however far its setpoint goes beyond: that end is
//! remembered until the station goes past it or other vehicles come.

use vpp_core::Power;

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
/// Nothing is learned from a way shorter than this, kW: meters are no better.
const SHORTEST_KW: f64 = 1.0;

/// One direction.
#[derive(Clone, Copy, Debug, PartialEq)]
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

/// How a station answers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Response {
    /// Drawing less.
    fall: Way,
    /// Drawing more.
    rise: Way,
}

impl Response {
    /// Takes two samples, `seconds` apart, between which one setpoint was in force.
    pub(crate) fn learn(&mut self, from: Power, to: Power, setpoint: Power, seconds: f64) {
        let (from, to) = (from.as_kilowatts(), to.as_kilowatts());
        let way = setpoint.as_kilowatts() - from;
        if way.abs() < SHORTEST_KW || seconds <= 0.0 {
            return;
        }
        let share = (to - from) / way;
        let side = if way > 0.0 {
            &mut self.rise
        } else {
            &mut self.fall
        };
        if share < STILL {
            side.still += 1;
            if side.still >= STILL_SAMPLES {
                side.end_kw = Some(to);
            }
            return;
        }
        side.still = 0;
        let past = |end: f64| (to - end) * way.signum() > SHORTEST_KW;
        if side.end_kw.is_some_and(past) {
            side.end_kw = None;
        }
        // A way cut short by the end says nothing of the rate.
        if side.end_kw.is_none() {
            let rate = (-(1.0 - share.min(WHOLE)).ln() / seconds).min(FASTEST);
            side.rate += BELIEF * (rate - side.rate);
        }
    }

    /// Other vehicles are there: what they can take is not known yet.
    pub(crate) fn forget_ends(&mut self) {
        (self.fall.end_kw, self.rise.end_kw) = (None, None);
        (self.fall.still, self.rise.still) = (0, 0);
    }

    /// Where a station comes to rest at a setpoint.
    pub(crate) fn settled(&self, setpoint: Power) -> Power {
        let end = |way: &Way| way.end_kw.map(Power::round_kilowatts);
        let lowest = end(&self.fall).map_or(setpoint, |end| setpoint.max(end));
        end(&self.rise).map_or(lowest, |end| lowest.min(end))
    }

    /// Where a station that is at `from` will be after `seconds` at a setpoint, kW.
    pub(crate) fn after(&self, from: f64, setpoint: f64, seconds: f64) -> f64 {
        let (side, goal) = if setpoint > from {
            let end = self.rise.end_kw.unwrap_or(f64::INFINITY);
            (&self.rise, setpoint.min(end.max(from)))
        } else {
            let end = self.fall.end_kw.unwrap_or(f64::NEG_INFINITY);
            (&self.fall, setpoint.max(end.min(from)))
        };
        from + (goal - from) * side.share(seconds)
    }

    /// The setpoint that brings a station from `from` to `to` within `seconds`, kW: further than there when it lags.
    pub(crate) fn setpoint(&self, from: f64, to: f64, seconds: f64) -> f64 {
        let side = if to > from { &self.rise } else { &self.fall };
        from + (to - from) / side.share(seconds)
    }
}

impl Way {
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

    /// Samples of a station with a rate, every 2 s, at a setpoint.
    fn run(
        response: &mut Response,
        mut draw: f64,
        setpoint: f64,
        rate: f64,
        samples: usize,
    ) -> f64 {
        for _ in 0..samples {
            let next = draw + (setpoint - draw) * (1.0 - (-2.0 * rate).exp());
            response.learn(kilowatts(draw), kilowatts(next), kilowatts(setpoint), 2.0);
            draw = next;
        }
        draw
    }

    #[test]
    fn each_direction_has_its_lag() {
        let mut response = Response::default();
        for _ in 0..10 {
            run(&mut response, 0.0, 50.0, 0.1, 6);
            run(&mut response, 50.0, 0.0, 0.4, 6);
        }
        // 1 − e^(−0.1 · 4) = 0.32968; 1 − e^(−0.4 · 4) = 0.79810
        assert!((response.after(0.0, 50.0, 4.0) - 50.0 * 0.329_68).abs() < 0.3);
        assert!((response.after(50.0, 0.0, 4.0) - 50.0 * (1.0 - 0.798_10)).abs() < 0.5);
        let setpoint = response.setpoint(10.0, 20.0, 4.0);
        assert!((response.after(10.0, setpoint, 4.0) - 20.0).abs() < 1e-9);
    }

    #[test]
    fn an_end_is_found_and_forgotten() {
        let mut response = Response::default();
        for _ in 0..STILL_SAMPLES {
            response.learn(kilowatts(30.0), kilowatts(30.0), kilowatts(60.0), 2.0);
        }
        assert!((response.after(30.0, 60.0, 4.0) - 30.0).abs() < 1e-9);
        // From below it still rises to there, as fast as before.
        assert!(response.after(10.0, 60.0, 4.0) > 29.0);
        // It goes past: the end was another vehicle's.
        response.learn(kilowatts(30.0), kilowatts(40.0), kilowatts(60.0), 2.0);
        assert!(response.after(40.0, 60.0, 4.0) > 50.0);
        for _ in 0..STILL_SAMPLES {
            response.learn(kilowatts(5.0), kilowatts(5.0), kilowatts(-20.0), 2.0);
        }
        assert!((response.after(5.0, -20.0, 4.0) - 5.0).abs() < 1e-9);
        response.forget_ends();
        assert!(response.after(5.0, -20.0, 4.0) < -10.0);
    }

    #[test]
    fn short_ways_and_standing_time_teach_nothing() {
        let mut response = Response::default();
        response.learn(kilowatts(10.0), kilowatts(10.0), kilowatts(10.5), 2.0);
        response.learn(kilowatts(10.0), kilowatts(30.0), kilowatts(50.0), 0.0);
        assert_eq!(response, Response::default());
    }
}
