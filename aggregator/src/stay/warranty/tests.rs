use super::*;
use crate::site::BatteryReading;
use crate::stay::tests::station;

/// A warranty that is known by what it lets be discharged in a day.
fn warranty(discharge_kwh_per_day: f64) -> Warranty {
    Warranty {
        soc_floor: 0.3,
        soc_ceiling: 1.0,
        discharge_kwh_per_day,
        cycles: None,
        discharge_kw: None,
        temperature_c: None,
    }
}

/// A vehicle of 60 kWh at a pile of 10 kW.
fn reading(id: &VehicleId, kilowatts: i64, stored: f64) -> PileReading {
    let energy = Energy::floor_kilowatt_hours;
    PileReading {
        pile: 0,
        active_power: Power::from_watts(kilowatts * 1_000),
        min_charge: Power::ZERO,
        session: Session {
            departure: Timestamp::MAX_UTC,
            energy_needed: Energy::ZERO,
            energy_room: energy(60.0 - stored),
            energy_available: energy(stored),
            max_charge: Power::from_watts(10_000),
            max_discharge: Power::from_watts(10_000),
        },
        says: true,
        defies: false,
        vehicle: Some(id.clone()),
        battery: Some(BatteryReading {
            capacity: energy(60.0),
            stored: energy(stored),
            temperature_c: None,
        }),
    }
}

/// By hand, with nine tenths of the energy arriving: 9 kW for a quarter of an hour are 2.25 kWh at the plug and 2.5 at the
/// battery. Seen each minute they are counted by power, with the longer time at the stronger end; seen at the ends, by what is
/// missing in the battery. What is missing after a day's drive was not discharged by us.
#[test]
fn what_is_discharged_is_counted_however_often_it_is_looked_at() {
    let id = VehicleId::new("car").unwrap();
    let station = station();
    let begin: Timestamp = "2025-07-15T08:00:00Z".parse().unwrap();
    let look = |guard: &mut Guard, minutes: i64, kilowatts: i64, stored: f64, lease: i64| {
        let reading = reading(&id, kilowatts, stored);
        let now = begin + TimeDelta::minutes(minutes);
        guard.observe(&reading, &station, TimeDelta::minutes(lease), now);
        guard.vehicles[&id].used.on(now.date_naive()).day_kwh
    };
    let guard = || {
        let usual = Some(warranty(30.0));
        Guard::new(
            Warranties {
                usual,
                ..Warranties::default()
            },
            None,
        )
    };
    let near = |one: f64, other: f64| assert!((one - other).abs() < 1e-9, "{one} {other}");
    let mut often = guard();
    near(look(&mut often, 0, 0, 50.0, 1), 0.0);
    for minute in 1..15_u8 {
        let stored = 50.0 - f64::from(minute) / 6.0;
        look(&mut often, minute.into(), -9, stored, 1);
    }
    near(look(&mut often, 15, 0, 47.5, 1), 2.5);
    let mut seldom = guard();
    near(look(&mut seldom, 0, 0, 50.0, 15), 0.0);
    near(look(&mut seldom, 15, -9, 47.5, 15), 2.5);
    // It ended with the quarter.
    near(look(&mut seldom, 30, 0, 47.5, 15), 2.5);
    // And it charges: nothing is given back.
    near(look(&mut seldom, 45, 7, 49.0, 15), 2.5);
    near(look(&mut seldom, 300, 0, 20.0, 15), 2.5);
    // It left while it was discharged: as long as a look may be apart it went on.
    near(look(&mut seldom, 315, -9, 17.5, 15), 5.0);
    near(look(&mut seldom, 500, 0, 10.0, 15), 5.0 + 2.5 / 3.0);
}

#[test]
fn a_vehicles_own_limits_come_before_its_models_and_those_before_the_usual() {
    let id = |name: &str| VehicleId::new(name).unwrap();
    let warranties = Warranties {
        usual: Some(warranty(1.0)),
        models: BTreeMap::from([
            ("LGX".to_owned(), warranty(2.0)),
            ("LGXC4".to_owned(), warranty(3.0)),
        ]),
        vehicles: BTreeMap::from([(id("LGXC4-own"), warranty(4.0))]),
    };
    let of = |name| {
        warranties
            .of(Some(&id(name)))
            .unwrap()
            .discharge_kwh_per_day
    };
    let found = ["LSV1", "LGX1", "LGXC", "LGXC4-another", "LGXC4-own"].map(of);
    let all: Vec<String> = found.iter().map(|kwh| format!("{kwh:.0}")).collect();
    assert_eq!(all, ["1", "2", "2", "3", "4"]);
    // A vehicle that the pile cannot tell has the usual one.
    assert_eq!(warranties.of(None), Some(&warranty(1.0)));
    let none = Warranties {
        usual: None,
        ..warranties
    };
    assert_eq!(none.of(Some(&id("LSV1"))), None);
    assert!(Guard::new(none, None).counts_days_only());
}
