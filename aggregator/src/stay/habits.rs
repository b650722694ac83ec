//! What vehicles usually do at a station, for those of which nobody says when they leave and what they need: piles that speak OCPP
//! 1.6 have no message for it, and in many places no driver is asked.
//!
//! Of each stay at such a station it is learned how long it lasted and what was taken, by the quarter of the week in which it began
//! ([`TimeOfWeek`]). A vehicle that says nothing is then taken for one that stays as long as nine of ten stay, and needs what
//! nine of ten need no more than; both figures move until that is so ([`Quote`]). One that stays longer is taken for one of those that
//! do. Who left while it still drew might have wanted more: it counts as one that wanted all that fitted in. As long as too little is
//! known, and where somebody has stayed longer than all before, a vehicle is charged at once, as without any management. None of
//! them is discharged.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use vpp_core::forecast::{Forecast as _, Quote, Seen, TimeOfWeek};
use vpp_core::time::as_hours;
use vpp_core::{Energy, Power, Session, Station, Timestamp, VehicleId};

use crate::site::PileReading;

/// With this confidence a vehicle stays as long as expected, and with this it needs no more.
pub const CONFIDENCE: f64 = 0.9;
/// With fewer stays nothing is expected.
const ENOUGH: usize = 12;

/// Stays of vehicles that said nothing, and what was expected of them when they came. Only those of which something was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Expectations {
    /// How many are over.
    pub stays: u64,
    /// Of them those that lasted as long as expected.
    pub lasted: u64,
    /// Of them those that wanted no more than expected.
    pub sufficed: u64,
}

/// What is known of the stations of an aggregator.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(super) struct Habits {
    /// By station; none where everybody says.
    usual: BTreeMap<usize, Usual>,
    expectations: Expectations,
}

#[derive(Debug, Deserialize, Serialize)]
struct Usual {
    hours: TimeOfWeek,
    /// What was wanted, kWh.
    wanted: TimeOfWeek,
    stays_quote: Quote,
    /// Of wanted energies with the sign turned: at least so much less than nothing.
    wanted_quote: Quote,
    present: BTreeMap<u32, Stay>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Stay {
    vehicle: Option<VehicleId>,
    since: Timestamp,
    seen_at: Timestamp,
    /// What fitted in when it came, and what fits in now.
    first_room: Energy,
    room: Energy,
    /// It took nothing more, though it could.
    done: bool,
    says: bool,
    /// What was expected when it came: hours, kWh.
    expected: Option<(f64, f64)>,
    /// Until when it is taken to stay.
    departure: Option<Timestamp>,
}

impl Usual {
    fn new() -> Usual {
        Usual {
            hours: TimeOfWeek::default(),
            wanted: TimeOfWeek::default(),
            stays_quote: Quote::new(CONFIDENCE),
            wanted_quote: Quote::new(CONFIDENCE),
            present: BTreeMap::new(),
        }
    }

    /// How long, in hours, somebody stays who came at an instant, and what it wants, kWh.
    fn expected(&self, since: Timestamp) -> Option<(f64, f64)> {
        let known = |model: &TimeOfWeek| model.seen(since).filter(|seen| seen.count() >= ENOUGH);
        let (hours, wanted) = (known(&self.hours)?, known(&self.wanted)?);
        let stays = self.stays_quote.promise_of(|share| hours.quantile(share));
        let kwh = -(self.wanted_quote).promise_of(|share| -wanted.quantile(1.0 - share));
        Some((stays.max(0.0), kwh.max(0.0)))
    }

    /// How long somebody stays who came at an instant and has stayed for some hours already; none where nobody has.
    fn expected_beyond(&self, since: Timestamp, hours: f64) -> Option<f64> {
        let longer: Seen = self.hours.seen(since)?.above(hours)?;
        Some(longer.quantile(1.0 - CONFIDENCE))
    }

