//! The split with feedback: who draws more than told is counted with what it draws.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use vpp_core::time::since;
use vpp_core::{Energy, Power, Station, Timestamp};

use super::turns::{REST, Turn};
use super::{Load, Shares, TOLERANCE, TOLERANCE_PARTS, WINDOW_MS};
use crate::site::{PileReading, PileSetpoint};

/// A pile is blamed only for drawing more than all that it was told for this long (at most twice as long): time to hear,
/// to react and to ramp.
const SETTLE: TimeDelta = TimeDelta::seconds(15);
/// A pile that was told less is expected to have heard, and what it was told before not to show any more, after this long
/// (at most twice as long).
const UNDERWAY: TimeDelta = TimeDelta::seconds(4);
/// A pile that did not export when told is not asked again for this long.
const EXPORT_PAUSE: TimeDelta = TimeDelta::minutes(10);
/// A free pile that obeyed nobody is remembered for so long.
const REMEMBERED: TimeDelta = TimeDelta::hours(6);
/// So much may be exported at first when vehicles begin to give for others, watts; or as much as one of those can begin to
/// charge with.
const BEGINNING_W: i64 = 1_500;
/// A station that stays above its ceiling is corrected by what it is above in this time.
const CORRECTION_TIME: TimeDelta = TimeDelta::seconds(10);
/// A longer time between two looks counts as this.
const CORRECTION_STEP: TimeDelta = TimeDelta::seconds(2);

/// Splits the setpoints of one station, cycle after cycle.
///
/// It remembers what each pile was told. A pile that draws more, beyond tolerance and after time to settle, is told to
/// stop, and its draw comes off what the others share: the station as a whole keeps its ceiling as long as the others have
/// anything to give up. As soon as it draws what it was told, it takes part again.
///
/// Nobody is raised into room that another has not left yet: piles take time to come down, and the ceiling holds meanwhile.
/// And while the station stays above its ceiling without anybody being found out, less and less is shared out.
///
/// A pile that did not obey is expected to do so again with the next vehicle: that counts with all that it can draw from the first
/// moment on, until it is seen to wait when told. While such piles are free, room is kept for one more vehicle at one of them.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Splitter {
    /// Where it takes for granted that each pile does what it is told: how long that is until the next look, ms.
    trusting: Option<i64>,
    piles: Vec<Memory>,
    cycle: u64,
    /// Room for sharing out.
    #[serde(skip)]
    shares: Shares,
    above: Above,
}

/// How much less is shared out because the station draws more than its ceiling: the sum of what it drew too much.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
struct Above {
    since: Option<Timestamp>,
    looked_at: Timestamp,
    correction: Power,
}

impl Above {
    /// `most` is what there is to share out: a correction beyond it would only take long to go back.
    fn correct(&mut self, setpoint: Power, draw: Power, most: Power, now: Timestamp) -> Power {
        let passed = since(self.looked_at, now).clamp(TimeDelta::zero(), CORRECTION_STEP);
        self.looked_at = now;
        let above = draw - setpoint;
        if above <= TOLERANCE {
            self.since = None;
        }
        // Coming down takes time: only what lasts is corrected.
        let lasting = above > TOLERANCE && since(*self.since.get_or_insert(now), now) >= SETTLE;
        if lasting || above < Power::ZERO {
            let change = above * passed / CORRECTION_TIME;
            self.correction += change;
        }
        self.correction = self
            .correction
            .limited_to(Power::ZERO, most.max(Power::ZERO));
        self.correction
    }
}

/// The highest setpoint of the last period or two.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
struct Peak {
    current: Power,
    before: Power,
    since: Timestamp,
}

impl Peak {
    fn of(power: Power, now: Timestamp) -> Peak {
        Peak {
            current: power,
            before: power,
            since: now,
        }
    }

    fn highest(&self) -> Power {
        self.current.max(self.before)
    }

    fn add(&mut self, told: Power, now: Timestamp, period: TimeDelta) {
        // A clock that was set back starts a period as well.
        if since(self.since, now) >= period || now < self.since {
            self.before = self.current;
            self.current = told;
            self.since = now;
        } else {
            self.current = self.current.max(told);
        }
    }
}

