use good_lp::{
    Expression, ProblemVariables, Solution as _, SolverModel as _, clarabel, constraint, variable,
};
use proptest::prelude::*;

use super::*;
use crate::{AggregatorId, NodeId, Pile, PileKind, StationId, StationKind};

fn station(efficiency: f64) -> Station {
    Station {
        id: StationId::new("s").expect("an id"),
        aggregator: AggregatorId::new("a").expect("an id"),
        node: NodeId::new("n").expect("an id"),
        kind: StationKind::Charging,
        piles: vec![Pile {
            kind: PileKind::Ac,
            count: 10,
            rated_power: Power::from_watts(120_000),
            discharge_power: Power::from_watts(120_000),
        }],
        import_limit: Power::from_watts(2_000_000),
        export_limit: Power::from_watts(2_000_000),
        ramp_per_second: Power::from_watts(100_000),
        default_setpoint: Power::ZERO,
        charge_efficiency: efficiency,
        discharge_efficiency: efficiency,
        regulates: false,
    }
}

fn start() -> Timestamp {
    Timestamp::from_timestamp(1_800_000_000, 0).expect("an instant")
}

fn kwh(kwh: f64) -> Energy {
    Energy::floor_kilowatt_hours(kwh)
}

/// Stays so many minutes; kWh needed, room, available; kW of charge and discharge.
fn session(
    minutes: i64,
    [needed, room, available]: [f64; 3],
    [charge, discharge]: [f64; 2],
) -> Session {
    Session {
        departure: start() + TimeDelta::minutes(minutes),
        energy_needed: kwh(needed),
        energy_room: kwh(room),
        energy_available: kwh(available),
        max_charge: Power::floor_kilowatts(charge),
        max_discharge: Power::floor_kilowatts(discharge),
    }
}

/// Intervals of so many minutes, one after the other.
fn intervals(minutes: &[i64]) -> Vec<Interval> {
    let mut from = start();
    let next = |length: &i64| {
        let interval =
            Interval::new(from, from + TimeDelta::minutes(*length)).expect("an interval");
        from = interval.end();
        interval
    };
    minutes.iter().map(next).collect()
}

fn spans(minutes: &[i64]) -> Vec<Span> {
    let intervals = intervals(minutes);
    intervals
        .iter()
        .map(|interval| Span::of(interval, start()))
        .collect()
}

fn kilowatt_hours(energies: &[Energy]) -> Vec<f64> {
    energies
        .iter()
        .map(|energy| energy.as_kilowatt_hours())
        .collect()
}

/// By hand: 7 kW for 2 h, 10 kWh needed of 20 that fit: after the first hour at least 3 and at most 7, after the second 10 to
/// 14.
#[test]
fn one_vehicle_promises_all_that_it_can_do() {
    let sessions = [session(120, [10.0, 20.0, 0.0], [7.0, 0.0])];
    let flexibility = Flexibility::of(&station(1.0), &sessions, start(), &intervals(&[60, 60, 60]));
    assert_eq!(
        kilowatt_hours(&flexibility.envelope.lower),
        [3.0, 10.0, 10.0]
    );
    assert_eq!(
        kilowatt_hours(&flexibility.envelope.upper),
        [7.0, 14.0, 14.0]
    );
    let powers: Vec<f64> = flexibility
        .max_charge
        .iter()
        .map(|power| power.as_kilowatts())
        .collect();
    assert_eq!(powers, [7.0, 7.0, 0.0]);
}

/// By hand: 6 kWh in 30 min are 12 kW, in an hour that would be 12 kWh. Who leaves later can wait: of 9 kWh at 10 kW, 4 are due
/// when half an hour is left.
#[test]
fn who_leaves_within_an_interval_needs_its_power_to_the_end() {
    let of = |minutes, energies, power| {
        let sessions = [session(minutes, energies, [power, 0.0])];
        let flexibility = Flexibility::of(&station(1.0), &sessions, start(), &intervals(&[60, 60]));
        let envelope = flexibility.envelope;
        (
            kilowatt_hours(&envelope.lower),
            kilowatt_hours(&envelope.upper),
        )
    };
    let (lower, upper) = of(30, [6.0, 8.0, 0.0], 20.0);
    assert_eq!((lower, upper), (vec![12.0, 12.0], vec![16.0, 16.0]));
    let (lower, upper) = of(90, [9.0, 14.0, 0.0], 10.0);
    assert_eq!((lower, upper), (vec![4.0, 9.0], vec![10.0, 14.0]));
}

