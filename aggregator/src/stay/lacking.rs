//! Whether vehicles without a reservation leave with what their sessions ask for, and if not, why (`watch.rs` does so for
//! those with one).
//!
//! Of what a vehicle lacks, a part cannot be made good any more: what it does not take at full power until it leaves. What that
//! part grows by from one look to the next is the doing of whoever held the vehicle back in between.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use vpp_core::time::{as_hours, since};
use vpp_core::{Cause, Energy, Power, Promise, Station, Timestamp, VehicleId, Violation};

use super::watch::{EARLY, LONGEST_LOOK, NEGLIGIBLE_KWH, STANDBY};
use super::{GONE_AFTER, GONE_BEFORE};
use crate::site::PileReading;

/// The stays at the piles of a station.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(super) struct Stays {
    /// In the order of the piles.
    stays: Vec<(u32, Stay)>,
    /// Where the next one asked for is, if they are asked for in their order.
    next: usize,
}

impl Stays {
    /// The stay at a pile.
    pub(super) fn at(&mut self, pile: u32) -> Option<&mut Stay> {
        let at = self.place(pile).ok()?;
        Some(&mut self.stays[at].1)
    }

    fn place(&mut self, pile: u32) -> Result<usize, usize> {
        let is_at = |at: usize| self.stays.get(at).is_some_and(|(of, _)| *of == pile);
        let place = [self.next, 0].into_iter().find(|at| is_at(*at));
        let place = match place {
            Some(at) => Ok(at),
            None => self.stays.binary_search_by_key(&pile, |(of, _)| *of),
        };
        self.next = place.map_or_else(|at| at, |at| at + 1);
        place
    }

    /// Somebody comes to a pile, instead of who may be there.
    pub(super) fn insert(&mut self, pile: u32, stay: Stay) {
        match self.place(pile) {
            Ok(at) => self.stays[at].1 = stay,
            Err(at) => self.stays.insert(at, (pile, stay)),
        }
    }

    /// Nobody's stay at a pile is looked at any more.
    pub(super) fn remove(&mut self, pile: u32) {
        if let Ok(at) = self.place(pile) {
            self.stays.remove(at);
        }
    }

    /// Lets go who did not show at `now`, as far as they have left: each is told to `left`.
    pub(super) fn leave(&mut self, now: Timestamp, mut left: impl FnMut(&Stay)) {
        self.stays.retain_mut(|(_, stay)| {
            let goes = stay.misses(now);
            if goes {
                left(stay);
            }
            !goes
        });
    }
}

/// A vehicle that stands at a pile.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Stay {
    vehicle: Option<VehicleId>,
    departure: Timestamp,
    seen_at: Timestamp,
    missing_since: Option<Timestamp>,
    /// What it lacked at the last look, kWh at the battery, and what of it its warranty forbids.
    lacks_kwh: f64,
    forbidden_kwh: f64,
    /// With what it could be charged, and was told.
    most: Power,
    told: Power,
    /// What it drew at the last look, where that was not what it was told.
    strays: Option<Power>,
    /// What cannot be made good any more, kWh, and by whose doing.
    lost_kwh: f64,
    by: [f64; Cause::ALL.len()],
}

impl Stay {
    /// Of a vehicle that has just come; its warranty lets `chargeable_kwh` into its battery.
    pub(super) fn new(
        reading: &PileReading,
        chargeable_kwh: f64,
        station: &Station,
        now: Timestamp,
    ) -> Stay {
        let mut stay = Stay {
            vehicle: reading.vehicle.clone(),
            departure: reading.session.departure,
            seen_at: now,
            missing_since: None,
            lacks_kwh: 0.0,
            forbidden_kwh: 0.0,
            most: Power::ZERO,
            told: Power::ZERO,
            strays: None,
            lost_kwh: 0.0,
            by: [0.0; Cause::ALL.len()],
        };
        let lost = stay.read(reading, chargeable_kwh, station, now);
        stay.lose(stay.forbidden_kwh, Cause::Warranty);
        stay.lose(lost, Cause::TooShort);
        stay
    }

    /// Whether the vehicle at the pile is this one, as far as the pile can tell.
    pub(super) fn is_of(&self, reading: &PileReading) -> bool {
        match (&self.vehicle, &reading.vehicle) {
            // Mostly it is the very same text.
            (Some(one), Some(other)) => one.is_copy_of(other) || one == other,
            _ => true,
        }
    }

