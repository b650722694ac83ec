use chrono::{NaiveDate, TimeDelta};
use proptest::prelude::*;
use vpp_market_adapters::response::SLOTS;
use vpp_market_adapters::response::baseline::BaselineRules;
use vpp_market_adapters::response::payment::PaymentRules;

use super::*;

fn day() -> NaiveDate {
    NaiveDate::from_ymd_opt(2025, 7, 25).expect("a Friday")
}

/// From 14:00 for so many quarters.
fn cleared(cleared_wh: Vec<i64>, price: &str) -> Cleared {
    Cleared {
        event: EventId::new("event-1").expect("an id"),
        aggregator: AggregatorId::new("agg-a").expect("an id"),
        direction: Direction::Shaving,
        window: EventWindow {
            date: day(),
            first: 56,
            slots: cleared_wh.len(),
            invited_on: day() - TimeDelta::days(1),
        },
        cleared_wh,
        price: Price::from_cny_per_kwh(price.parse().expect("a number")),
    }
}

/// A station that drew the same on every day before.
fn record(number: u32, watts: i64, actual_wh: Vec<Option<i64>>) -> StationRecord {
    let mut history = History::default();
    for back in 1..15 {
        for slot in 0..SLOTS {
            history.read(day() - TimeDelta::days(back), slot, watts);
        }
    }
    StationRecord {
        station: StationId::new(format!("station-{number}")).expect("an id"),
        history,
        actual_wh,
    }
}

fn settle_by(
    template: &str,
    cleared: &Cleared,
    records: &[StationRecord],
) -> Result<Settlement, Invalid> {
    let (baselines, payments) = (BaselineRules::standard(), PaymentRules::standard());
    let calendar = Calendar::default();
    let terms = Terms {
        baseline: baselines.entry("js5").expect("there"),
        baseline_pack: &baselines.pack,
        template: payments.template(template).expect("there"),
        payment_pack: &payments.pack,
        calendar: &calendar,
    };
    settle(cleared, records, &terms)
}

/// By hand: 20 kWh cleared in each of two quarters at 2 CNY. Station 1 (40 kW, 10 kWh a quarter) draws nothing: 20 kWh. Station
/// 2 (80 kW) draws 12 of 20 kWh in the first and sends no reading in the second: 8 kWh. Station 3 has too short a past. The
/// ratio is 28/40: 28 kWh · 2 CNY less 12 kWh · 2 CNY of lack, 32 CNY, of which 20/28 and 8/28.
#[test]
fn an_event_is_settled_with_what_led_to_it() {
    let cleared = cleared(vec![20_000; 2], "2");
    let mut young = record(3, 1_000, vec![Some(0); 2]);
    young.history = History::default();
    let records = [
        young,
        record(2, 80_000, vec![Some(12_000), None]),
        record(1, 40_000, vec![Some(0); 2]),
    ];
    let settled = settle_by("tiered", &cleared, &records).expect("sound");
    let payment = settled.payment;
    assert_eq!((payment.cleared_wh, payment.delivered_wh), (40_000, 28_000));
    assert_eq!((payment.gross_fen, payment.penalty_fen), (5_600, 2_400));
    let shares: Vec<i64> = settled.stations.iter().map(|line| line.share_fen).collect();
    assert_eq!(shares, [2_286, 914, 0]);
    assert_eq!(settled.stations[1].missing(), 1);
    let refused = settled.stations[2]
        .baseline
        .as_ref()
        .expect_err("too short");
    assert!(matches!(
        refused,
        BaselineError::TooFewDays { found: 0, .. }
    ));
    assert_eq!(
        settled.rules,
        ["baselines@1/js5", "response-payments@1/tiered"]
    );
    let csv = settled.to_csv();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(
        lines[0],
        "event-1,agg-a,station-1,20000,20000,0,2286,baselines@1/js5,response-payments@1/tiered,"
    );
    assert!(lines[2].contains("no baseline: 0 days are fit"), "{csv}");
    assert!(
        lines[3].contains("gross 5600 penalty 2400 net 3200 fen"),
        "{csv}"
    );
    let columns = Settlement::CSV_HEADER.split(',').count();
    assert!(
        lines[..2]
            .iter()
            .all(|line| line.split(',').count() == columns),
        "{csv}"
    );
}

#[test]
fn what_does_not_fit_is_refused() {
    let good = cleared(vec![1_000; 2], "1");
    let twice = [
        record(1, 1_000, vec![Some(0); 2]),
        record(1, 1_000, vec![Some(0); 2]),
    ];
    assert_eq!(
        settle_by("tiered", &good, &twice).expect_err("twice").field,
        "stations"
    );
    let short = [record(1, 1_000, vec![Some(0)])];
    let refused = settle_by("tiered", &good, &short).expect_err("short");
    assert_eq!(refused.field, "stations[station-1].actual_wh");
    let mut odd = good.clone();
    odd.cleared_wh.pop();
    assert_eq!(
        settle_by("tiered", &odd, &[]).expect_err("odd").field,
        "cleared_wh"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    /// Of any template: money is conserved to the fen, nobody gets a negative share, nothing is paid to a station that
    /// delivered nothing unless nobody did, and the order of arrival changes nothing.
    #[test]
    fn money_is_conserved_in_any_order_of_arrival(
        stations in prop::collection::vec(
            (0_i64..200_000, prop::collection::vec(prop::option::weighted(0.9, -20_000_i64..60_000), 4)), 1..12,
        ),
        cleared_wh in prop::collection::vec(0_i64..100_000, 4),
        milli in 0_i64..5_000,
        filling in any::<bool>(),
        turn in 0_usize..12,
        template in 0..PaymentRules::standard().templates().len(),
    ) {
        let mut asked = cleared(cleared_wh, &format!("{}.{:03}", milli / 1_000, milli % 1_000));
        if filling {
            asked.direction = Direction::Filling;
        }
        let mut records: Vec<StationRecord> = (0_u32..)
            .zip(&stations)
            .map(|(number, (watts, actual))| record(number, *watts, actual.clone()))
            .collect();
        let template = &PaymentRules::standard().templates()[template];
        let settled = settle_by(&template.name, &asked, &records).expect("sound");
        let shares: i64 = settled.stations.iter().map(|line| line.share_fen).sum();
        prop_assert_eq!(shares, settled.payment.distributable_fen());
        prop_assert!(settled.payment.net_fen() >= 0 || settled.payment.penalty_fen > 0);
        let anybody = settled.stations.iter().any(|line| line.delivered_wh > 0);
        for line in &settled.stations {
            prop_assert!(line.share_fen >= 0);
            prop_assert!(!anybody || line.delivered_wh > 0 || line.share_fen == 0);
        }
        let turned = turn % records.len();
        records.rotate_left(turned);
        prop_assert_eq!(settled, settle_by(&template.name, &asked, &records).expect("sound"));
    }
}