/// What one pile was told lately.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
struct Memory {
    /// The cycle that saw it last; 0 never.
    cycle: u64,
    /// Drawing more than this is not obeying.
    settled: Peak,
    /// So much it may still come to draw.
    underway: Peak,
    /// Not asked to export before then.
    no_export_until: Timestamp,
    turn: Turn,
    unruly: bool,
    defiant: Option<Defiance>,
}

/// A pile that drew more than told.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
struct Defiance {
    /// What it can draw.
    most: Power,
    /// Since when it has been drawing no more than told.
    obeys_since: Option<Timestamp>,
    seen_at: Timestamp,
}

impl Memory {
    /// Looks at a pile's draw before it is told anew.
    fn observe(&mut self, cycle: u64, power: Power, now: Timestamp) {
        if self.cycle == 0 || self.cycle + 1 != cycle {
            // Another vehicle, or the first look: what it does so far is nobody's fault.
            *self = Memory {
                settled: Peak::of(power.max(Power::ZERO), now),
                underway: Peak::of(power, now),
                turn: Turn::new(now),
                defiant: self.defiant.map(|defiance| Defiance {
                    obeys_since: None,
                    ..defiance
                }),
                ..Memory::default()
            };
            if self.defiant.is_some() {
                self.settled = Peak::of(Power::ZERO, now);
            }
        }
        self.cycle = cycle;
        let highest = self.settled.highest();
        let part = Power::from_watts(highest.abs().as_watts() / TOLERANCE_PARTS);
        self.unruly = power > highest + part.max(TOLERANCE);
        if self.unruly && highest < Power::ZERO {
            self.no_export_until = now + EXPORT_PAUSE;
        }
    }

    /// Remembers whether the pile obeys; what it is expected to draw whatever it is told, none while it is trusted.
    fn trust(&mut self, reading: &PileReading, now: Timestamp) -> Option<Power> {
        let power = reading.active_power.max(Power::ZERO);
        if self.unruly {
            self.defiant = Some(Defiance {
                most: reading.session.max_charge.max(power),
                obeys_since: None,
                seen_at: now,
            });
            return Some(reading.active_power);
        }
        let defiance = self.defiant.as_mut()?;
        defiance.seen_at = now;
        if since(*defiance.obeys_since.get_or_insert(now), now) >= SETTLE {
            self.defiant = None;
            return None;
        }
        Some(power.max(reading.session.max_charge))
    }

    fn tell(&mut self, told: Power, now: Timestamp) {
        self.settled.add(told, now, SETTLE);
        self.underway.add(told, now, UNDERWAY);
        self.turn.tell(told > Power::ZERO, now);
    }
}

impl Splitter {
    /// A splitter that has told nobody anything.
    #[must_use]
    pub fn new() -> Splitter {
        Splitter::default()
    }

    /// One that blames nobody but whom the station's controller blames ([`PileReading::defies`]): for looks so far apart that they
    /// do not show who did what. It has turns and nothing else to remember, and takes no more out of a vehicle than that can give
    /// until the next look, `look` later.
    #[must_use]
    pub fn trusting(look: TimeDelta) -> Splitter {
        let mut splitter = Splitter::default();
        splitter.trust(look);
        splitter
    }

    /// Becomes such a one, or one with looks further apart or less far.
    pub fn trust(&mut self, look: TimeDelta) {
        self.trusting = Some(look.num_milliseconds().max(1));
    }