    /// Looks at it again; `in_charge`: the station follows setpoints. What it was told holds for `lease` if nobody comes back.
    pub(super) fn look(
        &mut self,
        reading: &PileReading,
        (chargeable_kwh, in_charge): (f64, bool),
        station: &Station,
        lease: TimeDelta,
        now: Timestamp,
    ) {
        let unseen = since(self.seen_at, now) > LONGEST_LOOK.max(lease);
        let cause = if reading.session.departure < self.departure {
            Some(Cause::LeftEarly)
        } else if !in_charge || unseen {
            Some(Cause::OwnControl)
        } else if self.told < self.most - STANDBY {
            Some(Cause::Ceiling)
        } else if reading.active_power < self.told.min(self.most) - STANDBY {
            Some(Cause::NotObeyed)
        } else {
            None
        };
        (self.seen_at, self.missing_since) = (now, None);
        let strays = matches!(cause, Some(Cause::OwnControl | Cause::NotObeyed));
        self.strays = strays.then_some(reading.active_power);
        let lost = self.read(reading, chargeable_kwh, station, now);
        let cause = cause.unwrap_or_else(|| self.main());
        self.lose(lost, cause);
    }

    /// What it is told from now on.
    pub(super) fn tell(&mut self, told: Power) {
        self.told = told;
    }

    /// It does not show at `now`: whether it has left. Before its departure a pile may be out of reach for a while.
    pub(super) fn misses(&mut self, now: Timestamp) -> bool {
        if self.seen_at == now {
            return false;
        }
        self.missing_since.get_or_insert(now);
        let patience = match now < self.departure {
            true => GONE_BEFORE,
            false => GONE_AFTER,
        };
        since(self.seen_at, now) > patience
    }

    /// It has left by `now`: what it was not given, if anything. What it was told holds for `lease`.
    pub(super) fn close(
        &self,
        station: &Station,
        lease: TimeDelta,
        now: Timestamp,
    ) -> Option<Violation> {
        let missing = self.missing_since.unwrap_or(now);
        // In between it went on as it was told, or as it did.
        let end = missing.min(self.departure).max(self.seen_at);
        let drawn = self.strays.unwrap_or(self.told);
        let drawn = drawn.clamp(Power::ZERO, self.most).as_kilowatts();
        let length = (end - self.seen_at).min(lease);
        let got = drawn * as_hours(length) * station.charge_efficiency;
        let lacks = (self.lacks_kwh - got).max(self.forbidden_kwh);
        if lacks <= NEGLIGIBLE_KWH {
            return None;
        }
        let cause = if lacks <= self.forbidden_kwh + NEGLIGIBLE_KWH {
            Cause::Warranty
        } else if missing - self.seen_at > LONGEST_LOOK.max(lease) {
            Cause::SocUnknown
        } else if missing < self.departure - EARLY {
            Cause::LeftEarly
        } else {
            self.main()
        };
        let known = cause != Cause::SocUnknown;
        Some(Violation {
            promise: Promise::Departure,
            energy: Energy::floor_kilowatt_hours(if known { lacks } else { 0.0 }),
            cause,
        })
    }

    /// Takes what is read; what cannot be made good any more, kWh.
    fn read(
        &mut self,
        reading: &PileReading,
        chargeable_kwh: f64,
        station: &Station,
        now: Timestamp,
    ) -> f64 {
        let session = &reading.session;
        self.departure = session.departure;
        self.most = session.max_charge;
        self.lacks_kwh = session.energy_needed.as_kilowatt_hours().max(0.0);
        self.forbidden_kwh = (self.lacks_kwh - chargeable_kwh).max(0.0);
        if self.lacks_kwh <= 0.0 {
            return 0.0;
        }
        let left = since(now, session.departure).max(TimeDelta::zero());
        let takes = self.most.as_kilowatts() * station.charge_efficiency * as_hours(left);
        (self.lacks_kwh - takes.min(chargeable_kwh)).max(0.0)
    }

    /// So much is lost now. A vehicle that says that it takes more again has lost less, and everybody's part shrinks alike.
    fn lose(&mut self, lost_kwh: f64, cause: Cause) {
        if lost_kwh < self.lost_kwh {
            let share = lost_kwh / self.lost_kwh;
            self.by.iter_mut().for_each(|part| *part *= share);
        } else {
            self.by[cause as usize] += lost_kwh - self.lost_kwh;
        }
        self.lost_kwh = lost_kwh;
    }

    /// What explains most of it; where nothing does, there was not the time.
    fn main(&self) -> Cause {
        let most = self.by.iter().copied().fold(0.0, f64::max);
        let mut causes = Cause::ALL.into_iter();
        let main = causes.find(|cause| most > 0.0 && self.by[*cause as usize] >= most);
        main.unwrap_or(Cause::TooShort)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vpp_core::Session;

    /// How a vehicle that needs some energy in an hour at 20 kW is dealt with, minute by minute.
    struct Case {
        needed_kwh: f64,
        chargeable_kwh: f64,
        /// kW that it is told, and that it draws, of what it is told at most.
        told: fn(i64) -> f64,
        drawn: fn(f64) -> f64,
        in_charge: bool,
        /// When it is seen, and when it says that it leaves, minutes.
        seen: std::ops::Range<i64>,
        leaves: fn(i64) -> i64,
        /// When it is looked for in vain.
        missed: i64,
    }

    const PLAIN: Case = Case {
        needed_kwh: 10.0,
        chargeable_kwh: f64::INFINITY,
        told: |_| 20.0,
        drawn: |told| told,
        in_charge: true,
        seen: 0..60,
        leaves: |_| 60,
        missed: 61,
    };

    fn station() -> Station {
        Station {
            charge_efficiency: 1.0,
            discharge_efficiency: 1.0,
            ..crate::stay::tests::station()
        }
    }

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_timestamp(minute * 60, 0).unwrap()
    }

