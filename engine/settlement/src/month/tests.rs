use chrono::TimeDelta;
use proptest::prelude::*;
use vpp_core::EventId;
use vpp_market_adapters::RulePack;
use vpp_market_adapters::response::baseline::{BaselineRules, EventWindow};
use vpp_market_adapters::response::payment::{Direction, PaymentRules};
use vpp_market_adapters::subsidy::Cut;

use super::*;
use crate::metering::Reading;

fn date(month: u32, day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2027, month, day).expect("a day")
}

fn account(number: u32) -> Account {
    Account {
        station: StationId::new(format!("station-{number}")).expect("an id"),
        aggregator: AggregatorId::new("agg-a").expect("an id"),
        gate: Gate::default(),
    }
}

/// The same in every quarter from 20 March to the end of April, but for what `change` makes of it.
fn readings(
    every: Reading,
    change: impl Fn(NaiveDate, usize, Reading) -> Option<Reading>,
) -> Readings {
    let mut readings = Readings::default();
    let midnight = chrono::DateTime::parse_from_rfc3339("2027-03-20T00:00:00+08:00");
    let start = midnight.expect("a time").to_utc();
    for day in 0..42 {
        let local = date(3, 20) + TimeDelta::days(day);
        for slot in 0..SLOTS {
            let at = start + TimeDelta::days(day) + QUARTER * i32::try_from(slot).expect("few");
            if let Some(reading) = change(local, slot, every) {
                readings.take(at, reading).expect("sound");
            }
        }
    }
    readings
}

