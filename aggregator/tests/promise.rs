//! What a station's envelope promises, carried out by its piles: whatever course inside of it the engine chooses, split over the
//! piles and lived through by the vehicles, no vehicle leaves short.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod common;

use chrono::TimeDelta;
use common::{at, kwh, station};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use vpp_aggregator::{PileReading, PileSetpoint, Splitter, split};
use vpp_core::{Energy, Flexibility, Interval, Power, Session, Station, Timestamp};

/// How long a setpoint holds; the vehicles are looked at anew each time.
const STEP: TimeDelta = TimeDelta::minutes(1);

/// The draw of the first interval, mean, as far up as `choice` (0 to 1) says: within what is promised for it, and for what is to
/// come afterwards.
fn chosen(flexibility: &Flexibility, station: &Station, length: TimeDelta, choice: f64) -> Power {
    let hours = length.num_milliseconds() as f64 / 3.6e6;
    let envelope = &flexibility.envelope;
    let stored = |energies: &[Energy], t: usize| energies[t].as_kilowatt_hours();
    let (charge, discharge) = (station.charge_efficiency, station.discharge_efficiency);
    let up = |t: usize| flexibility.max_charge[t].as_kilowatts() * charge * hours;
    let down = |t: usize| flexibility.max_discharge[t].as_kilowatts() / discharge * hours;
    let last = envelope.lower.len() - 1;
    let (mut lower, mut upper) = (stored(&envelope.lower, last), stored(&envelope.upper, last));
    for t in (0..last).rev() {
        lower = f64::max(stored(&envelope.lower, t), lower - up(t + 1));
        upper = f64::min(stored(&envelope.upper, t), upper + down(t + 1));
    }
    let (low, high) = (lower.max(-down(0)), upper.min(up(0)));
    let energy = low + (high - low) * choice;
    let at_grid = if energy > 0.0 {
        energy / charge
    } else {
        energy * discharge
    };
    Power::round_kilowatts(at_grid / hours)
}

/// Lives through a step with what a pile was told.
fn live(
    station: &Station,
    session: &mut Session,
    told: Power,
    now: Timestamp,
    step: TimeDelta,
) -> Power {
    let length = step.min(session.departure - now).max(TimeDelta::zero());
    let fits = |energy: Energy, efficiency: f64| energy.as_kilowatt_hours() / efficiency;
    let hours = length.num_milliseconds() as f64 / 3.6e6;
    if hours == 0.0 {
        return Power::ZERO;
    }
    let charge = fits(session.energy_room, station.charge_efficiency) / hours;
    let discharge =
        session.energy_available.as_kilowatt_hours() * station.discharge_efficiency / hours;
    let power = told.as_kilowatts().clamp(
        -session.max_discharge.as_kilowatts().min(discharge),
        session.max_charge.as_kilowatts().min(charge),
    );
    let stored = if power > 0.0 {
        power * hours * station.charge_efficiency
    } else {
        power * hours / station.discharge_efficiency
    };
    let less = |energy: Energy, by: f64| (energy - kwh(by)).max(Energy::ZERO);
    // What was taken out is needed again, what was put in beyond the need may be taken out.
    session.energy_needed -= kwh(stored);
    session.energy_room = less(session.energy_room, stored);
    session.energy_available = less(session.energy_available, -stored);
    session.energy_needed = session.energy_needed.max(-session.energy_available);
    Power::floor_kilowatts(power)
}

#[derive(Clone, Debug)]
struct Car {
    minutes: i64,
    charge_kw: f64,
    discharge_share: f64,
    room_kwh: f64,
    need: f64,
    available_kwh: f64,
}

fn any_car() -> impl Strategy<Value = Car> {
    let discharge = prop_oneof![Just(0.0), 0.2_f64..1.0];
    (
        10_i64..180,
        3.0_f64..60.0,
        discharge,
        1.0_f64..40.0,
        -1.0_f64..1.0,
        1.0_f64..30.0,
    )
        .prop_map(
            |(minutes, charge_kw, discharge_share, room_kwh, need, available_kwh)| Car {
                minutes,
                charge_kw,
                discharge_share,
                room_kwh,
                need,
                available_kwh,
            },
        )
}

impl Car {
    fn available_kwh(&self) -> f64 {
        self.available_kwh * f64::from(self.discharge_share > 0.0)
    }

    /// Below zero: it may leave with less than it came with.
    fn needed_kwh(&self) -> f64 {
        let most = 0.85 * self.charge_kw * self.minutes as f64 / 60.0;
        match self.need < 0.0 {
            true => self.need * self.available_kwh(),
            false => (self.need * self.room_kwh).min(most),
        }
    }
}

