use proptest::prelude::*;

use super::*;

/// Four quarters from 14:00, 100 kWh of baseline each and 40 kWh cleared each.
fn response(actual_kwh: [i64; 4]) -> Response {
    Response {
        direction: Direction::Shaving,
        first_slot: 56,
        baseline_wh: vec![100_000; 4],
        actual_wh: actual_kwh.map(|kwh| 1_000 * kwh).to_vec(),
        cleared_wh: vec![40_000; 4],
    }
}

fn pay(template: &str, actual_kwh: [i64; 4]) -> Payment {
    let rules = PaymentRules::standard();
    let template = rules.template(template).expect(template);
    let price = Price::from_cny_per_kwh(Decimal::new(2, 0));
    template.pay(&response(actual_kwh), price).expect("sound")
}

/// By hand, at 2 CNY/kWh with 160 kWh cleared, from the formulas in `domain.md` section 2.3.
#[test]
fn templates_pay_what_their_formulas_say() {
    // (template, drawn in each quarter, gross and penalty in CNY)
    let table: [(&str, [i64; 4], i64, i64); 14] = [
        // 40 kWh of 160 in the hour: (0.5·160 − 40)·2·0.5 = 40.
        ("r1-m", [90; 4], 80, 40),
        ("r1-m", [80; 4], 160, 0),
        ("r1-m", [50; 4], 320, 0),
        // 64 of 160 (0.4): lacking 96 at 1.5; 128 (0.8): 32 at 1; 152 (0.95): none.
        ("tiered", [84; 4], 128, 288),
        ("tiered", [68; 4], 256, 64),
        ("tiered", [62; 4], 304, 0),
        ("tiered", [40; 4], 320, 0),
        // Each quarter by itself: 32 of 40 pay 32·0.8; 20 of 40 deviate by 50 %; 48 of 40 pay 40.
        ("north-china", [68, 80, 52, 60], 211, 0),
        // Half of it and load below the baseline.
        ("zhejiang", [80; 4], 160, 0),
        ("zhejiang", [81; 4], 0, 0),
        // In the mean below, but one quarter above the baseline's greatest.
        ("zhejiang", [0, 0, 0, 101], 0, 0),
        ("guangdong-memory", [81; 4], 0, 0),
        ("guangdong-memory", [52; 4], 384, 0),
        ("guangdong-memory", [0; 4], 384, 0),
    ];
    for (template, actual, gross, penalty) in table {
        let paid = pay(template, actual);
        // 32·0.8 + 40 + 40 = 105.6 kWh; 211.20 CNY.
        let gross_fen = if template == "north-china" {
            21_120
        } else {
            100 * gross
        };
        assert_eq!(
            (paid.gross_fen, paid.penalty_fen),
            (gross_fen, 100 * penalty),
            "{template} {actual:?}"
        );
    }
}

#[test]
fn net_and_distributable_are_told_apart() {
    let paid = pay("tiered", [84; 4]);
    assert_eq!(paid.net_fen(), 12_800 - 28_800);
    assert_eq!(paid.distributable_fen(), 0);
    assert_eq!(paid.ratio(), Some(Decimal::new(4, 1)));
    let none = Response {
        cleared_wh: vec![0; 4],
        ..response([84; 4])
    };
    let template = &PaymentRules::standard().templates()[0];
    let paid = template.pay(&none, Price::from_cny_per_kwh(Decimal::ONE));
    let paid = paid.expect("sound");
    assert_eq!(
        (paid.gross_fen, paid.penalty_fen, paid.ratio()),
        (0, 0, None)
    );
}

/// A valley is filled by drawing more.
#[test]
fn filling_is_shaving_with_the_sign_turned() {
    let rules = PaymentRules::standard();
    let template = rules.template("guangdong-memory").expect("there");
    let filling = Response {
        direction: Direction::Filling,
        ..response([140; 4])
    };
    let price = Price::from_cny_per_kwh(Decimal::new(2, 0));
    let paid = template.pay(&filling, price).expect("sound");
    assert_eq!((paid.delivered_wh, paid.gross_fen), (160_000, 32_000));
}

