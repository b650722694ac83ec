use super::*;
use chrono::DateTime;

/// A local time of Guangzhou.
fn local(text: &str) -> Timestamp {
    let text = format!("{text}:00+08:00");
    DateTime::parse_from_rfc3339(&text).unwrap().to_utc()
}

fn tariff() -> &'static Tariff {
    RulePack::guangdong_2025().tariff()
}

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// The pack of the crate with one text replaced.
fn changed(from: &str, to: &str) -> Result<RulePack, crate::RuleError> {
    let text = include_str!("../../rules/guangdong-2025.toml");
    assert!(text.contains(from), "{from}");
    RulePack::parse(&text.replacen(from, to, 1))
}

#[test]
fn periods_follow_the_local_clock_and_the_sharp_days() {
    for (at, hot, period) in [
        ("2025-07-15T15:00", false, Period::Sharp),
        ("2025-07-15T14:59", false, Period::Peak),
        ("2025-07-15T16:59", false, Period::Sharp),
        ("2025-07-15T17:00", false, Period::Peak),
        ("2025-06-30T11:30", false, Period::Peak),
        ("2025-06-30T11:30", true, Period::Sharp),
        ("2025-06-30T10:30", true, Period::Peak),
        ("2025-10-01T11:30", false, Period::Peak),
        ("2025-07-15T08:00", false, Period::Flat),
        ("2025-07-15T07:59", false, Period::Valley),
        ("2025-07-15T12:00", false, Period::Flat),
        ("2025-07-15T23:59", false, Period::Flat),
        ("2025-07-15T00:00", false, Period::Valley),
        // The first local minute of July is still June in UTC.
        ("2025-07-01T11:00", false, Period::Sharp),
    ] {
        assert_eq!(
            tariff().period_at(local(at), hot),
            period,
            "{at} hot: {hot}"
        );
    }
}

#[test]
fn the_day_has_the_stated_hours_of_each_period() {
    let hours = |hot: bool, period: Period| {
        let at = |hour: u32| local(&format!("2025-06-15T{hour:02}:00"));
        (0..24)
            .filter(|hour| tariff().period_at(at(*hour), hot) == period)
            .count()
    };
    let all = [Period::Valley, Period::Flat, Period::Peak, Period::Sharp];
    assert_eq!(all.map(|period| hours(false, period)), [8, 9, 7, 0]);
    assert_eq!(all.map(|period| hours(true, period)), [8, 9, 4, 3]);
}

#[test]
fn prices_are_rounded_before_the_funds_are_added() {
    for (at, drawn, fed_in) in [
        // 0.5802 × 2.125 = 1.232925
        ("2025-07-15T16:00", "1.24156875", "0.962625"),
        // 0.5802 × 1.7 = 0.98634
        ("2025-07-15T18:00", "0.99496875", "0.7701"),
        ("2025-07-15T09:00", "0.58886875", "0.453"),
        // 0.5802 × 0.38 = 0.220476
        ("2025-07-15T03:00", "0.22916875", "0.17214"),
    ] {
        let (price, feed_in) = (
            tariff().price_at(local(at), false),
            tariff().feed_in_price_at(local(at), false),
        );
        assert_eq!(price.as_cny_per_kwh(), decimal(drawn), "{at}");
        assert_eq!(feed_in.as_cny_per_kwh(), decimal(fed_in), "{at}");
    }
}

#[test]
fn homes_pay_no_sharp_price_and_nothing_is_rounded() {
    let homes = RulePack::by_name("guangzhou-residential-2025").unwrap();
    for (at, price) in [
        ("2025-07-15T16:00", "0.99500875"),
        ("2025-06-15T18:00", "0.99500875"),
        ("2025-06-15T09:00", "0.58886875"),
        ("2025-06-15T03:00", "0.22914475"),
    ] {
        let exact = homes.tariff().price_at(local(at), true);
        assert_eq!(exact.as_cny_per_kwh(), decimal(price), "{at}");
    }
}

/// By hand: 0.453 and 0.5802 times 1.53, 0.32 and 1.53 × 1.25 = 1.9125, the latter rounded to four places.
#[test]
fn shenzhen_has_the_same_hours_and_multipliers_of_its_own() {
    let shenzhen = RulePack::by_name("shenzhen-2025").unwrap().tariff();
    for (at, drawn, fed_in) in [
        ("2025-07-15T16:00", "1.11826875", "0.8663625"),
        ("2025-07-15T18:00", "0.89636875", "0.69309"),
        ("2025-07-15T09:00", "0.58886875", "0.453"),
        ("2025-07-15T03:00", "0.19436875", "0.14496"),
    ] {
        let at = local(at);
        assert_eq!(shenzhen.period_at(at, false), tariff().period_at(at, false));
        let price = shenzhen.price_at(at, false).as_cny_per_kwh();
        let feed_in = shenzhen.feed_in_price_at(at, false).as_cny_per_kwh();
        assert_eq!((price, feed_in), (decimal(drawn), decimal(fed_in)), "{at}");
    }
}

#[test]
fn the_half_is_rounded_up() {
    let pack = changed("value = \"0.5802\"", "value = \"0.50005\"").unwrap();
    let flat = pack.tariff().price_at(local("2025-06-15T09:00"), false);
    assert_eq!(
        flat.as_cny_per_kwh(),
        decimal("0.5001") + decimal("0.00866875")
    );
}

