//! A market day with figures worked out by hand.

#![allow(clippy::unwrap_used)]

use vpp_replay::market_day::{Asset, MarketDay, Store};

/// Two hours of a battery of 100 kW and 400 kWh without losses that must end as it began; a signal that is full up and full
/// down in turns, ten seconds each.
fn day() -> MarketDay {
    let hours = 2;
    MarketDay {
        assets: vec![Asset {
            name: "battery".into(),
            charge_max_kw: vec![100.0; hours],
            discharge_max_kw: vec![100.0; hours],
            store: Some(Store {
                initial_kwh: 200.0,
                least_kwh: 0.0,
                greatest_kwh: 400.0,
                due: Some((hours - 1, 200.0)),
                charge_efficiency: 1.0,
                discharge_efficiency: 1.0,
            }),
            charge_wear: 0.0,
            discharge_wear: 0.0,
        }],
        interval_h: 1.0,
        energy_price: vec![0.5; hours],
        capacity_price: vec![0.1, 0.2],
        mileage_price: vec![0.001; hours],
        expected_mileage: vec![718.0; hours],
        levels: vec![-1.0, 1.0],
        expected_shares: vec![vec![0.5, 0.5]; hours],
        expected_score: 0.9,
        sustain_h: 0.25,
        signal: (0..720)
            .map(|k| if k % 2 == 0 { 1.0 } else { -1.0 })
            .collect(),
    }
}

/// All 100 kW are held for both hours. 360 values an hour, so 359 changes of 200 kW.
#[test]
fn what_is_held_and_moved_is_paid() {
    let result = day().run(|_| {}).unwrap();
    for (hour, price) in result.intervals.iter().zip([0.1, 0.2]) {
        assert!((hour.offer.capacity_kw - 100.0).abs() < 1e-3, "{hour:?}");
        assert!(hour.offer.base_kw.abs() < 1e-3);
        assert!((hour.capacity_income - 0.9 * 100.0 * price).abs() < 1e-3);
        assert!((hour.mileage_kw - 359.0 * 200.0).abs() < 1.0);
        assert!((hour.mileage_income - 0.9 * 359.0 * 200.0 * 0.001).abs() < 1e-3);
        assert!(hour.energy_income.abs() < 1e-3 && hour.wear.abs() < 1e-9);
        assert!(hour.worst_error_kw < 1e-3);
        // At once and exactly what was asked for.
        assert!(hour.score.unwrap() > 0.999);
    }
    assert!((result.stored_kwh[0] - 200.0).abs() < 1e-3);
    assert!(result.unmet_kwh < 1e-6);
    // 0.9 · 100 kW · ((0.1 + 0.2) + 2 · 0.001 · 718), known the day before; 2 · 718 kW were expected for 1 kW.
    assert!((result.expected_profit - 0.9 * 100.0 * (0.3 + 1.436)).abs() < 1e-2);
}

/// With wear, what is drawn and exported by the signal costs: 100 kW half of the time each way.
#[test]
fn wear_is_paid_for_what_moves() {
    let mut worn = day();
    worn.assets[0].discharge_wear = 0.3;
    let result = worn.run(|_| {}).unwrap();
    for hour in &result.intervals {
        assert!((hour.wear - 0.3 * 50.0).abs() < 1e-3, "{hour:?}");
    }
}

/// A signal that only asks for less empties the battery; what must be there in the end is charged all the same, and the
/// score says what that took.
#[test]
fn what_is_due_comes_before_the_signal() {
    let mut drift = day();
    drift.signal.fill(1.0);
    let result = drift.run(|_| {}).unwrap();
    assert!(result.unmet_kwh < 1e-6, "{}", result.unmet_kwh);
    assert!(result.stored_kwh[0] > 200.0 - 1e-6);
    let last = &result.intervals[1];
    assert!(last.worst_error_kw > 1.0, "{last:?}");
}

#[test]
fn a_day_that_cannot_be_is_refused() {
    type Spoil = fn(&mut MarketDay);
    let table: [(&str, Spoil); 5] = [
        ("signal[3]", |d| d.signal[3] = f64::NAN),
        ("signal:", |d| d.signal.truncate(719)),
        ("capacity_price:", |d| d.capacity_price.truncate(1)),
        ("assets[0].charge_max_kw:", |d| {
            d.assets[0].charge_max_kw.truncate(1);
        }),
        ("energy_price[1]", |d| d.energy_price[1] = f64::INFINITY),
    ];
    for (field, spoil) in table {
        let mut day = day();
        spoil(&mut day);
        let message = day.run(|_| {}).unwrap_err().to_string();
        assert!(message.starts_with(field), "{message}");
    }
}
