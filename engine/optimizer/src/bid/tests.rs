use super::*;

fn battery(horizon: usize) -> BidResource {
    BidResource {
        charge_max_kw: vec![10.0; horizon],
        discharge_max_kw: vec![10.0; horizon],
        energy_min_kwh: vec![-20.0; horizon],
        energy_max_kwh: vec![20.0; horizon],
        charge_efficiency: 1.0,
        discharge_efficiency: 1.0,
        charge_wear: 0.0,
        discharge_wear: 0.0,
    }
}

fn problem(horizon: usize) -> BidProblem {
    BidProblem {
        intervals_h: vec![1.0; horizon],
        resources: vec![battery(horizon)],
        energy_price: vec![0.5; horizon],
        regulation_price: vec![0.1; horizon],
        levels: vec![-1.0, 1.0],
        shares: vec![vec![0.5, 0.5]; horizon],
        sustain_h: 0.5,
        agreed: None,
        unmet_energy: 100.0,
        tracking: 100.0,
    }
}

/// By hand: one hour, a battery that may end anywhere. It sells what it may, since energy has a price and none is needed;
/// held capacity costs exported energy nothing in the mean. Of 10 kW: base −10 + R, worth 0.5·(10 − R) + 0.1·R: all sold.
#[test]
fn energy_that_pays_more_than_capacity_is_sold() {
    let found = bid(&problem(1)).unwrap();
    let Offer {
        base_kw,
        capacity_kw,
    } = found.offers[0];
    assert!((base_kw + 10.0).abs() < 1e-5, "{found:?}");
    assert!(capacity_kw.abs() < 1e-5);
    assert!((found.profit - 5.0).abs() < 1e-5);
}

/// By hand: energy must be even at the end. Two hours at the same price: nothing to gain by shifting, so all power is
/// held as capacity, 10 kW twice, at 0.1.
#[test]
fn what_must_be_even_at_the_end_holds_capacity() {
    let mut asked = problem(2);
    asked.resources[0].energy_min_kwh[1] = 0.0;
    asked.sustain_h = 0.0;
    let found = bid(&asked).unwrap();
    assert!((found.profit - 2.0).abs() < 1e-5, "{found:?}");
    for offer in &found.offers {
        assert!(offer.base_kw.abs() < 1e-4 && (offer.capacity_kw - 10.0).abs() < 1e-4);
    }
    // A kWh more is sold for the price of energy less the capacity that selling takes; one less is bought likewise.
    for value in &found.energy_value[0] {
        assert!((0.4..=0.6).contains(value), "{found:?}");
    }
}

/// By hand: wear of 0.4 on discharge, which half of the time is what the capacity asks for, costs 0.2 for each kW held,
/// more than it earns. Capacity that only varies charging wears nothing: with a need of 5 kWh, 5 kW of it are held.
#[test]
fn capacity_that_wears_more_than_it_earns_is_not_held() {
    let mut asked = problem(1);
    asked.resources[0].discharge_wear = 0.4;
    asked.resources[0].energy_min_kwh = vec![5.0];
    asked.resources[0].energy_max_kwh = vec![5.0];
    asked.sustain_h = 0.0;
    let found = bid(&asked).unwrap();
    let offer = found.offers[0];
    assert!((offer.base_kw - 5.0).abs() < 1e-4, "{found:?}");
    assert!((offer.capacity_kw - 5.0).abs() < 1e-4, "{found:?}");
    assert!((found.profit - (0.1 * 5.0 - 0.5 * 5.0)).abs() < 1e-4);
}

/// Half an hour at 10 kW down needs 5 kWh of room at the start.
#[test]
fn capacity_that_cannot_be_sustained_is_not_held() {
    let mut asked = problem(1);
    asked.resources[0].energy_max_kwh = vec![2.0];
    asked.resources[0].energy_min_kwh = vec![0.0];
    let found = bid(&asked).unwrap();
    // 2 kWh of room keep 4 kW up for half an hour; up, nothing is there that could be exported.
    let offer = found.offers[0];
    assert!(offer.base_kw + offer.capacity_kw <= 4.0 + 1e-4, "{found:?}");
    assert!(offer.base_kw - offer.capacity_kw >= -1e-4, "{found:?}");
}

#[test]
fn what_is_agreed_is_kept_and_what_cannot_be_kept_is_paid_for() {
    let mut asked = problem(2);
    let agreed = Offer {
        base_kw: 3.0,
        capacity_kw: 4.0,
    };
    asked.agreed = Some(agreed);
    assert_eq!(bid(&asked).unwrap().offers[0], agreed);
    let feasible = bid(&asked).unwrap().profit;
    asked.agreed = Some(Offer {
        base_kw: 30.0,
        ..agreed
    });
    assert!(bid(&asked).unwrap().profit < feasible - 1_000.0);
}

#[test]
fn bad_input_is_refused_by_field() {
    type Spoil = fn(&mut BidProblem);
    let table: [(&str, Spoil); 7] = [
        ("intervals_h[0]", |p| p.intervals_h[0] = 0.0),
        ("energy_price", |p| p.energy_price.truncate(1)),
        ("levels[1]", |p| p.levels[1] = 1.5),
        ("shares[1]: the sum", |p| p.shares[1][0] = 0.4),
        ("resources[0].charge_max_kw[1]", |p| {
            p.resources[0].charge_max_kw[1] = f64::NAN;
        }),
        ("resources[0].charge_efficiency", |p| {
            p.resources[0].charge_efficiency = 0.0;
        }),
        ("levels", |p| p.levels.clear()),
    ];
    for (field, spoil) in table {
        let mut asked = problem(2);
        spoil(&mut asked);
        let message = bid(&asked).unwrap_err().to_string();
        assert!(message.starts_with(&format!("{field}:")), "{message}");
    }
}