fn readings(cars: &[Car]) -> Vec<PileReading> {
    let reading = |(pile, car): (u32, &Car)| {
        let (available, needed) = (car.available_kwh(), car.needed_kwh());
        PileReading {
            pile,
            active_power: Power::ZERO,
            min_charge: Power::ZERO,
            says: true,
            defies: false,
            session: Session {
                departure: at(0) + TimeDelta::minutes(car.minutes),
                energy_needed: kwh(needed),
                energy_room: kwh(car.room_kwh),
                energy_available: kwh(available),
                max_charge: Power::floor_kilowatts(car.charge_kw),
                max_discharge: Power::floor_kilowatts(car.charge_kw * car.discharge_share),
            },
            vehicle: None,
            battery: None,
        }
    };
    (0_u32..).zip(cars).map(reading).collect()
}

/// Lives through hours with setpoints inside of what is promised, one every `step`, split by `share`: vehicles that left short, and
/// exports that were not carried out. What is promised is a mean over the next `length`.
fn shortest(
    cars: &[Car],
    choices: &[f64],
    (length, step): (TimeDelta, TimeDelta),
    mut share: impl FnMut(&Station, Power, &[PileReading], Timestamp, &mut Vec<PileSetpoint>),
) -> Vec<String> {
    let mut station = station("s", 10);
    station.import_limit = Power::from_watts(1_000_000);
    station.export_limit = Power::from_watts(1_000_000);
    (station.charge_efficiency, station.discharge_efficiency) = (0.95, 0.95);
    let mut readings = readings(cars);
    let mut told: Vec<PileSetpoint> = Vec::new();
    let mut short = Vec::new();
    for (count, choice) in (0_i32..).zip(choices) {
        let now = at(0) + step * count;
        let sessions: Vec<Session> = (readings.iter())
            .map(|reading| reading.session.clone())
            .collect();
        let horizon: Vec<Interval> = (0..4)
            .map(|t| Interval::new(now + length * t, now + length * (t + 1)).unwrap())
            .collect();
        let flexibility = Flexibility::of(&station, &sessions, now, &horizon);
        let setpoint = chosen(&flexibility, &station, length, *choice);
        share(&station, setpoint, &readings, now, &mut told);
        for (reading, told) in readings.iter_mut().zip(&told) {
            reading.active_power = live(&station, &mut reading.session, told.setpoint, now, step);
        }
        let drawn: Power = readings.iter().map(|reading| reading.active_power).sum();
        let all_stay = (readings.iter()).all(|reading| reading.session.departure >= now + step);
        if setpoint < Power::ZERO && all_stay && drawn > setpoint + Power::from_watts(100) {
            short.push(format!("after {count} steps {drawn} instead of {setpoint}"));
        }
        readings.retain(|reading| {
            let stays = reading.session.departure > now + step;
            if !stays && reading.session.energy_needed > kwh(0.02) {
                short.push(format!(
                    "after {count} steps {:?} of {:?} short",
                    reading.session.energy_needed, cars[reading.pile as usize]
                ));
            }
            stays
        });
    }
    short
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_is_chosen_inside_of_the_envelope_no_vehicle_leaves_short(
        cars in prop::collection::vec(any_car(), 1..8),
        // Extremes are likely.
        choices in prop::collection::vec(prop_oneof![Just(0.0), Just(1.0), 0.0_f64..1.0], 180),
    ) {
        prop_assert_eq!(shortest(&cars, &choices, (TimeDelta::minutes(15), STEP), split), Vec::<String>::new());
    }

    /// The same with looks far apart, as long steps are lived through.
    #[test]
    fn nor_where_piles_are_set_seldom(
        cars in prop::collection::vec(any_car(), 1..8),
        choices in prop::collection::vec(prop_oneof![Just(0.0), Just(1.0), 0.0_f64..1.0], 36),
        (promised, looks) in prop_oneof![Just((15, 15)), Just((15, 5)), Just((15, 3)), Just((5, 5)), Just((5, 1)), Just((3, 3))],
    ) {
        let (length, look) = (TimeDelta::minutes(promised), TimeDelta::minutes(looks));
        let mut splitter = Splitter::trusting(look);
        let share = |station: &Station, setpoint, readings: &[PileReading], now, told: &mut Vec<PileSetpoint>| {
            splitter.split(station, setpoint, readings, now, told);
        };
        prop_assert_eq!(shortest(&cars, &choices, (length, look), share), Vec::<String>::new());
    }
}

/// How often piles are set; a setpoint of the engine holds for a minute.
const LOOK: TimeDelta = TimeDelta::seconds(1);
/// 6 A on one phase of 220 V, and on three.
const ONE_PHASE: Power = Power::from_watts(1_320);
const THREE_PHASES: Power = Power::from_watts(3_960);

/// What became of a vehicle at a pile that charges with no less than its least.
#[derive(Clone, Copy, Debug)]
struct Left {
    least: Power,
    needed_kwh: f64,
    short_kwh: f64,
}