/// 17:45 to 18:15 are two hours of the clock.
#[test]
fn hours_are_those_of_the_clock() {
    let rules = PaymentRules::standard();
    let template = rules.template("r1-m").expect("there");
    let response = Response {
        direction: Direction::Shaving,
        first_slot: 71,
        baseline_wh: vec![100_000; 2],
        // The first hour delivers twice what was cleared, the second nothing: half of 40 kWh lacks there.
        actual_wh: vec![20_000, 100_000],
        cleared_wh: vec![40_000; 2],
    };
    let paid = template.pay(&response, Price::from_cny_per_kwh(Decimal::new(2, 0)));
    let paid = paid.expect("sound");
    assert_eq!((paid.gross_fen, paid.penalty_fen), (8_000, 2_000));
}

#[test]
fn what_cannot_be_is_refused_by_field() {
    type Spoil = fn(&mut Response);
    let table: [(&str, Spoil); 5] = [
        ("cleared_wh", |r| r.first_slot = 93),
        ("actual_wh", |r| r.actual_wh.truncate(3)),
        ("cleared_wh[2]", |r| r.cleared_wh[2] = -1),
        ("baseline_wh[1]", |r| r.baseline_wh[1] = i64::MAX),
        ("baseline_wh", |r| r.baseline_wh.clear()),
    ];
    for (field, spoil) in table {
        let mut response = response([60; 4]);
        spoil(&mut response);
        let template = &PaymentRules::standard().templates()[0];
        let refused = template.pay(&response, Price::from_cny_per_kwh(Decimal::ONE));
        assert_eq!(refused.expect_err("refused").field, field);
    }
}

#[test]
fn a_template_that_cannot_be_is_refused_with_its_line() {
    let text = include_str!("../../../rules/response-payments.toml");
    for (from, to, expected) in [
        (
            "{ from = 0.7, pays",
            "{ from = 0.95, pays",
            "must begin at 0 and ascend",
        ),
        ("penalty = 0.5", "penalty = -0.5", "must be 0 to 10"),
        (
            "pays = \"in_proportion\"",
            "pays = \"all\"",
            "unknown variant",
        ),
    ] {
        let wrong = text.replacen(from, to, 1);
        let message = PaymentRules::parse(&wrong).unwrap_err().to_string();
        assert!(
            message.contains(expected) && message.starts_with("line "),
            "{message}"
        );
    }
    // None of them is sure: none may be shown as the rule in force.
    let templates = PaymentRules::standard().templates();
    assert_eq!(templates.len(), 5);
    assert!(
        templates
            .iter()
            .all(|t| t.status() == Status::Unverified && !t.source().is_empty())
    );
}

proptest! {
    /// Nothing is paid beyond what was delivered at the price (T3's coefficient is 1), no penalty without a lack, and
    /// only a penalty makes the net negative.
    #[test]
    fn money_is_paid_for_energy_and_taken_for_lacks(
        slots in prop::collection::vec((0_i64..200_000, -50_000_i64..250_000, 0_i64..100_000), 1..24),
        first_slot in 0_usize..72,
        filling in any::<bool>(),
        milli in 0_i64..5_000,
    ) {
        let response = Response {
            direction: if filling { Direction::Filling } else { Direction::Shaving },
            first_slot,
            baseline_wh: slots.iter().map(|slot| slot.0).collect(),
            actual_wh: slots.iter().map(|slot| slot.1).collect(),
            cleared_wh: slots.iter().map(|slot| slot.2).collect(),
        };
        let price = Decimal::new(milli, 3);
        for template in PaymentRules::standard().templates() {
            let paid = template.pay(&response, Price::from_cny_per_kwh(price)).expect("sound");
            let all = Decimal::from(paid.delivered_wh) * price / Decimal::TEN;
            prop_assert!(Decimal::from(paid.gross_fen) <= all + Decimal::ONE, "{}", template.name);
            prop_assert!(paid.gross_fen >= 0 && paid.penalty_fen >= 0);
            prop_assert!(paid.net_fen() >= 0 || paid.penalty_fen > 0);
            prop_assert_eq!(paid.gross_fen - paid.penalty_fen, paid.net_fen());
        }
    }
}
