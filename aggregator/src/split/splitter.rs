//! The split with feedback: who draws more than told is counted with what it draws.

use chrono::TimeDelta;
use vpp_core::{Power, Timestamp};

use super::{Load, Shares};
use crate::site::{PileReading, PileSetpoint};

/// A pile is blamed only for drawing more than all that it was told for this long (at most twice as long): time to hear,
/// to react and to ramp.
const SETTLE: TimeDelta = TimeDelta::seconds(15);
/// A pile that did not export when told is not asked again for this long.
const EXPORT_PAUSE: TimeDelta = TimeDelta::minutes(10);
/// What a meter may be off, at least.
const TOLERANCE: Power = Power::from_watts(200);
/// What a meter may be off, as one part in so many.
const TOLERANCE_PARTS: i64 = 20;

/// Splits the setpoints of one station, cycle after cycle.
///
/// It remembers what each pile was told. A pile that draws more, beyond tolerance and after time to settle, is told to
/// stop, and its draw comes off what the others share: the station as a whole keeps its ceiling as long as the others have
/// anything to give up. As soon as it draws what it was told, it takes part again.
///
/// Nobody is raised into room that another has not left yet: piles take time to come down, and the ceiling holds meanwhile.
#[derive(Clone, Debug, Default)]
pub struct Splitter {
    piles: Vec<Memory>,
    cycle: u64,
    shares: Shares,
}

/// What one pile was told lately.
#[derive(Clone, Copy, Debug, Default)]
struct Memory {
    /// The cycle that saw it last; 0 never.
    cycle: u64,
    /// The highest setpoint since `since`.
    peak: Power,
    /// The highest of the period before.
    peak_before: Power,
    since: Timestamp,
    /// Not asked to export before then.
    no_export_until: Timestamp,
    unruly: bool,
}

impl Memory {
    fn highest(&self) -> Power {
        self.peak.max(self.peak_before)
    }

    /// Looks at a pile's draw before it is told anew.
    fn observe(&mut self, cycle: u64, power: Power, now: Timestamp) {
        if self.cycle == 0 || self.cycle + 1 != cycle {
            // Another vehicle, or the first look: what it does so far is nobody's fault.
            let peak = power.max(Power::ZERO);
            *self = Memory {
                peak,
                peak_before: peak,
                since: now,
                ..Memory::default()
            };
        }
        self.cycle = cycle;
        let highest = self.highest();
        let part = Power::from_watts(highest.abs().as_watts() / TOLERANCE_PARTS);
        self.unruly = power > highest + part.max(TOLERANCE);
        if self.unruly && highest < Power::ZERO {
            self.no_export_until = now + EXPORT_PAUSE;
        }
        if now - self.since >= SETTLE || now < self.since {
            self.peak_before = self.peak;
            self.peak = Power::from_watts(i64::MIN / 4);
            self.since = now;
        }
    }
}

impl Splitter {
    /// A splitter that has told nobody anything.
    #[must_use]
    pub fn new() -> Splitter {
        Splitter::default()
    }

    /// Splits `setpoint` over the piles; as [`super::split`], but on what the piles that do not obey leave of it. Those are
    /// told zero.
    pub fn split(
        &mut self,
        setpoint: Power,
        readings: &[PileReading],
        now: Timestamp,
        out: &mut Vec<PileSetpoint>,
    ) {
        self.cycle += 1;
        self.shares.begin(readings.len());
        let mut unruly = Power::ZERO;
        for reading in readings {
            let memory = memory_of(&mut self.piles, reading.pile);
            memory.observe(self.cycle, reading.active_power, now);
            if memory.unruly {
                unruly += reading.active_power;
                self.shares.push(Load::unruly(reading));
                continue;
            }
            let mut load = Load::of(reading, now);
            if now < memory.no_export_until {
                load.discharge = 0;
            }
            self.shares.push(load);
        }
        let rest = setpoint - unruly;
        // A ceiling that is broken already asks nobody to export for it.
        let rest = if setpoint < Power::ZERO {
            rest
        } else {
            rest.max(Power::ZERO)
        };
        self.shares.share(rest.as_watts());
        // An export is met more exactly when all move at once, and waiting would take it beyond the export limit.
        if rest >= Power::ZERO {
            self.shares.hold_raises(rest.as_watts(), readings);
        }
        out.clear();
        for told in self.shares.setpoints() {
            let memory = memory_of(&mut self.piles, told.pile);
            memory.peak = memory.peak.max(told.setpoint);
            out.push(told);
        }
    }

    /// Piles that drew more than told when last looked at, as far as they were among the readings.
    pub fn unruly(&self) -> impl Iterator<Item = u32> {
        let seen = |memory: &Memory| memory.unruly && memory.cycle == self.cycle;
        (0_u32..)
            .zip(&self.piles)
            .filter(move |(_, memory)| seen(memory))
            .map(|(pile, _)| pile)
    }
}

fn memory_of(piles: &mut Vec<Memory>, pile: u32) -> &mut Memory {
    let at = pile as usize;
    if at >= piles.len() {
        piles.resize(at + 1, Memory::default());
    }
    &mut piles[at]
}