    /// A stay is over.
    fn learn(&mut self, stay: &Stay, expectations: &mut Expectations) {
        let hours = as_hours(stay.seen_at - stay.since);
        let took = stay.first_room - stay.room;
        let wanted = if stay.done { took } else { stay.first_room };
        let wanted = wanted.max(Energy::ZERO).as_kilowatt_hours();
        if let Some((stays, kwh)) = stay.expected {
            expectations.stays += 1;
            expectations.lasted += u64::from(hours >= stays);
            expectations.sufficed += u64::from(wanted <= kwh);
            self.stays_quote.settle(stays, hours);
            self.wanted_quote.settle(-kwh, -wanted);
        }
        self.hours.observe(stay.since, hours);
        self.wanted.observe(stay.since, wanted);
    }
}

impl Habits {
    /// Stays that are over, and what was expected of them.
    pub(super) fn expectations(&self) -> Expectations {
        self.expectations
    }

    /// Takes what is read at a pile of station number `index`; the session as it is to be taken, if the vehicle says nothing.
    /// Nobody may look again for `lease`.
    pub(super) fn see(
        &mut self,
        (index, station): (usize, &Station),
        reading: &PileReading,
        lease: TimeDelta,
        now: Timestamp,
    ) -> Option<Session> {
        if reading.says && !self.usual.contains_key(&index) {
            return None;
        }
        let usual = self.usual.entry(index).or_insert_with(Usual::new);
        let session = &reading.session;
        let known = usual.present.get(&reading.pile);
        if known.is_none_or(|stay| stay.is_another(reading)) {
            if let Some(stay) = usual.present.remove(&reading.pile) {
                usual.learn(&stay, &mut self.expectations);
            }
            let expected = usual.expected(now).filter(|_| !reading.says);
            let stay = Stay::new(reading, expected, now);
            usual.present.insert(reading.pile, stay);
        }
        let stay = usual.present.get_mut(&reading.pile)?;
        stay.seen_at = now;
        stay.room = session.energy_room;
        stay.done = session.energy_room < Session::NEGLIGIBLE || session.max_charge == Power::ZERO;
        if reading.says {
            return None;
        }
        let taken = stay.first_room - stay.room;
        let needed = match stay.expected {
            Some((_, kwh)) => Energy::floor_kilowatt_hours(kwh) - taken,
            None => session.energy_room,
        };
        let needed = needed.max(Energy::ZERO).min(session.energy_room);
        // Chosen anew before it is over: one that is past would be another vehicle to the engine.
        let soon = now + lease;
        let departure = match stay.departure.filter(|departure| *departure > soon) {
            Some(departure) => departure,
            None => {
                let (since, stayed) = (stay.since, as_hours(soon - stay.since));
                let first = stay.expected.map(|(hours, _)| hours);
                let longer = first.filter(|hours| *hours > stayed);
                let longer = longer.or_else(|| first.and(usual.expected_beyond(since, stayed)));
                let departure = match longer {
                    Some(longer) => since + hours(longer),
                    None => {
                        let drawn = needed.as_kilowatt_hours() / station.charge_efficiency;
                        let most = session.max_charge.as_kilowatts().max(1e-3);
                        now + hours(drawn / most)
                    }
                };
                let departure = departure.max(soon + TimeDelta::milliseconds(1));
                if let Some(stay) = usual.present.get_mut(&reading.pile) {
                    stay.departure = Some(departure);
                }
                departure
            }
        };
        Some(Session {
            departure,
            energy_needed: needed,
            energy_available: Energy::ZERO,
            max_discharge: Power::ZERO,
            ..session.clone()
        })
    }

    /// A station's piles have all been seen: who was not has left.
    pub(super) fn close(&mut self, index: usize, now: Timestamp) {
        let Some(usual) = self.usual.get_mut(&index) else {
            return;
        };
        let gone = |stay: &Stay| stay.seen_at < now;
        if !usual.present.values().any(gone) {
            return;
        }
        let (left, here) = std::mem::take(&mut usual.present)
            .into_iter()
            .partition(|(_, stay)| gone(stay));
        usual.present = here;
        let left: BTreeMap<u32, Stay> = left;
        for stay in left.values() {
            usual.learn(stay, &mut self.expectations);
        }
    }
}

impl Stay {
    fn new(reading: &PileReading, expected: Option<(f64, f64)>, now: Timestamp) -> Stay {
        Stay {
            vehicle: reading.vehicle.clone(),
            since: now,
            seen_at: now,
            first_room: reading.session.energy_room,
            room: reading.session.energy_room,
            done: false,
            says: reading.says,
            expected,
            departure: None,
        }
    }

