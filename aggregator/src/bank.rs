//! A bank of batteries: the packs of a swap station, or any store of many batteries of which some must be full when they are
//! asked for.
//!
//! Whoever comes takes the fullest pack and leaves an empty one. So the fullest pack is needed for the next swap, the second
//! fullest for the one after it, and so on: each pack is a vehicle that leaves when its swap is expected, with a need until then,
//! and all that charging stations can do a bank can do as well. Some packs are kept full beyond what is expected.
//!
//! A store that nobody swaps at is one of which nothing is expected: its packs are charged and discharged for the grid alone, and
//! are all charged again at one hour of the day.

use chrono::{TimeDelta, Timelike as _};
use serde::{Deserialize, Serialize};
use vpp_core::{Energy, Invalid, Power, Session, Timestamp};

/// Nobody plans swaps further ahead.
const HORIZON_H: i64 = 72;
/// A pack that is needed at once is counted as leaving when it is full, at least this much later.
const AT_ONCE: TimeDelta = TimeDelta::minutes(1);

/// How swaps are expected and what is kept for them.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Bank {
    /// Swaps expected in each hour of the UTC day.
    pub swaps_per_hour: [f64; 24],
    /// How sure it is to have enough: a number of standard deviations of the number of swaps (1.645 for 95 %), which come by
    /// chance (Poisson), not by timetable.
    pub deviations: f64,
    /// Packs kept full beyond that.
    pub reserve: u32,
    /// Hour of the UTC day at which all packs are to be charged, whatever is expected; none: at no hour.
    pub ready_hour: Option<u32>,
    /// State of charge from which on a pack is handed out, 0 to 1.
    pub charged_soc: f64,
    /// State of charge below which none is discharged.
    pub floor_soc: f64,
}

/// A pack in its slot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pack {
    /// Number of the slot.
    pub slot: u32,
    /// What it holds when full; positive.
    pub capacity: Energy,
    /// What it holds now.
    pub stored: Energy,
    /// The most that slot and pack draw now.
    pub max_charge: Power,
    /// The most that they give, as a magnitude.
    pub max_discharge: Power,
}

impl Bank {
    /// Checks that the figures can be.
    ///
    /// # Errors
    /// The first that cannot.
    pub fn check(&self) -> Result<(), Invalid> {
        for (hour, swaps) in self.swaps_per_hour.iter().enumerate() {
            if !(0.0..=1e4).contains(swaps) {
                let field = format!("swaps_per_hour[{hour}]");
                return Err(Invalid::new(
                    field,
                    format!("{swaps} is outside 0 to 10000"),
                ));
            }
        }
        if !(0.0..=10.0).contains(&self.deviations) {
            return Err(Invalid::new(
                "deviations",
                format!("{} is outside 0 to 10", self.deviations),
            ));
        }
        if let Some(hour) = self.ready_hour.filter(|hour| *hour > 23) {
            return Err(Invalid::new(
                "ready_hour",
                format!("{hour} is outside 0 to 23"),
            ));
        }
        for (field, soc) in [
            ("charged_soc", self.charged_soc),
            ("floor_soc", self.floor_soc),
        ] {
            if !(0.0..=1.0).contains(&soc) {
                return Err(Invalid::new(field, format!("{soc} is outside 0 to 1")));
            }
        }
        Ok(())
    }

    /// The sessions that the packs are, in their order.
    #[must_use]
    pub fn sessions(&self, packs: &[Pack], charge_efficiency: f64, now: Timestamp) -> Vec<Session> {
        let soc = |pack: &Pack| pack.stored.as_kilowatt_hours() / pack.capacity.as_kilowatt_hours();
        let mut order: Vec<(f64, usize)> = packs.iter().map(soc).zip(0..).collect();
        order.sort_by(|(one, a), (other, b)| {
            other
                .total_cmp(one)
                .then(packs[*a].slot.cmp(&packs[*b].slot))
        });
        let ready = self.next_ready(now);
        let mut expected = Expected::from(&self.swaps_per_hour, now);
        let mut sessions = vec![None; packs.len()];
        for (rank, (_, at)) in (1_u32..).zip(order) {
            let due = match rank.checked_sub(self.reserve).filter(|beyond| *beyond > 0) {
                Some(beyond) => now + expected.reach(self.mean_of(f64::from(beyond))),
                None => now,
            };
            let due = ready.map_or(due, |ready| due.min(ready));
            sessions[at] = Some(self.session(&packs[at], due, charge_efficiency, now));
        }
        sessions.into_iter().flatten().collect()
    }