/// Lives through three hours: each minute a setpoint inside of what is promised then, split with feedback every second.
fn lived(cars: &[Car], leasts: &[Power], choices: &[f64]) -> Vec<Left> {
    let mut station = station("s", 10);
    station.import_limit = Power::from_watts(1_000_000);
    station.export_limit = Power::from_watts(1_000_000);
    (station.charge_efficiency, station.discharge_efficiency) = (0.95, 0.95);
    let mut readings = readings(cars);
    for (reading, least) in readings.iter_mut().zip(leasts) {
        // A vehicle that charges with less than the pile can be told has no least.
        if reading.session.max_charge > *least {
            reading.min_charge = *least;
        }
    }
    let (mut splitter, mut told, mut left) = (Splitter::new(), Vec::new(), Vec::new());
    let mut setpoint = Power::ZERO;
    let looks = STEP.num_seconds() / LOOK.num_seconds();
    for (minute, choice) in (0_i64..).zip(choices) {
        for look in 0..looks {
            let now = at(minute * 60_000) + LOOK * i32::try_from(look).unwrap();
            if look == 0 {
                let sessions: Vec<Session> = (readings.iter())
                    .map(|reading| reading.session.clone())
                    .collect();
                let length = TimeDelta::minutes(15);
                let horizon: Vec<Interval> = (0..4)
                    .map(|t| Interval::new(now + length * t, now + length * (t + 1)).unwrap())
                    .collect();
                let flexibility = Flexibility::of(&station, &sessions, now, &horizon);
                setpoint = chosen(&flexibility, &station, length, *choice);
            }
            splitter.split(&station, setpoint, &readings, now, &mut told);
            for (reading, told) in readings.iter_mut().zip(&told) {
                let off = told.setpoint > Power::ZERO && told.setpoint < reading.min_charge;
                assert!(!off, "{told:?} of {reading:?}");
                let session = &mut reading.session;
                reading.active_power = live(&station, session, told.setpoint, now, LOOK);
            }
            readings.retain(|reading| {
                let stays = reading.session.departure > now + LOOK;
                if !stays {
                    left.push(Left {
                        least: reading.min_charge,
                        needed_kwh: cars[reading.pile as usize].needed_kwh(),
                        short_kwh: reading.session.energy_needed.as_kilowatt_hours().max(0.0),
                    });
                }
                stays
            });
        }
    }
    left
}

/// Piles that charge with 6 A or not at all cannot follow every course exactly: where a setpoint leaves less than somebody can begin
/// with, nobody charges, and more is asked for later; who was switched off rests; who gives for others is waited for until it
/// shows. The setpoints here fall from all to the least and back from minute to minute. Measured when written, over 1,500 draws:
/// 23 of 6,007 vehicles left short, by 0.46 kWh at most, together by 2.6 of 26,750 kWh. (40, 3.43 and 12.2 while those who give could
/// not begin for one who needs 4 kW at once, and who hurries rested for a whole minute.)
#[test]
fn what_a_least_power_costs_is_bounded() {
    let mut runner = TestRunner::deterministic();
    let least = prop_oneof![Just(Power::ZERO), Just(ONE_PHASE), Just(THREE_PHASES)];
    let drawn = (
        prop::collection::vec((any_car(), least), 1..8),
        prop::collection::vec(prop_oneof![Just(0.0), Just(1.0), 0.0_f64..1.0], 180),
    );
    let mut all: Vec<Left> = Vec::new();
    for _ in 0..500 {
        let (cars, choices) = drawn.new_tree(&mut runner).unwrap().current();
        let (cars, leasts): (Vec<Car>, Vec<Power>) = cars.into_iter().unzip();
        all.extend(lived(&cars, &leasts, &choices));
    }
    assert!(all.len() > 1_500, "{}", all.len());
    for least in [Power::ZERO, ONE_PHASE, THREE_PHASES] {
        let of: Vec<&Left> = all.iter().filter(|left| left.least == least).collect();
        let short = of.iter().filter(|left| left.short_kwh > 0.02).count();
        let worst = of.iter().map(|left| left.short_kwh).fold(0.0, f64::max);
        let needed: f64 = of.iter().map(|left| left.needed_kwh.max(0.0)).sum();
        let lacked: f64 = of.iter().map(|left| left.short_kwh).sum();
        println!(
            "least {least}: {short} of {} vehicles short, worst {worst:.3} kWh, in all {lacked:.3} of {needed:.0} kWh",
            of.len(),
        );
        // What a turn of a quarter of an hour with the least of three phases brings; a thousandth of what is needed.
        assert!(worst < 0.94, "{least}: {worst} kWh");
        assert!(lacked < 1e-3 * needed, "{least}: {lacked} of {needed} kWh");
    }
}