#[test]
fn figures_hold_within_their_days_only() {
    assert!(tariff().require_in_force(local("2025-05-01T00:00")).is_ok());
    let early = tariff()
        .require_in_force(local("2025-04-30T23:59"))
        .unwrap_err();
    assert_eq!(early.field, "feed_in");
    let ending = changed("[base]", "[base]\nvalid_to = 2026-01-01").unwrap();
    assert!(
        ending
            .tariff()
            .require_in_force(local("2025-12-31T23:59"))
            .is_ok()
    );
    let late = ending
        .tariff()
        .require_in_force(local("2026-01-01T00:00"))
        .unwrap_err();
    assert_eq!(late.field, "base");
}

/// The pack with a base price that changes: of the dates given, each begins a value and may end it.
fn with_bases(bases: &[(&str, Option<&str>, &str)]) -> Result<RulePack, crate::RuleError> {
    let text = include_str!("../../rules/guangdong-2025.toml");
    let from = text.find("[base]").unwrap();
    let to = text.find("# Government funds").unwrap();
    let mut series = String::new();
    for (from, to, value) in bases {
        let to = to.map_or(String::new(), |to| format!("valid_to = {to}\n"));
        series += &format!(
            "[[base]]\nvalue = \"{value}\"\nvalid_from = {from}\n{to}source = \"a test\"\nstatus = \"unverified\"\n"
        );
    }
    RulePack::parse(&format!("{}{series}{}", &text[..from], &text[to..]))
}

#[test]
fn a_price_may_change_from_month_to_month() {
    let pack = with_bases(&[
        ("2025-01-01", Some("2025-06-01"), "0.5"),
        ("2025-06-01", None, "0.6"),
    ]);
    let pack = pack.unwrap();
    let flat =
        |at| pack.tariff().price_at(local(at), false).as_cny_per_kwh() - decimal("0.00866875");
    assert_eq!(flat("2025-05-31T23:59"), decimal("0.5"));
    assert_eq!(flat("2025-06-01T08:00"), decimal("0.6"));
    let early = pack.tariff().require_in_force(local("2024-12-31T23:59"));
    assert_eq!(early.unwrap_err().field, "base");
}

#[test]
fn a_price_with_a_gap_in_its_dates_is_refused() {
    for (bases, expected) in [
        (
            [
                ("2025-01-01", Some("2025-05-01"), "0.5"),
                ("2025-06-01", None, "0.6"),
            ],
            "no value holds from 2025-05-01 to 2025-06-01",
        ),
        (
            [
                ("2025-01-01", Some("2025-07-01"), "0.5"),
                ("2025-06-01", None, "0.6"),
            ],
            "two values hold from 2025-06-01 to 2025-07-01",
        ),
        (
            [("2025-01-01", None, "0.5"), ("2025-06-01", None, "0.6")],
            "the value from 2025-01-01 on has no end, and another follows on 2025-06-01",
        ),
        (
            [
                ("2025-06-01", Some("2025-07-01"), "0.5"),
                ("2025-01-01", None, "0.6"),
            ],
            "two values hold from 2025-01-01 to 2025-07-01",
        ),
        (
            [
                ("2025-06-01", Some("2025-03-01"), "0.5"),
                ("2025-03-01", None, "0.6"),
            ],
            "the value from 2025-06-01 on ends before, on 2025-03-01",
        ),
    ] {
        let refused = with_bases(&bases).unwrap_err().to_string();
        assert!(refused.contains(expected), "{refused}");
        assert!(refused.starts_with("line 6"), "{refused}");
    }
    assert!(with_bases(&[("2025-01-01", None, "-0.5")]).is_err());
}

#[test]
fn a_broken_pack_is_refused_with_line_and_reason() {
    for (from, to, line, part) in [
        ("format = 1", "format = 2", 9, "2 is not 1"),
        ("Asia/Shanghai", "Asia/Canton", 9, "no time zone"),
        ("version = 1", "version = 0", 9, "nonzero"),
        (
            "valley = [[0, 8]]",
            "valley = [[0, 9]]",
            12,
            "hour 8 belongs to 2",
        ),
        (
            "sharp = [[11, 12]",
            "sharp = [[12, 13]",
            12,
            "sharp outside the peak",
        ),
        ("[7, 8, 9]", "[7, 8, 13]", 21, "13 is outside 1 to 12"),
        (
            "value = \"0.453\"",
            "value = \"-0.453\"",
            76,
            "-0.453 is outside 0",
        ),
        (
            "status = \"sourced\"",
            "status = \"guessed\"",
            19,
            "guessed",
        ),
        ("[funds]", "[fund]", 68, "fund"),
        ("value = \"0.38\"", "value = \"a third\"", 28, "Decimal"),
    ] {
        let text = changed(from, to).unwrap_err().to_string();
        let (place, problem) = text.split_once(": ").unwrap();
        let found: usize = place.trim_start_matches("line ").parse().unwrap();
        assert!(problem.contains(part), "{from} -> {to}: {text}");
        assert_eq!(found, line, "{from} -> {to}: {text}");
    }
}

#[test]
fn packs_are_known_by_name() {
    for name in RulePack::names() {
        let pack = RulePack::by_name(name).unwrap();
        assert_eq!(pack.id().name, name);
        assert_eq!(pack.id().to_string(), format!("{name}@1"));
        assert_eq!(RulePack::by_name(&format!("{name}@1")), Some(pack));
        assert!(RulePack::by_name(&format!("{name}@2")).is_none());
    }
    assert!(RulePack::by_name("guangdong").is_none());
}

#[test]
fn a_pack_can_be_read_from_a_file() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/rules/guangdong-2025.toml");
    assert_eq!(&RulePack::load(path).unwrap(), RulePack::guangdong_2025());
    let missing = RulePack::load("/nowhere/pack.toml")
        .unwrap_err()
        .to_string();
    assert!(missing.starts_with("/nowhere/pack.toml: "), "{missing}");
}