    /// Whether another vehicle stands there now: by its name, or because it has more room though none of them gives.
    fn is_another(&self, reading: &PileReading) -> bool {
        match (&self.vehicle, &reading.vehicle) {
            (Some(one), Some(other)) => one != other,
            _ => !self.says && reading.session.energy_room > self.room + Session::NEGLIGIBLE,
        }
    }
}

fn hours(length: f64) -> TimeDelta {
    #[allow(clippy::cast_possible_truncation)] // at most a year
    TimeDelta::milliseconds((length.min(8_784.0) * 3.6e6).ceil() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use vpp_core::{AggregatorId, NodeId, Pile, PileKind, StationId, StationKind};

    const ROOM_KWH: i64 = 60;
    const NO_LEASE: TimeDelta = TimeDelta::zero();

    fn station() -> Station {
        Station {
            id: StationId::new("st-1").unwrap(),
            aggregator: AggregatorId::new("agg-a").unwrap(),
            node: NodeId::new("feeder-1").unwrap(),
            kind: StationKind::Charging,
            import_limit: Power::from_watts(70_000),
            export_limit: Power::ZERO,
            default_setpoint: Power::from_watts(35_000),
            ramp_per_second: Power::from_watts(7_000),
            charge_efficiency: 0.9,
            discharge_efficiency: 0.9,
            regulates: false,
            piles: vec![Pile {
                kind: PileKind::Ac,
                count: 10,
                rated_power: Power::from_watts(7_000),
                discharge_power: Power::ZERO,
            }],
        }
    }

    fn kilowatt_hours(kwh: i64) -> Energy {
        Energy::from_watt_milliseconds(kwh * 3_600_000_000)
    }

    /// Monday 2024-01-01, 08:00 in Guangzhou, some days and minutes later.
    fn at(day: i64, minutes: i64) -> Timestamp {
        let monday = Timestamp::from_timestamp(1_704_067_200, 0).unwrap();
        monday + TimeDelta::days(day) + TimeDelta::minutes(minutes)
    }

    /// A vehicle that has taken something, at pile 3; it wants no more where it is `done`.
    fn reading(took: i64, done: bool) -> PileReading {
        let room = kilowatt_hours(ROOM_KWH - took);
        PileReading {
            pile: 3,
            active_power: Power::ZERO,
            min_charge: Power::ZERO,
            session: Session {
                departure: at(0, 0),
                energy_needed: room,
                energy_room: room,
                energy_available: Energy::ZERO,
                max_charge: Power::from_watts(if done { 0 } else { 7_000 }),
                max_discharge: Power::ZERO,
            },
            says: false,
            defies: false,
            vehicle: None,
            battery: None,
        }
    }

    /// Lets one come at eight, take what it wants within the first hour, and leave after some hours; how it was taken when it
    /// came.
    fn visit(habits: &mut Habits, day: i64, hours: i64, wanted: i64) -> Session {
        let station = station();
        let came = habits.see((0, &station), &reading(0, false), NO_LEASE, at(day, 0));
        habits.close(0, at(day, 0));
        for quarter in 1..=hours * 4 {
            let now = at(day, quarter * 15);
            let took = (wanted * quarter / 4).min(wanted);
            habits.see((0, &station), &reading(took, took == wanted), NO_LEASE, now);
            habits.close(0, now);
        }
        habits.close(0, at(day, hours * 60 + 15));
        came.unwrap()
    }

    /// By hand: one that needs 60 kWh, 66.7 at the meter, takes 9 h 31 min 26 s with 7 kW. Twelve that stayed 1 to 12 hours for 2
    /// to 24 kWh: at the place 0.1 × 11 = 1.1 of the hours are 2.1; at 0.9 × 11 = 9.9 of the energies 21.8 kWh. Of those who
    /// stayed longer than 3 hours, 4 to 12, a tenth of the way are 4.8.
    #[test]
    fn nine_of_ten_stay_so_long_and_need_no_more() {
        let mut habits = Habits::default();
        for week in 0..12 {
            let came = visit(&mut habits, 7 * week, week + 1, 2 * (week + 1));
            assert_eq!(came.energy_needed, kilowatt_hours(ROOM_KWH));
            let at_once = came.departure - at(7 * week, 0);
            assert_eq!(at_once.num_seconds(), 34_285, "charged at once");
        }
        assert_eq!(habits.expectations(), Expectations::default());
        let (station, day) = (station(), 84);
        let came = habits.see((0, &station), &reading(0, false), NO_LEASE, at(day, 0));
        let came = came.unwrap();
        let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-3, "{found}");
        near(as_hours(came.departure - at(day, 0)), 2.1);
        near(came.energy_needed.as_kilowatt_hours(), 21.8);
        // What it has taken it needs no more, and it is taken to leave when it was.
        let later = habits.see((0, &station), &reading(20, false), NO_LEASE, at(day, 60));
        let later = later.unwrap();
        assert_eq!(later.departure, came.departure);
        near(later.energy_needed.as_kilowatt_hours(), 1.8);
        // Longer than expected: as one of those that do.
        let longer = habits.see((0, &station), &reading(20, false), NO_LEASE, at(day, 180));
        near(as_hours(longer.unwrap().departure - at(day, 0)), 4.8);
        // Longer than all before: what it still needs, 1.8 kWh, at once.
        let longest = habits.see((0, &station), &reading(20, false), NO_LEASE, at(day, 721));
        let rest = longest.unwrap().departure - at(day, 721);
        near(as_hours(rest), 1.8 / 0.9 / 7.0);
        // It left while it drew: it may have wanted all that fitted in. It stayed longer than expected.
        habits.close(0, at(day, 735));
        let (stays, lasted, sufficed) = (1, 1, 0);
        let expected = Expectations {
            stays,
            lasted,
            sufficed,
        };
        assert_eq!(habits.expectations(), expected);
    }

    #[test]
    fn what_is_expected_comes_true_nine_times_of_ten() {
        let (mut habits, mut draw) = (Habits::default(), 1_u64);
        let mut drawn = |most: u64| {
            draw = draw
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            ((draw >> 33) % most).cast_signed()
        };
        // For the last year everybody stays for two hours less and takes half as much again.
        for day in 0..1_200 {
            let grown = i64::from(day > 800);
            let (hours, wanted) = (3 + drawn(8) - 2 * grown, 4 + drawn(20));
            visit(&mut habits, day, hours, wanted * (2 + grown) / 2);
        }
        let found = habits.expectations();
        assert!(found.stays > 1_100, "{found:?}");
        #[allow(clippy::cast_precision_loss)] // some hundreds
        let share = |count: u64| count as f64 / found.stays as f64;
        assert!((share(found.lasted) - CONFIDENCE).abs() < 0.04, "{found:?}");
        assert!(
            (share(found.sufficed) - CONFIDENCE).abs() < 0.04,
            "{found:?}"
        );
    }

    #[test]
    fn who_says_is_taken_at_its_word_and_learned_from() {
        let mut habits = Habits::default();
        let says = PileReading {
            says: true,
            defies: false,
            ..reading(0, false)
        };
        let station = station();
        // Where everybody says, nothing is kept.
        assert_eq!(habits.see((0, &station), &says, NO_LEASE, at(0, 0)), None);
        assert!(habits.usual.is_empty());
        visit(&mut habits, 0, 1, 2);
        for day in 1..12 {
            assert_eq!(habits.see((0, &station), &says, NO_LEASE, at(day, 0)), None);
            habits.close(0, at(day, 0));
            assert_eq!(
                habits.see((0, &station), &says, NO_LEASE, at(day, 120)),
                None
            );
            habits.close(0, at(day, 135));
        }
        let came = habits.see((0, &station), &reading(0, false), NO_LEASE, at(12, 0));
        assert!(came.unwrap().departure > at(12, 90), "two hours are usual");
        // A vehicle with more room is another one; another station knows nothing of these.
        let emptier = reading(-5, false);
        habits.see((0, &station), &emptier, NO_LEASE, at(12, 15));
        assert_eq!(habits.expectations().stays, 1);
        let elsewhere = habits.see((1, &station), &reading(0, false), NO_LEASE, at(12, 0));
        assert_eq!(elsewhere.unwrap().energy_needed, kilowatt_hours(ROOM_KWH));
    }
}
