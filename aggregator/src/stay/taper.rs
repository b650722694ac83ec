//! A battery takes less and less near its end: what is reckoned with one power until the departure must be there sooner.

use chrono::TimeDelta;
use vpp_core::time::as_hours;
use vpp_core::{Energy, Session, Station, Timestamp};

use crate::site::BatteryReading;

/// Assumption: below [`FROM`] a battery takes so many times its capacity in an hour; rapid chargers' curves begin to fall at 1 to 2.
const PER_HOUR: f64 = 1.5;
/// Assumption: above this state of charge it takes less and less.
const FROM: f64 = 0.8;
/// Assumption: of its power so much is left when it is full.
const END: f64 = 0.1;
const SLOPE: f64 = (1.0 - END) / (1.0 - FROM);

/// The session with an earlier departure: by what the battery takes longer for what it needs than at the power that it takes now,
/// as far as there is time to spare.
pub(super) fn hastened(
    session: Session,
    battery: Option<&BatteryReading>,
    station: &Station,
    now: Timestamp,
) -> Session {
    let Some(battery) = battery.filter(|_| session.energy_needed > Energy::ZERO) else {
        return session;
    };
    let longer_h = longer_h(&session, battery, station.charge_efficiency);
    if longer_h <= 0.0 {
        return session;
    }
    let most_kw = session.max_charge.as_kilowatts() * station.charge_efficiency;
    let takes_h = session.energy_needed.as_kilowatt_hours() / most_kw;
    let spare_h = as_hours(session.departure - now) - takes_h;
    let sooner_h = longer_h.min(spare_h).max(0.0);
    #[allow(clippy::cast_possible_truncation)] // less than the stay
    let sooner = TimeDelta::seconds((sooner_h * 3_600.0) as i64);
    Session {
        departure: session.departure - sooner,
        ..session
    }
}

/// How much longer it takes for what it needs than at the power of now, hours.
fn longer_h(session: &Session, battery: &BatteryReading, efficiency: f64) -> f64 {
    let capacity = battery.capacity.as_kilowatt_hours();
    let (own_kw, now_kw) = (PER_HOUR * capacity, session.max_charge.as_kilowatts());
    if now_kw <= 0.0 {
        return 0.0;
    }
    let start = battery.soc();
    let end = (start + session.energy_needed.as_kilowatt_hours() / capacity).min(1.0);
    // From here on it takes less than the power of now.
    let bend = (FROM + (1.0 - now_kw / own_kw) / SLOPE).max(FROM);
    let from = start.max(bend);
    if end <= from {
        return 0.0;
    }
    let left = |soc: f64| 1.0 - SLOPE * (soc - FROM);
    let falling_h = (left(from) / left(end)).ln() / (PER_HOUR * SLOPE * efficiency);
    let steady_h = (end - from) * capacity / (now_kw * efficiency);
    falling_h - steady_h
}

#[cfg(test)]
mod tests {
    use super::*;
    use vpp_core::Power;

    const CAPACITY: f64 = 60.0;

    fn battery(soc: f64) -> BatteryReading {
        BatteryReading {
            capacity: Energy::floor_kilowatt_hours(CAPACITY),
            stored: Energy::floor_kilowatt_hours(soc * CAPACITY),
            temperature_c: None,
        }
    }

    fn session(needed_kwh: f64, most_kw: f64) -> Session {
        let energy = Energy::floor_kilowatt_hours(needed_kwh);
        Session {
            departure: Timestamp::UNIX_EPOCH + TimeDelta::hours(2),
            energy_needed: energy,
            energy_room: energy,
            energy_available: Energy::ZERO,
            max_charge: Power::floor_kilowatts(most_kw),
            max_discharge: Power::ZERO,
        }
    }

    /// Step by step, a thousandth of the need at a time, against the formula; and what falls in no time takes no longer.
    #[test]
    fn it_takes_as_much_longer_as_its_curve_says() {
        for (soc, needed, most) in [
            (0.3, 35.0, 60.0),
            (0.5, 30.0, 120.0),
            (0.85, 6.0, 40.0),
            (0.1, 54.0, 7.0),
            (0.2, 20.0, 90.0),
            (0.9, 6.0, 90.0),
        ] {
            let mut takes_h = 0.0;
            for part in 0..1_000_u32 {
                let soc = soc + needed / CAPACITY * (f64::from(part) + 0.5) / 1_000.0;
                let own = PER_HOUR * CAPACITY * (1.0 - SLOPE * (soc - FROM)).clamp(END, 1.0);
                takes_h += needed / 1_000.0 / (own.min(most) * 0.9);
            }
            // Below the curve's begin a pile that is stronger than the battery is believed: it says what it takes now.
            let own = (PER_HOUR * CAPACITY).min(most);
            let steady = needed / (own * 0.9);
            let found = longer_h(&session(needed, own), &battery(soc), 0.9);
            assert!(
                (found - (takes_h - steady)).abs() < 1e-3,
                "{soc} {found} {takes_h}"
            );
        }
    }

    #[test]
    fn who_has_no_time_to_spare_leaves_no_sooner_than_it_can() {
        let now = Timestamp::UNIX_EPOCH + TimeDelta::minutes(100);
        // 16.2 kWh are 18 minutes at 60 kW, of which nine tenths arrive; the last fifth of the battery takes longer.
        let session = session(16.2, 60.0);
        let station = crate::stay::tests::station();
        let sooner = |now| hastened(session.clone(), Some(&battery(0.7)), &station, now).departure;
        let least = now + TimeDelta::minutes(18);
        assert!(sooner(now) >= least && sooner(now) <= least + TimeDelta::seconds(1));
        let early = sooner(Timestamp::UNIX_EPOCH);
        assert!(early < session.departure && early > session.departure - TimeDelta::hours(1));
        let unread = hastened(session.clone(), None, &station, now);
        assert_eq!(unread, session);
    }
}