    fn session(
        &self,
        pack: &Pack,
        due: Timestamp,
        charge_efficiency: f64,
        now: Timestamp,
    ) -> Session {
        let (capacity, stored) = (
            pack.capacity.as_kilowatt_hours(),
            pack.stored.as_kilowatt_hours(),
        );
        let energy = |kwh: f64| Energy::floor_kilowatt_hours(kwh.max(0.0));
        let room = pack.capacity - pack.stored;
        let needed = (self.charged_soc * capacity - stored).min(room.as_kilowatt_hours());
        let charge_kw = pack.max_charge.as_kilowatts() * charge_efficiency;
        let full_h = if charge_kw > 0.0 {
            needed.max(0.0) / charge_kw
        } else {
            0.0
        };
        #[allow(clippy::cast_possible_truncation)] // at most some days
        let soonest =
            now + TimeDelta::milliseconds((full_h.min(1e3) * 3.6e6).ceil() as i64).max(AT_ONCE);
        if due <= soonest {
            // It is charged at once, and gives nothing.
            return Session {
                departure: soonest,
                energy_needed: energy(needed),
                energy_room: room,
                energy_available: Energy::ZERO,
                max_charge: pack.max_charge,
                max_discharge: Power::ZERO,
            };
        }
        let available = match pack.max_discharge > Power::ZERO {
            true => energy(stored - self.floor_soc * capacity),
            false => Energy::ZERO,
        };
        let needed = match needed > 0.0 {
            true => energy(needed),
            // Handed out with less than it holds.
            false => -energy(-needed).min(available),
        };
        Session {
            departure: due,
            energy_needed: needed,
            energy_room: room,
            energy_available: available,
            max_charge: pack.max_charge,
            max_discharge: match available > Energy::ZERO {
                true => pack.max_discharge,
                false => Power::ZERO,
            },
        }
    }

    /// When all packs are to be charged next.
    fn next_ready(&self, now: Timestamp) -> Option<Timestamp> {
        let ahead_h = (i64::from(self.ready_hour?) - i64::from(now.hour())).rem_euclid(24);
        let hour = now - TimeDelta::milliseconds(now.timestamp_millis().rem_euclid(3_600_000));
        let ready = hour + TimeDelta::hours(ahead_h);
        Some(if ready > now {
            ready
        } else {
            ready + TimeDelta::days(1)
        })
    }

    /// So many swaps expected in the mean can, with the wanted certainty, turn out to be `count`: `mean + z √mean = count`.
    fn mean_of(&self, count: f64) -> f64 {
        let z = self.deviations;
        let root = 0.5 * ((z * z + 4.0 * count).sqrt() - z);
        root * root
    }
}

/// Swaps expected from an instant on, hour by hour.
struct Expected<'a> {
    per_hour: &'a [f64; 24],
    hour: usize,
    /// Up to where it has come, and to the end of the hour, milliseconds from the instant.
    passed_ms: i64,
    hour_ends_ms: i64,
    /// So many were expected before.
    passed: f64,
}