    /// Cause and kWh of what it lacks in the end.
    fn lived(case: &Case) -> Option<(Cause, f64)> {
        let (station, lease) = (station(), TimeDelta::minutes(1));
        let (mut stay, mut had, mut drawn) = (None::<Stay>, 0.0_f64, 0.0);
        for minute in case.seen.clone() {
            let left = (case.needed_kwh - had).max(0.0);
            let reading = PileReading {
                pile: 0,
                says: true,
                defies: false,
                active_power: Power::round_kilowatts(drawn),
                min_charge: Power::ZERO,
                session: Session {
                    departure: at((case.leaves)(minute)),
                    energy_needed: Energy::floor_kilowatt_hours(left),
                    energy_room: Energy::floor_kilowatt_hours(60.0 - had),
                    energy_available: Energy::ZERO,
                    max_charge: Power::from_watts(20_000),
                    max_discharge: Power::ZERO,
                },
                vehicle: None,
                battery: None,
            };
            let chargeable = case.chargeable_kwh - had;
            match &mut stay {
                None => stay = Some(Stay::new(&reading, chargeable, &station, at(minute))),
                Some(stay) => {
                    let state = (chargeable, case.in_charge);
                    stay.look(&reading, state, &station, lease, at(minute));
                }
            }
            let told = (case.told)(minute);
            stay.as_mut().unwrap().tell(Power::round_kilowatts(told));
            drawn = (case.drawn)(told).min((case.needed_kwh - had).max(0.0) * 60.0);
            had += (drawn / 60.0).min(chargeable.max(0.0));
        }
        let mut stay = stay.unwrap();
        let mut now = case.missed;
        while !stay.misses(at(now)) {
            now += 1;
        }
        let left = stay.close(&station, lease, at(now))?;
        assert_eq!(left.promise, Promise::Departure);
        Some((left.cause, left.energy.as_kilowatt_hours()))
    }

    #[test]
    fn what_lacks_is_the_doing_of_whoever_held_back() {
        let cases = [
            (PLAIN, None),
            // Nothing for an hour; nothing until it was too late.
            (
                Case {
                    told: |_| 0.0,
                    ..PLAIN
                },
                Some((Cause::Ceiling, 10.0)),
            ),
            (
                Case {
                    told: |minute| if minute < 51 { 0.0 } else { 20.0 },
                    ..PLAIN
                },
                Some((Cause::Ceiling, 7.0)),
            ),
            // 30 kWh are not to be had in an hour.
            (
                Case {
                    needed_kwh: 30.0,
                    ..PLAIN
                },
                Some((Cause::TooShort, 10.0)),
            ),
            (
                Case {
                    drawn: |_| 0.0,
                    ..PLAIN
                },
                Some((Cause::NotObeyed, 10.0)),
            ),
            (
                Case {
                    drawn: |_| 0.0,
                    in_charge: false,
                    ..PLAIN
                },
                Some((Cause::OwnControl, 10.0)),
            ),
            (
                Case {
                    chargeable_kwh: 4.0,
                    ..PLAIN
                },
                Some((Cause::Warranty, 6.0)),
            ),
            // It said an hour, and left after a quarter; it said so after a quarter, and left after a third.
            (
                Case {
                    seen: 0..15,
                    missed: 15,
                    ..PLAIN
                },
                Some((Cause::LeftEarly, 5.0)),
            ),
            (
                Case {
                    needed_kwh: 15.0,
                    seen: 0..20,
                    leaves: |minute| if minute < 15 { 60 } else { 20 },
                    missed: 21,
                    ..PLAIN
                },
                Some((Cause::LeftEarly, 15.0 - 20.0 / 3.0)),
            ),
            // Nobody looked for the second half of its stay.
            (
                Case {
                    told: |_| 0.0,
                    seen: 0..30,
                    ..PLAIN
                },
                Some((Cause::SocUnknown, 0.0)),
            ),
        ];
        for (at, (case, expected)) in cases.iter().enumerate() {
            let found = lived(case);
            let near = match (found, expected) {
                (Some((cause, kwh)), Some((other, wanted))) => {
                    cause == *other && (kwh - wanted).abs() < 0.01
                }
                (found, expected) => found.is_none() && expected.is_none(),
            };
            assert!(near, "case {at}: {found:?}, not {expected:?}");
        }
    }
}