/// Reports at the bounds of what a report may say, many of them: drawn in, no panic.
#[test]
fn what_is_beyond_belief_is_drawn_in() {
    let huge = session(60, [1e8, 1e8, 1e8], [1e8, 1e8]);
    for many in [12, 1_000] {
        let sessions = vec![huge.clone(); many];
        for efficiency in [0.95, 1.0] {
            let station = station(efficiency);
            let flexibility =
                Flexibility::of(&station, &sessions, start(), &intervals(&[15, 15, 60]));
            assert_eq!(flexibility.max_charge[0], station.import_limit);
            let (low, high) =
                Flexibility::sustained(&station, &sessions, start(), TimeDelta::minutes(15));
            assert!(low <= high, "{low} {high}");
        }
    }
    // Gone, or leaving this very moment.
    for minutes in [-5, 0] {
        let gone = session(minutes, [10.0, 10.0, 10.0], [7.0, 7.0]);
        let flexibility = Flexibility::of(&station(1.0), &[gone], start(), &intervals(&[15]));
        assert_eq!(flexibility.max_charge, [Power::ZERO]);
        assert_eq!(flexibility.envelope.upper, [Energy::ZERO]);
    }
}

/// Who leaves within the first interval and needs nothing need not draw, and gives nothing.
#[test]
fn who_needs_nothing_is_not_made_to_draw() {
    let sessions = vec![session(14, [0.0, 20.0, 30.0], [60.0, 60.0]); 10];
    let flexibility = Flexibility::of(&station(0.95), &sessions, start(), &intervals(&[15, 15]));
    assert_eq!(kilowatt_hours(&flexibility.envelope.lower), [0.0, 0.0]);
    assert_eq!(flexibility.max_discharge[0], Power::ZERO);
}

/// By hand: of 20 kWh at 10 kW a vehicle gives at most 5 in the two quarters promised; a tenth is lost each way, so 0.95 kWh
/// (19 % of 5) are needed to put that back, whatever it could give in the whole of its stay.
#[test]
fn what_is_lost_is_needed_of_what_can_be_given_soon() {
    let one = session(600, [0.0, 30.0, 20.0], [10.0, 9.0]);
    let quarters = spans(&[15, 15]);
    let vehicle = Vehicle::new(&station(0.9), &one, start()).lossless(&station(0.9), &quarters);
    assert!(
        (vehicle.needed_kwh - 0.95).abs() < 1e-9,
        "{}",
        vehicle.needed_kwh
    );
    assert!(
        (vehicle.available_kwh - 16.2).abs() < 1e-9,
        "{}",
        vehicle.available_kwh
    );
    // Without room for what is lost nothing is given.
    let full = session(600, [0.0, 0.0, 20.0], [10.0, 9.0]);
    let vehicle = Vehicle::new(&station(0.9), &full, start()).lossless(&station(0.9), &quarters);
    assert_eq!((vehicle.needed_kwh, vehicle.available_kwh), (0.0, 0.0));
}

/// Vehicles that are alike are one vehicle of that many times the size: the sums are exact, and nothing is drawn in.
#[test]
fn many_alike_promise_all_that_they_can_do() {
    let one = session(150, [10.0, 20.0, 8.0], [7.0, 5.0]);
    let horizon = intervals(&[15, 15, 30, 60, 60]);
    let single = Flexibility::of(&station(0.9), std::slice::from_ref(&one), start(), &horizon);
    let all = Flexibility::of(&station(0.9), &vec![one; 8], start(), &horizon);
    for (many, one) in kilowatt_hours(&all.envelope.upper)
        .into_iter()
        .chain(kilowatt_hours(&all.envelope.lower))
        .zip(
            kilowatt_hours(&single.envelope.upper)
                .into_iter()
                .chain(kilowatt_hours(&single.envelope.lower)),
        )
    {
        assert!((many - 8.0 * one).abs() < 1e-6, "{many} and 8 × {one}");
    }
}