impl Expected<'_> {
    fn from(per_hour: &[f64; 24], now: Timestamp) -> Expected<'_> {
        Expected {
            per_hour,
            hour: now.hour() as usize,
            passed_ms: 0,
            hour_ends_ms: 1_000 * (3_600 - now.timestamp().rem_euclid(3_600)),
            passed: 0.0,
        }
    }

    /// After which time so many will have been expected; the horizon where they will not within it. Asked for ascending numbers.
    fn reach(&mut self, count: f64) -> TimeDelta {
        const END_MS: i64 = HORIZON_H * 3_600_000;
        while self.passed_ms < END_MS {
            let rate = self.per_hour[self.hour];
            #[allow(clippy::cast_precision_loss)] // within an hour
            let expected = rate * (self.hour_ends_ms - self.passed_ms) as f64 / 3.6e6;
            let missing = count - self.passed;
            if expected >= missing && rate > 0.0 {
                #[allow(clippy::cast_possible_truncation)]
                let more = (missing / rate * 3.6e6).round() as i64;
                return TimeDelta::milliseconds(self.passed_ms + more);
            }
            self.passed += expected;
            self.passed_ms = self.hour_ends_ms;
            self.hour_ends_ms += 3_600_000;
            self.hour = (self.hour + 1) % 24;
        }
        TimeDelta::milliseconds(END_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bank(reserve: u32, deviations: f64) -> Bank {
        let mut swaps_per_hour = [0.0; 24];
        swaps_per_hour[1] = 2.0;
        swaps_per_hour[2] = 4.0;
        Bank {
            swaps_per_hour,
            deviations,
            reserve,
            ready_hour: None,
            charged_soc: 0.9,
            floor_soc: 0.2,
        }
    }

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_timestamp(minutes * 60, 0).unwrap()
    }

    fn kwh(kwh: f64) -> Energy {
        Energy::floor_kilowatt_hours(kwh)
    }

    fn pack(slot: u32, stored: f64) -> Pack {
        Pack {
            slot,
            capacity: kwh(100.0),
            stored: kwh(stored),
            max_charge: Power::from_watts(40_000),
            max_discharge: Power::from_watts(40_000),
        }
    }

    /// By hand: two swaps between 01:00 and 02:00, four in the hour after; the third is expected at 02:15.
    #[test]
    fn packs_are_due_in_the_order_of_their_charge() {
        let packs = [pack(0, 50.0), pack(1, 100.0), pack(2, 70.0)];
        let sessions = bank(0, 0.0).sessions(&packs, 1.0, at(0));
        let due: Vec<Timestamp> = sessions.iter().map(|session| session.departure).collect();
        assert_eq!(due, [at(135), at(90), at(120)]);
        // The full one may be handed out with a tenth less.
        let needed: Vec<f64> = sessions
            .iter()
            .map(|session| session.energy_needed.as_kilowatt_hours())
            .collect();
        assert_eq!(needed, [40.0, -10.0, 20.0]);
        let available: Vec<f64> = sessions
            .iter()
            .map(|session| session.energy_available.as_kilowatt_hours())
            .collect();
        assert_eq!(available, [30.0, 80.0, 50.0]);
    }

    /// By hand: 2 + √2 √… : of a mean of 1 swap there are at most 1 + 1.645 with 95 %.
    #[test]
    fn certainty_and_reserve_bring_packs_forward() {
        let bank = bank(1, 1.645);
        assert!((bank.mean_of(2.645) - 1.0).abs() < 1e-9);
        let packs = [pack(0, 85.0), pack(1, 80.0)];
        let sessions = bank.sessions(&packs, 1.0, at(0));
        // The reserve at once: 5 kWh at 40 kW.
        assert_eq!(
            sessions[0].departure,
            Timestamp::from_timestamp(450, 0).unwrap()
        );
        assert_eq!(sessions[0].max_discharge, Power::ZERO);
        // The next when 0.22 swaps are expected: 6.7 min after 01:00.
        let due = sessions[1].departure;
        assert!((at(66)..at(67)).contains(&due), "{due}");
    }

    /// Nobody swaps: all packs are due at the hour at which they are to be charged, today's or tomorrow's.
    #[test]
    fn a_bank_without_swaps_is_charged_at_its_hour() {
        let bank = Bank {
            swaps_per_hour: [0.0; 24],
            ready_hour: Some(2),
            ..bank(0, 1.645)
        };
        let packs = [pack(0, 50.0), pack(1, 100.0)];
        for (now, due) in [(0, 120), (119, 120), (120, 1_560), (1_439, 1_560)] {
            let sessions = bank.sessions(&packs, 1.0, at(now));
            // In its last minute the emptier one cannot be in time: it is charged at once.
            let soonest = now + 60;
            assert_eq!(sessions[0].departure, at(due.max(soonest)), "{now}");
            assert_eq!(sessions[1].departure, at(due), "{now}");
        }
        // 40 kWh are to come in, or 10 may be missing; down to a fifth all may be taken out meanwhile.
        let sessions = bank.sessions(&packs, 1.0, at(0));
        let kwh = |energy: Energy| energy.as_kilowatt_hours();
        let needed: Vec<f64> = sessions.iter().map(|s| kwh(s.energy_needed)).collect();
        assert_eq!(needed, [40.0, -10.0]);
        let available: Vec<f64> = sessions.iter().map(|s| kwh(s.energy_available)).collect();
        assert_eq!(available, [30.0, 80.0]);
    }

    #[test]
    fn figures_that_cannot_be_are_refused() {
        for (field, bad) in [
            (
                "swaps_per_hour[3]",
                Bank {
                    swaps_per_hour: {
                        let mut s = [1.0; 24];
                        s[3] = f64::NAN;
                        s
                    },
                    ..bank(0, 0.0)
                },
            ),
            (
                "deviations",
                Bank {
                    deviations: -1.0,
                    ..bank(0, 0.0)
                },
            ),
            (
                "ready_hour",
                Bank {
                    ready_hour: Some(24),
                    ..bank(0, 0.0)
                },
            ),
            (
                "charged_soc",
                Bank {
                    charged_soc: 1.1,
                    ..bank(0, 0.0)
                },
            ),
        ] {
            assert_eq!(bad.check().unwrap_err().field, field);
        }
    }
}