fn month(hot: &BTreeSet<NaiveDate>, run: impl FnOnce(&Month<'_>)) {
    month_of(hot, Vec::new(), run);
}

fn month_of(hot: &BTreeSet<NaiveDate>, cleared: Vec<Cleared>, run: impl FnOnce(&Month<'_>)) {
    let (baselines, payments) = (BaselineRules::standard(), PaymentRules::standard());
    let calendar = Calendar::default();
    let event = |cleared: Cleared| MonthEvent {
        cleared,
        terms: Terms {
            baseline: baselines.entry("js5").expect("there"),
            baseline_pack: &baselines.pack,
            template: payments.template("tiered").expect("there"),
            payment_pack: &payments.pack,
            calendar: &calendar,
        },
        stations: None,
    };
    let rules = MonthRules {
        tariff: RulePack::guangdong_2025(),
        hot_days: hot,
        subsidies: Some(SubsidyRules::guangzhou()),
    };
    let events = cleared.into_iter().map(event).collect();
    run(&Month::new(date(4, 1), rules, events).expect("a month"));
}

fn even() -> Reading {
    Reading {
        gate_in_wh: 1_000,
        gate_out_wh: 100,
        pile_discharge_wh: 200,
        ..Reading::default()
    }
}

/// By hand, April without a sharp hour but on the 15th, which was declared hot: 32 quarters of valley, 36 of flat and 28 of peak
/// a day, of which 12 sharp on that day. 960 kWh · 0.22916875 = 220.002; 1,080 · 0.58886875 = 635.97825; 828 · 0.99496875 =
/// 823.834125; 12 · 1.24156875 = 14.898825. Fed in: 96 · 0.17214 = 16.52544; 108 · 0.453 = 48.924; 82.8 · 0.7701 = 63.76428;
/// 1.2 · 0.962625 = 1.15515. The subsidy of 5 CNY on 288 kWh is 1,440 CNY.
#[test]
fn a_station_month_is_billed_to_the_fen() {
    month(&BTreeSet::from([date(4, 15)]), |month| {
        let readings = readings(even(), |_, _, reading| Some(reading));
        let station = month.measure(account(1), &readings).expect("sound");
        assert_eq!((station.quarters, station.registers.estimated), (2_880, 0));
        assert_eq!(
            station.registers.forward_wh,
            [12_000, 828_000, 1_080_000, 960_000]
        );
        assert_eq!(
            station.registers.reverse_wh,
            [1_200, 82_800, 108_000, 96_000]
        );
        let fen: Vec<(bool, Period, i64)> = (station.energy.iter())
            .map(|line| (line.fed_in, line.period, line.fen))
            .collect();
        assert_eq!(
            fen,
            [
                (false, Period::Sharp, -1_490),
                (false, Period::Peak, -82_383),
                (false, Period::Flat, -63_598),
                (false, Period::Valley, -22_000),
                (true, Period::Sharp, 116),
                (true, Period::Peak, 6_376),
                (true, Period::Flat, 4_892),
                (true, Period::Valley, 1_653),
            ]
        );
        let mut budget = Budget::of(SubsidyRules::guangzhou(), 2027).expect("in force");
        let settled = month
            .close(vec![station], Some(&mut budget))
            .expect("sound");
        assert_eq!(
            settled.grants[0].map(|grant| grant.granted_fen),
            Some(144_000)
        );
        assert_eq!(budget.left_fen(), 2_000_000_000 - 144_000);
        let sum: i64 = fen.iter().map(|line| line.2).sum();
        assert_eq!(settled.station_fen()[&account(1).station], sum + 144_000);
    });
}

#[test]
fn a_budget_ends_in_the_order_of_stations() {
    month(&BTreeSet::new(), |month| {
        // 100 kWh fed in each quarter: 288,000 kWh a month, 1.44 million CNY of 20 million. The 14th gets what is left.
        let much = Reading {
            gate_out_wh: 100_000,
            pile_discharge_wh: 100_000,
            ..Reading::default()
        };
        let readings = readings(much, |_, _, reading| Some(reading));
        let measure = |number: u32| month.measure(account(number), &readings).expect("sound");
        let stations: Vec<StationMonth> = (10..25).map(measure).collect();
        let mut budget = Budget::of(SubsidyRules::guangzhou(), 2027).expect("in force");
        let settled = month.close(stations, Some(&mut budget)).expect("sound");
        let granted: Vec<i64> = (settled.grants.iter())
            .map(|grant| grant.map_or(0, |grant| grant.granted_fen) / 100)
            .collect();
        let mut expected = vec![1_440_000; 13];
        expected.extend([1_280_000, 0]);
        assert_eq!((granted, budget.left_fen()), (expected, 0));
    });
}

/// The hand-worked event of `event/tests.rs`, out of a month of readings: 32 CNY, of which 20/28 and 8/28.
#[test]
fn an_event_is_settled_out_of_the_readings() {
    let cleared = Cleared {
        event: EventId::new("event-1").expect("an id"),
        aggregator: AggregatorId::new("agg-a").expect("an id"),
        direction: Direction::Shaving,
        window: EventWindow {
            date: date(4, 15),
            first: 56,
            slots: 2,
            invited_on: date(4, 14),
        },
        cleared_wh: vec![20_000; 2],
        price: Price::from_cny_per_kwh("2".parse().expect("a number")),
    };
    month_of(&BTreeSet::new(), vec![cleared], |month| {
        let draws = |wh: i64| Reading {
            gate_in_wh: wh,
            ..Reading::default()
        };
        let on_event =
            |date_of: NaiveDate, slot: usize| date_of == date(4, 15) && (56..58).contains(&slot);
        let first = readings(draws(10_000), |day, slot, reading| {
            Some(if on_event(day, slot) {
                draws(0)
            } else {
                reading
            })
        });
        let second = readings(draws(20_000), |day, slot, reading| {
            match (on_event(day, slot), slot) {
                (true, 56) => Some(draws(12_000)),
                (true, _) => None,
                _ => Some(reading),
            }
        });
        let mut other = account(3);
        other.aggregator = AggregatorId::new("agg-b").expect("an id");
        let stations = vec![
            month.measure(account(2), &second).expect("sound"),
            month.measure(other, &first).expect("sound"),
            month.measure(account(1), &first).expect("sound"),
        ];
        // The missing quarter is charged as estimated.
        assert_eq!(stations[0].registers.estimated, 1);
        let settled = month.close(stations, None).expect("sound");
        let event = &settled.events[0];
        assert_eq!(
            (event.payment.gross_fen, event.payment.penalty_fen),
            (5_600, 2_400)
        );
        let shares: Vec<i64> = event.stations.iter().map(|line| line.share_fen).collect();
        assert_eq!(shares, [2_286, 914]);
        assert_eq!(event.stations[1].actual_wh, [Some(12_000), None]);
    });
}

/// By hand: 10 Wh fed in in flat hours of each half of April, 0.453 CNY/kWh throughout: 0.906 fen, 1 fen. Rounded by halves, as
/// the price of what is drawn changes in between, it would be 0.
#[test]
fn energy_at_one_price_is_rounded_once() {
    let text = include_str!("../../../../market-adapters/rules/guangdong-2025.toml");
    let (base, funds) = (text.find("\n[base]"), text.find("# Government funds"));
    let (base, funds) = (base.expect("there") + 1, funds.expect("there"));
    let series = "[[base]]\nvalue = \"0.5\"\nvalid_from = 2021-10-01\nvalid_to = 2027-04-16\nsource = \"a test\"\n\
                  status = \"unverified\"\n[[base]]\nvalue = \"0.6\"\nvalid_from = 2027-04-16\nsource = \"a test\"\n\
                  status = \"unverified\"\n";
    let tariff = RulePack::parse(&format!("{}{series}{}", &text[..base], &text[funds..]));
    let (tariff, hot) = (tariff.expect("a pack"), BTreeSet::new());
    let rules = MonthRules {
        tariff: &tariff,
        hot_days: &hot,
        subsidies: None,
    };
    let month = Month::new(date(4, 1), rules, Vec::new()).expect("a month");
    let fed = Reading {
        gate_in_wh: 100,
        gate_out_wh: 10,
        pile_discharge_wh: 10,
        ..Reading::default()
    };
    let readings = readings(Reading::default(), |day, slot, reading| {
        let here = slot == 80 && (day == date(4, 10) || day == date(4, 20));
        Some(if here { fed } else { reading })
    });
    let station = month.measure(account(1), &readings).expect("sound");
    let of = |fed_in: bool| -> Vec<(i64, i64)> {
        let lines = station.energy.iter().filter(|line| line.fed_in == fed_in);
        lines.map(|line| (line.wh, line.fen)).collect()
    };
    assert_eq!(of(true), [(20, 1)]);
    // 0.1 kWh · 0.50866875 and · 0.60866875.
    assert_eq!(of(false), [(100, -5), (100, -6)]);
}

/// By hand: half of 30,000 CNY for the equipment, half of 20,001 CNY for the platform, rounded down; of 100 CNY that are left
/// the vehicles' energy gets what remains.
#[test]
fn what_was_bought_is_granted_before_energy() {
    let rules = SubsidyRules::guangzhou();
    let purchase = |id: &str, station: Option<u32>, claim| Purchase {
        id: RequestId::new(id).expect("an id"),
        aggregator: AggregatorId::new("agg-a").expect("an id"),
        station: station.map(|number| account(number).station),
        claim,
    };
    let equipment = |cost_fen, asked_fen| Claim::Equipment {
        cost_fen,
        asked_fen,
    };
    let platform = |cost_fen, asked_fen| Claim::Platform {
        cost_fen,
        asked_fen,
    };
    let all = [
        purchase("i-1", Some(1), equipment(3_000_000, 2_000_000)),
        purchase("i-2", None, platform(2_000_100, 2_000_100)),
    ];
    let hot = BTreeSet::new();
    let month = |purchases: Vec<Purchase>, subsidies| {
        let rules = MonthRules {
            tariff: RulePack::guangdong_2025(),
            hot_days: &hot,
            subsidies,
        };
        Month::new(date(4, 1), rules, Vec::new())
            .expect("a month")
            .with_purchases(purchases)
    };
    let fed = Reading {
        gate_out_wh: 100,
        pile_discharge_wh: 100,
        ..Reading::default()
    };
    let close = |purchases: &[Purchase]| {
        let month = month(purchases.to_vec(), Some(rules)).expect("sound");
        let readings = readings(fed, |_, _, reading| Some(reading));
        let stations = vec![month.measure(account(1), &readings).expect("sound")];
        let mut budget =
            Budget::with_left(rules, 2027, "25100.5".parse().expect("a number")).expect("in force");
        let settled = month.close(stations, Some(&mut budget));
        settled.map(|settled| (settled, budget.left_fen()))
    };
    let (settled, left) = close(&all).expect("sound");
    let granted: Vec<i64> = settled
        .purchases
        .iter()
        .map(|(_, grant)| grant.granted_fen)
        .collect();
    assert_eq!(granted, [1_500_000, 1_000_050]);
    let energy = settled.grants[0].expect("a grant");
    assert_eq!(
        (energy.granted_fen, energy.cut, left),
        (10_000, Some(Cut::Budget), 0)
    );
    let of_station = settled.station_fen()[&account(1).station];
    let bills: i64 = settled.stations[0].energy.iter().map(|line| line.fen).sum();
    assert_eq!(of_station, bills + 1_510_000);

    let stranger = [purchase("i-3", Some(2), equipment(1, 1))];
    assert_eq!(
        close(&stranger).expect_err("not there").field,
        "claims[i-3]"
    );
    let negative = [purchase("i-4", None, platform(1, -1))];
    assert_eq!(
        close(&negative).expect_err("negative").field,
        "claims[i-4].asked_fen"
    );
    let rate = Price::from_cny_per_kwh("1".parse().expect("a number"));
    let energy = purchase("i-5", None, Claim::Discharge { wh: 1, rate });
    for (purchases, subsidies) in [
        (vec![all[0].clone(), all[0].clone()], Some(rules)),
        (vec![energy], Some(rules)),
        (all.to_vec(), None),
    ] {
        assert!(month(purchases, subsidies).is_err());
    }
}

/// Events of one aggregator from the given quarters on, an hour each, on the same day; those who take part by number.
fn overlapping(zone: &str, events: &[(usize, Option<&[u32]>)]) -> Result<(), Invalid> {
    let (baselines, payments) = (BaselineRules::standard(), PaymentRules::standard());
    let calendar = Calendar::default();
    let events = (1..)
        .zip(events)
        .map(|(number, (first, stations))| MonthEvent {
            cleared: Cleared {
                event: EventId::new(format!("event-{number}")).expect("an id"),
                aggregator: AggregatorId::new("agg-a").expect("an id"),
                direction: Direction::Shaving,
                window: EventWindow {
                    date: date(10, 31),
                    first: *first,
                    slots: 4,
                    invited_on: date(10, 30),
                },
                cleared_wh: vec![20_000; 4],
                price: Price::from_cny_per_kwh("2".parse().expect("a number")),
            },
            terms: Terms {
                baseline: baselines.entry("js5").expect("there"),
                baseline_pack: &baselines.pack,
                template: payments.template("tiered").expect("there"),
                payment_pack: &payments.pack,
                calendar: &calendar,
            },
            stations: stations.map(|numbers| {
                numbers
                    .iter()
                    .map(|number| account(*number).station)
                    .collect()
            }),
        });
    let text = include_str!("../../../../market-adapters/rules/guangdong-2025.toml");
    let tariff = RulePack::parse(&text.replace("Asia/Shanghai", zone)).expect("a pack");
    let hot = BTreeSet::new();
    let rules = MonthRules {
        tariff: &tariff,
        hot_days: &hot,
        subsidies: None,
    };
    Month::new(date(10, 1), rules, events.collect()).map(|_| ())
}

#[test]
fn the_same_energy_is_not_paid_twice() {
    let shanghai = |events: &[_]| overlapping("Asia/Shanghai", events);
    let both: &[u32] = &[1, 2];
    shanghai(&[(56, None), (60, None)]).expect("one after the other");
    shanghai(&[(56, Some(&[1])), (58, Some(&[2]))]).expect("of different stations");
    for second in [None, Some(both)] {
        let refused = shanghai(&[(56, Some(&[1])), (59, second)]).expect_err("at the same time");
        assert_eq!(refused.field, "events[event-2]");
        assert!(
            refused.problem.contains("at the same time as event-1"),
            "{refused}"
        );
    }
}

/// Berlin's clock goes from 3 to 2 again on 31 October 2027.
#[test]
fn an_event_while_the_clock_changes_is_refused() {
    let berlin = |first| overlapping("Europe/Berlin", &[(first, None)]);
    for first in [5, 8, 11] {
        let refused = berlin(first).expect_err("the clock changes");
        assert!(
            refused.problem.contains("the clock changes on 2027-10-31"),
            "{refused}"
        );
    }
    berlin(0).expect("before");
    berlin(4).expect("to the very moment");
    berlin(12).expect("after");
}

#[test]
fn what_is_no_month_is_refused() {
    let hot = BTreeSet::new();
    let rules = || MonthRules {
        tariff: RulePack::guangdong_2025(),
        hot_days: &hot,
        subsidies: None,
    };
    let refused = |first| {
        Month::new(first, rules(), Vec::new())
            .err()
            .map(|e| e.field)
    };
    assert_eq!(refused(date(4, 2)), Some("month".into()));
    // Before the tariff held.
    let before = NaiveDate::from_ymd_opt(2021, 9, 1).expect("a day");
    assert!(Month::new(before, rules(), Vec::new()).is_err());
    month(&hot, |month| {
        let one = month
            .measure(account(1), &Readings::default())
            .expect("empty");
        assert_eq!(one.registers.estimated, one.quarters);
        let twice = month
            .close(vec![one.clone(), one], None)
            .expect_err("twice");
        assert_eq!(twice.field, "stations");
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// In any order of stations the same; what lines say is what registers say; nothing fed in is paid that was not read.
    #[test]
    fn a_month_is_the_same_in_any_order(
        seeds in prop::collection::vec((0_i64..50_000, 0_i64..20_000, 1_usize..500), 1..5),
        turn in 0_usize..5,
    ) {
        month(&BTreeSet::from([date(4, 3)]), |month| {
            let mut stations: Vec<StationMonth> = (0_u32..).zip(&seeds).map(|(number, &(draw, fed, gap))| {
                let every = Reading { gate_in_wh: draw, gate_out_wh: fed, pile_discharge_wh: fed, ..Reading::default() };
                let readings = readings(every, |day, slot, reading| {
                    let number = day.ordinal0() as usize * SLOTS + slot;
                    (!number.is_multiple_of(gap)).then_some(reading)
                });
                month.measure(account(number), &readings).expect("sound")
            }).collect();
            for station in &stations {
                let sum = |fed_in: bool| -> i64 {
                    station.energy.iter().filter(|line| line.fed_in == fed_in).map(|line| line.wh).sum()
                };
                assert_eq!(sum(false), station.registers.forward_wh.iter().sum::<i64>());
                assert_eq!(sum(true), station.registers.reverse_wh.iter().sum::<i64>());
            }
            let close = |stations: Vec<StationMonth>| {
                let mut budget = Budget::of(SubsidyRules::guangzhou(), 2027).expect("in force");
                (month.close(stations, Some(&mut budget)).expect("sound"), budget)
            };
            let expected = close(stations.clone());
            let turned = turn % stations.len();
            stations.rotate_left(turned);
            assert_eq!(close(stations), expected);
        });
    }
}