/// By hand: a vehicle with 2 kWh of room and one with 30, 10 kW each, for two hours. The second hour alone could take 2 + 10
/// kWh, though both draw 20 kW; so at most 12 are promised in it.
#[test]
fn a_vehicle_that_is_full_does_not_help_another() {
    let sessions = [
        session(120, [0.0, 2.0, 0.0], [10.0, 0.0]),
        session(120, [0.0, 30.0, 0.0], [10.0, 0.0]),
    ];
    let flexibility = Flexibility::of(&station(1.0), &sessions, start(), &intervals(&[60, 60]));
    let second = flexibility.max_charge[1].as_kilowatts();
    assert!((11.9..=12.0).contains(&second), "{second}");
    // At once as well, and no less is promised in all.
    assert_eq!(flexibility.envelope.upper[0], kwh(12.0));
    assert!(kilowatt_hours(&flexibility.envelope.upper)[1] > 21.9);
}

/// Piles move less than a watt-hour for nobody, so that nobody is promised it.
#[test]
fn a_vehicle_that_is_all_but_full_promises_nothing() {
    let nothing = [
        session(120, [0.0009, 0.0009, 0.0], [7.0, 0.0]),
        session(120, [0.0, 0.0004, 0.0009], [7.0, 7.0]),
    ];
    let flexibility = Flexibility::of(&station(1.0), &nothing, start(), &intervals(&[60, 60]));
    let EnergyEnvelope { lower, upper } = &flexibility.envelope;
    assert!(
        lower
            .iter()
            .chain(upper)
            .all(|energy| *energy == Energy::ZERO)
    );
}

/// What cannot be shared out of a course of energies, kWh in all: the least of what is missing or too much.
fn cannot_be_shared(parts: &[Ranges], course: &[f64]) -> f64 {
    let mut variables = ProblemVariables::new();
    let mut missing = Expression::from(0.0);
    let energies: Vec<Vec<_>> = (parts.iter())
        .map(|part| {
            let one = |t: usize| {
                variable()
                    .min(-part.down[t])
                    .max(part.up[t].max(-part.down[t]))
            };
            (0..course.len()).map(|t| variables.add(one(t))).collect()
        })
        .collect();
    let slack: Vec<[_; 2]> = (course.iter())
        .map(|_| {
            [
                variables.add(variable().min(0.0)),
                variables.add(variable().min(0.0)),
            ]
        })
        .collect();
    for [less, more] in &slack {
        missing += *less + *more;
    }
    let mut model = variables.minimise(&missing).using(clarabel);
    model.settings().verbose(false);
    for (t, energy) in course.iter().enumerate() {
        let sum: Expression = energies.iter().map(|part| Expression::from(part[t])).sum();
        model = model.with(constraint::eq(sum + slack[t][0] - slack[t][1], *energy));
    }
    for (part, energies) in parts.iter().zip(&energies) {
        let mut stored = Expression::from(0.0);
        for (t, energy) in energies.iter().enumerate() {
            stored += *energy;
            model = model.with(constraint::geq(stored.clone(), part.lower[t]));
            model = model.with(constraint::leq(stored.clone(), part.upper[t]));
        }
    }
    model.solve().expect("a solution").eval(&missing)
}

