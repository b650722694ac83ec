//! The words of the report: data, in one file.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use vpp_market_adapters::Status;
use vpp_market_adapters::plan::{Bilingual, Language, Reason};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    words: Words,
    facilities: BTreeMap<String, Bilingual>,
}

macro_rules! words {
    ($($name:ident)+) => {
        /// One text for each key of `words.toml`.
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct Words { $(pub(super) $name: Bilingual),+ }
    };
}

words! {
    title covers part tally targets target wanted measured result how at_least at_most value at_piles scaled met not_met open
    part_of_year needs_scenario no_station no_response no_regulation
    power power_text callable not_asked
    response response_text event asked_mw promised_mw delivered_mw ratio aggregators
    regulation regulation_text scored none subsidy subsidy_text
    energy facility stations forward reverse sharp peak flat valley all
    elsewhere elsewhere_text place figures station_kw discharged source this_run this_figures simulated
    sourced unverified seed limits limits_text
}

static FILE: LazyLock<File> = LazyLock::new(|| {
    toml::from_str(include_str!("words.toml"))
        .expect("the words that come with the command are sound")
});

/// All words.
pub(super) fn words() -> &'static Words {
    &FILE.words
}

/// What a kind of facility is called; its own name where nobody gave it another.
pub(super) fn facility(profile: &str, language: Language) -> String {
    let known = FILE.facilities.get(profile);
    known.map_or(profile, |name| name.text(language)).to_owned()
}

/// Fills names in braces.
pub(super) fn filled(text: &Bilingual, language: Language, values: &[(&str, &str)]) -> String {
    let text = text.text(language).to_owned();
    (values.iter()).fold(text, |text, (name, value)| {
        text.replace(&format!("{{{name}}}"), value)
    })
}

/// A reason, for people.
pub(super) fn reason(reason: Reason) -> &'static Bilingual {
    let words = words();
    match reason {
        Reason::PartOfYear => &words.part_of_year,
        Reason::NeedsScenario => &words.needs_scenario,
        Reason::NoStation => &words.no_station,
        Reason::NoResponse => &words.no_response,
        Reason::NoRegulation => &words.no_regulation,
    }
}

/// A reason, for programs.
pub(super) fn name(reason: Reason) -> &'static str {
    match reason {
        Reason::PartOfYear => "part_of_year",
        Reason::NeedsScenario => "needs_scenario",
        Reason::NoStation => "no_station",
        Reason::NoResponse => "no_response",
        Reason::NoRegulation => "no_regulation",
    }
}

/// How sure a figure is.
pub(super) fn status(status: Status) -> &'static Bilingual {
    let words = words();
    match status {
        Status::Seed => &words.seed,
        Status::Sourced => &words.sourced,
        Status::Unverified => &words.unverified,
    }
}

/// A number with so many decimals, thousands parted.
pub(super) fn number(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.as_str()),
    };
    let (whole, rest) = digits.split_at(digits.find('.').unwrap_or(digits.len()));
    let mut parted = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            parted.push(',');
        }
        parted.push(digit);
    }
    format!("{sign}{parted}{rest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_parted_by_thousands() {
        for (value, decimals, expected) in [
            (0.0, 0, "0"),
            (999.6, 0, "1,000"),
            (28_000.0, 0, "28,000"),
            (-1_234_567.891, 2, "-1,234,567.89"),
            (12.345, 1, "12.3"),
        ] {
            assert_eq!(number(value, decimals), expected);
        }
    }

    /// A name that is filled in stands in both languages.
    #[test]
    fn both_languages_have_the_same_names_to_fill_in() {
        let file: toml::Table = toml::from_str(include_str!("words.toml")).expect("TOML");
        let names = |text: &toml::Value| -> Vec<String> {
            let text = text.as_str().expect("text");
            let mut names: Vec<String> = (text.split('{').skip(1))
                .filter_map(|part| part.split('}').next())
                .map(str::to_owned)
                .collect();
            names.sort();
            names
        };
        for (key, both) in file["words"].as_table().expect("a table") {
            assert_eq!(names(&both["en"]), names(&both["zh"]), "{key}");
        }
        assert!(!words().title.zh.is_empty());
        assert_eq!(facility("park", Language::Chinese), "公园");
        assert_eq!(facility("harbour", Language::Chinese), "harbour");
    }
}