    /// Splits `setpoint` over the piles; as [`super::split`], but on what the piles that do not obey leave of it. Those are
    /// told zero.
    pub fn split(
        &mut self,
        station: &Station,
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
            if self.trusting.is_some() {
                memory.unruly = false;
                memory.no_export_until = Timestamp::default();
                if reading.defies {
                    unruly += match reading.session.energy_room > Energy::ZERO {
                        true => reading.session.max_charge,
                        false => Power::ZERO,
                    };
                    self.shares.push(Load::unruly(reading));
                    continue;
                }
            } else if let Some(expected) = memory.trust(reading, now) {
                unruly += expected;
                self.shares.push(Load::unruly(reading));
                continue;
            }
            let mut load = Load::of(station, reading, now);
            load.standing = memory.turn.standing(now);
            let underway = memory.underway.highest().as_watts();
            load.reach = load.reach.max(underway.min(load.charge));
            let hurries = load.required > 0 && load.spare_ms < REST.num_milliseconds();
            let rests = match hurries {
                true => load.standing.rests_shortly,
                false => load.standing.rests,
            };
            if rests && load.least > 0 {
                load.wait();
            }
            if now < memory.no_export_until {
                (load.discharge, load.lasting, load.counted) = (0, 0, 0);
            }
            if let Some(look_ms) = self.trusting {
                // Whoever waits can begin at once, and whoever gives is counted on from then on.
                load.reach = load.reach.max(load.least);
                load.give_for(station, &reading.session, look_ms);
            } else if setpoint >= Power::ZERO {
                // A ceiling is not left to somebody who may not export when told, or whose battery is empty before others come down.
                load.discharge = load.discharge.min(load.gentle);
                load.lasting = load.lasting.min(load.gentle);
                load.counted = load.discharge.min(-reading.active_power.as_watts()).max(0);
            }
            self.shares.push(load);
        }
        let draw: Power = match self.trusting {
            Some(_) => setpoint,
            None => readings.iter().map(|reading| reading.active_power).sum(),
        };
        let correction = self.above.correct(setpoint, draw, setpoint - unruly, now);
        // A ceiling that is broken already asks nobody to export for it; with whom the station calls defiant the engine has reckoned.
        let rest = match setpoint < Power::ZERO || self.trusting.is_some() {
            true => setpoint - unruly,
            false => (setpoint - unruly - correction - self.kept_free(now)).max(Power::ZERO),
        };
        if setpoint >= Power::ZERO && self.trusting.is_none() {
            // Nobody is asked to export: vehicles give no more than others are seen to take, and a little to begin with.
            let taken: i64 = (readings.iter())
                .map(|reading| reading.active_power.as_watts().max(0))
                .sum();
            self.shares.may_leave = self.beginning(station, rest);
            self.shares.most_given = taken + self.shares.may_leave;
        }
        self.shares.share(rest.as_watts());
        // An export is met more exactly when all move at once, and waiting would take it beyond the export limit.
        if rest >= Power::ZERO && self.trusting.is_none() {
            self.shares.hold_raises(rest.as_watts());
            // Whoever was to take may not have been raised yet: what the others give would leave the station.
            let exported = -self.shares.sum(|load| load.told);
            self.shares.keep((exported - self.shares.may_leave).max(0));
        }
        out.clear();
        for told in self.shares.setpoints() {
            memory_of(&mut self.piles, told.pile).tell(told.setpoint, now);
            out.push(told);
        }
    }

    /// What may leave the station for a moment when vehicles begin to give for others: who needs it and charges with much or not at
    /// all could never begin with less. For whom it would not be enough nobody gives in vain.
    fn beginning(&self, station: &Station, rest: Power) -> i64 {
        let loads = self.shares.loads.iter();
        let gives = |load: &Load| match load.needs_within(WINDOW_MS) {
            0 => load.discharge,
            _ => 0,
        };
        let most = rest.as_watts() + loads.clone().map(gives).sum::<i64>();
        let waits = loads.filter(|load| load.required > 0 && load.reach < load.least);
        let leasts = waits.map(|load| load.least).filter(|least| *least <= most);
        let least = leasts.max().unwrap_or(0);
        station.export_limit.as_watts().min(least.max(BEGINNING_W))
    }

    /// Room for one vehicle at a free pile that obeys nobody; one that nobody used for long is not waited for.
    fn kept_free(&self, now: Timestamp) -> Power {
        if self.trusting.is_some() {
            return Power::ZERO;
        }
        let free = self
            .piles
            .iter()
            .filter(|memory| memory.cycle != self.cycle);
        let most = free.filter_map(|memory| {
            let defiance = memory.defiant?;
            (since(defiance.seen_at, now) < REMEMBERED).then_some(defiance.most)
        });
        most.max().unwrap_or(Power::ZERO)
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