/// A course of energies inside ranges: at each step as far down or up as a number from 0 to 1 says; the ends are likely.
fn course_inside(ranges: &Ranges, choices: &[f64]) -> Vec<f64> {
    let n = ranges.intervals;
    let (mut lower, mut upper) = (ranges.lower, ranges.upper);
    for t in (1..n).rev() {
        lower[t - 1] = lower[t - 1].max(lower[t] - ranges.up[t]);
        upper[t - 1] = upper[t - 1].min(upper[t] + ranges.down[t]);
    }
    let mut stored = 0.0;
    let step = |t: usize| {
        let low = f64::max(-ranges.down[t], lower[t] - stored);
        let high = f64::min(ranges.up[t], upper[t] - stored);
        let energy = low + (high - low) * (1.6 * choices[t] - 0.3).clamp(0.0, 1.0);
        stored += energy;
        energy
    };
    (0..n).map(step).collect()
}

fn any_session() -> impl Strategy<Value = Session> {
    let consents = prop::bool::weighted(0.4);
    let powers = (1.0_f64..120.0, 0.0_f64..1.0, 0.0_f64..60.0);
    (5_i64..400, powers, 0.0_f64..60.0, -0.5_f64..1.1, consents).prop_map(
        |(minutes, (charge, share, available), room, need, consents)| {
            let discharge = if consents { charge * share } else { 0.0 };
            let available = if consents { available } else { 0.0 };
            // Below zero: it may leave with less than it holds.
            let needed = match need < 0.0 {
                true => 2.0 * need * available,
                false => room * need.min(1.0),
            };
            session(minutes, [needed, room, available], [charge, discharge])
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever the envelope promises can be carried out by the vehicles: any course inside of it can be shared out, with each
    /// within its own power and battery and none short.
    #[test]
    fn what_is_promised_can_be_carried_out(
        sessions in prop::collection::vec(any_session(), 1..7),
        minutes in prop::collection::vec(5_i64..120, 1..=MOST_INTERVALS),
        choices in prop::collection::vec(0.0_f64..1.0, MOST_INTERVALS),
    ) {
        let (station, horizon) = (station(0.95), spans(&minutes));
        let vehicle = |one| Vehicle::new(&station, one, start()).within(&horizon).lossless(&station, &horizon);
        let vehicles: Vec<Vehicle> = sessions.iter().map(vehicle).collect();
        let parts: Vec<Ranges> = vehicles.iter().map(|vehicle| vehicle.ranges(&horizon)).collect();
        let promised = promised(&vehicles, &horizon);
        let course = course_inside(&promised, &choices);
        // There is a course.
        let mut stored = 0.0;
        for (t, energy) in course.iter().enumerate() {
            stored += energy;
            prop_assert!(*energy <= promised.up[t] + 1e-9 && *energy >= -promised.down[t] - 1e-9);
            prop_assert!(stored <= promised.upper[t] + 1e-9 && stored >= promised.lower[t] - 1e-9);
        }
        let missing = cannot_be_shared(&parts, &course);
        prop_assert!(missing < 1e-5, "{missing} kWh of {course:?} of {promised:?}");
    }

    /// The bound of a set of intervals is the most that a vehicle can receive in it.
    #[test]
    fn the_bound_of_a_set_is_exact(one in any_session(), minutes in prop::collection::vec(5_i64..120, 1..=4), set in 1_u32..16) {
        let (station, horizon) = (station(0.95), spans(&minutes));
        let ranges = Vehicle::new(&station, &one, start()).within(&horizon).lossless(&station, &horizon).ranges(&horizon);
        let set = set & ((1 << horizon.len()) - 1);
        // Of all courses at the ends of what is possible at each step, the best in the set; the most is at one of those.
        let mut best = f64::NEG_INFINITY;
        for ends in 0..1_u32 << horizon.len() {
            let choices: Vec<f64> = (0..horizon.len()).map(|t| f64::from(ends >> t & 1)).collect();
            let course = course_inside(&ranges, &choices);
            let sum = (0..horizon.len()).filter(|t| set >> t & 1 == 1).map(|t| course[t]).sum();
            best = best.max(sum);
        }
        let mut most = [0.0; 1 << MOST_INTERVALS];
        ranges.add_most_of_all(&mut most);
        prop_assert!((most[set as usize] - best).abs() < 1e-7, "{} and {best}", most[set as usize]);
    }

    /// A ceiling that is said to be kept can be kept; without exports it is the lowest. The same for a floor.
    #[test]
    fn what_is_sustained_can_be_sustained(
        sessions in prop::collection::vec(any_session(), 1..6),
        minutes in 5_i64..300,
    ) {
        let station = station(0.95);
        let duration = TimeDelta::minutes(minutes);
        let (lowest, highest) = Flexibility::sustained(&station, &sessions, start(), duration);
        // So fine that what happens inside of a step does not matter: a step ends where somebody must begin or leaves.
        let mut cuts = vec![minutes as f64 / 60.0];
        for one in &sessions {
            let vehicle = Vehicle::new(&station, one, start());
            let stay = vehicle.departure_h;
            let full = vehicle.room_kwh / vehicle.charge_kw;
            let left = cuts[0] - stay.min(cuts[0]);
            cuts.extend([stay, stay - vehicle.needed_kwh / vehicle.charge_kw, cuts[0] - left - full]);
        }
        let length = cuts[0];
        cuts.retain(|cut| *cut > 1e-6 && *cut <= length);
        cuts.sort_by(f64::total_cmp);
        cuts.dedup_by(|a, b| (*a - *b).abs() < 1e-6);
        let (ceiling, floor) = (bound(&station, &sessions, &cuts, true), bound(&station, &sessions, &cuts, false));
        let (low, high) = (lowest.as_kilowatts(), highest.as_kilowatts());
        prop_assert!(low > ceiling - 0.01, "a ceiling of {low} kW cannot be kept: {ceiling} at least");
        prop_assert!(high < floor + 0.01, "a floor of {high} kW cannot be kept: {floor} at most");
        if sessions.iter().all(|one| one.max_discharge == Power::ZERO) {
            prop_assert!(low < ceiling + 0.01, "{low} kW is not the lowest: {ceiling}");
            prop_assert!(high > floor - 0.01, "{high} kW is not the highest: {floor}");
        }
    }
}

/// The lowest ceiling, or the highest floor, for all vehicles together in all steps (ends in hours), each with what it needs;
/// kW.
fn bound(station: &Station, sessions: &[Session], cuts: &[f64], ceiling: bool) -> f64 {
    let mut variables = ProblemVariables::new();
    let level = variables.add(variable());
    let (mut sums, mut rows) = (vec![Expression::from(0.0); cuts.len()], Vec::new());
    for one in sessions {
        let vehicle = Vehicle::new(station, one, start());
        let stay_h = vehicle.departure_h;
        let mut stored = Expression::from(0.0);
        let mut from = 0.0;
        for (t, &to) in cuts.iter().enumerate() {
            let share = (stay_h.min(to) - from).max(0.0) / (to - from);
            let charge = variables.add(variable().min(0.0).max(vehicle.charge_kw * share));
            let discharge = variables.add(variable().min(0.0).max(vehicle.discharge_kw * share));
            stored += (charge - discharge) * (to - from);
            sums[t] +=
                charge / station.charge_efficiency - discharge * station.discharge_efficiency;
            let upper = vehicle.room_kwh.min(vehicle.charge_kw * stay_h.min(to));
            let latest = vehicle.needed_kwh - vehicle.charge_kw * (stay_h - to).max(0.0);
            let deepest = vehicle
                .available_kwh
                .min(vehicle.discharge_kw * stay_h.min(to));
            rows.push((stored.clone(), latest.max(-deepest).min(upper), upper));
            from = to;
        }
    }
    let mut model = if ceiling {
        variables.minimise(level).using(clarabel)
    } else {
        variables.maximise(level).using(clarabel)
    };
    model.settings().verbose(false);
    for sum in sums {
        model = model.with(if ceiling {
            constraint::leq(sum, level)
        } else {
            constraint::geq(sum, level)
        });
    }
    for (stored, lower, upper) in rows {
        model = model.with(constraint::geq(stored.clone(), lower));
        model = model.with(constraint::leq(stored, upper));
    }
    model.solve().expect("a solution").value(level)
}
