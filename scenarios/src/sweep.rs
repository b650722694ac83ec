//! Variants of a scenario: every combination of parameters with every seed, each a file of a few lines that includes the
//! scenario.
//!
//! They are numbered in an order that depends on nothing but what was asked, so that machines that share a sweep agree on who
//! does which.

use std::path::Path;

use toml::{Table, Value};

/// The most runs of a sweep.
pub const MOST_RUNS: usize = 1_000_000;

/// A sweep that cannot be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SweepError {
    /// No `KEY=VALUES`.
    #[error(
        "{0:?}: write KEY=VALUE,VALUE,…, such as assumptions.v2g_consent_share=0.2,0.4 or event[dr-1].reduction_kw=1000,2000"
    )]
    Setting(String),
    /// A key twice.
    #[error("{0}: is varied twice")]
    Twice(String),
    /// A key whose table another key gives a value.
    #[error("{0}: another key is a part of it")]
    Overlap(String),
    /// The seed is not a parameter.
    #[error("scenario.seed: give seeds by themselves")]
    Seed,
    /// No seeds.
    #[error("{0:?}: write seeds as 1-20 or 1,2,5; from the smallest, each once")]
    Seeds(String),
    /// Too many runs.
    #[error("{0} runs: at most {MOST_RUNS} are possible")]
    Runs(u128),
}

/// A key of the format and the values that it takes, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Dotted, as in the format; a row of an array by its id in brackets: `event[dr-1].reduction_kw`.
    pub key: String,
    /// At least one.
    pub values: Vec<Value>,
    steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq)]
struct Step {
    key: String,
    /// The row, where the key names an array.
    id: Option<String>,
}

impl std::str::FromStr for Setting {
    type Err = SweepError;

    fn from_str(text: &str) -> Result<Setting, SweepError> {
        let wrong = || SweepError::Setting(text.into());
        // An id may hold dots, but neither `=` nor brackets.
        let (key, values) = text.split_once('=').ok_or_else(wrong)?;
        let key = key.trim();
        let steps = steps(key).ok_or_else(wrong)?;
        let values = values_of(values).ok_or_else(wrong)?;
        if key == "scenario.seed" {
            return Err(SweepError::Seed);
        }
        Ok(Setting {
            key: key.into(),
            values,
            steps,
        })
    }
}

fn steps(key: &str) -> Option<Vec<Step>> {
    let word = |text: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        (!text.is_empty() && text.chars().all(allowed)).then(|| text.to_owned())
    };
    let mut steps = Vec::new();
    let mut rest = key;
    loop {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let key = word(&rest[..end])?;
        rest = &rest[end..];
        let mut id = None;
        if let Some(row) = rest.strip_prefix('[') {
            let (inside, after) = row.split_once(']')?;
            id = Some(inside.to_owned()).filter(|id| !id.is_empty());
            id.as_ref()?;
            rest = after;
        }
        steps.push(Step { key, id });
        match rest.strip_prefix('.') {
            Some(more) => rest = more,
            None => break,
        }
    }
    // A row as a whole is no value.
    let ends = steps.last().is_some_and(|step| step.id.is_none());
    (rest.is_empty() && ends).then_some(steps)
}

/// The values between commas: of TOML where they are, else text.
fn values_of(text: &str) -> Option<Vec<Value>> {
    let array = |list: &str| {
        let table: Table = toml::from_str(&format!("values = [{list}]")).ok()?;
        table.get("values")?.as_array().cloned()
    };
    let values = array(text).or_else(|| {
        let quoted: Vec<String> = text
            .split(',')
            .map(|word| Value::from(word.trim()).to_string())
            .collect();
        array(&quoted.join(", "))
    })?;
    let empty = |value: &Value| value.as_str().is_some_and(str::is_empty);
    (!values.is_empty() && !values.iter().any(empty)).then_some(values)
}

/// The seeds of `1-20` or `1,2,5`.
///
/// # Errors
/// When it is neither, or not ascending.
pub fn seeds(text: &str) -> Result<Vec<u64>, SweepError> {
    let wrong = || SweepError::Seeds(text.into());
    let number = |text: &str| text.trim().parse::<u64>().map_err(|_| wrong());
    let seeds = match text.split_once('-') {
        Some((first, last)) => {
            let (first, last) = (number(first)?, number(last)?);
            let count = u128::from(last.saturating_sub(first)) + 1;
            if count > MOST_RUNS as u128 {
                return Err(SweepError::Runs(count));
            }
            (first..=last).collect()
        }
        None => text
            .split(',')
            .map(number)
            .collect::<Result<Vec<u64>, SweepError>>()?,
    };
    // What TOML can say.
    let fits = seeds.iter().all(|seed| i64::try_from(*seed).is_ok());
    if seeds.is_empty() || !fits || seeds.windows(2).any(|pair| pair[0] >= pair[1]) {
        return Err(wrong());
    }
    Ok(seeds)
}

/// All variants of a sweep.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    settings: Vec<Setting>,
    seeds: Vec<u64>,
}

/// One run of a sweep.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    /// From 0.
    pub number: usize,
    /// A value for each setting, in their order.
    pub values: Vec<Value>,
    /// The seed; none where the scenario's own is kept.
    pub seed: Option<u64>,
}

impl Sweep {
    /// Every combination of the values with every seed; without seeds the scenario's own.
    ///
    /// # Errors
    /// When a key is there twice or within another, or there are too many.
    pub fn new(settings: Vec<Setting>, seeds: Vec<u64>) -> Result<Sweep, SweepError> {
        for (at, setting) in settings.iter().enumerate() {
            for other in &settings[..at] {
                if setting.steps == other.steps {
                    return Err(SweepError::Twice(setting.key.clone()));
                }
                let (short, long) = match setting.steps.len() < other.steps.len() {
                    true => (setting, other),
                    false => (other, setting),
                };
                if long.steps.starts_with(&short.steps) {
                    return Err(SweepError::Overlap(short.key.clone()));
                }
            }
        }
        let counts = settings.iter().map(|setting| setting.values.len() as u128);
        let runs = counts.fold(seeds.len().max(1) as u128, u128::saturating_mul);
        if runs > MOST_RUNS as u128 {
            return Err(SweepError::Runs(runs));
        }
        Ok(Sweep { settings, seeds })
    }

    /// What is varied.
    #[must_use]
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }

    /// How many seeds each set of parameters has.
    #[must_use]
    pub fn seeds(&self) -> usize {
        self.seeds.len().max(1)
    }

    /// How many variants there are.
    #[must_use]
    pub fn len(&self) -> usize {
        let counts = self.settings.iter().map(|setting| setting.values.len());
        self.seeds() * counts.product::<usize>()
    }

    /// Never: the scenario as it is, is one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The variant of a number: seeds change first, then the last setting.
    ///
    /// # Panics
    /// When there are not so many.
    #[must_use]
    pub fn variant(&self, number: usize) -> Variant {
        assert!(number < self.len(), "there is no variant {number}");
        let mut rest = number;
        let mut digit = |base: usize| {
            let digit = rest % base;
            rest /= base;
            digit
        };
        let seed = digit(self.seeds());
        let mut values: Vec<Value> = (self.settings.iter().rev())
            .map(|setting| setting.values[digit(setting.values.len())].clone())
            .collect();
        values.reverse();
        Variant {
            number,
            values,
            seed: self.seeds.get(seed).copied(),
        }
    }

    /// A variant as a scenario file that includes `base`.
    #[must_use]
    pub fn text(&self, variant: &Variant, base: &Path) -> String {
        let mut table = Table::new();
        table.insert("include".into(), base.display().to_string().into());
        for (setting, value) in self.settings.iter().zip(&variant.values) {
            insert(&mut table, &setting.steps, value);
        }
        if let Some(seed) = variant.seed.and_then(|seed| i64::try_from(seed).ok()) {
            let steps = ["scenario", "seed"].map(|key| Step {
                key: key.into(),
                id: None,
            });
            insert(&mut table, &steps, &Value::Integer(seed));
        }
        table.to_string()
    }
}

/// Sets what is at the end of the steps. No key is a part of another: see [`Sweep::new`].
fn insert(table: &mut Table, steps: &[Step], value: &Value) {
    let [step, rest @ ..] = steps else { return };
    if rest.is_empty() {
        table.insert(step.key.clone(), value.clone());
        return;
    }
    let Some(id) = &step.id else {
        let inner = table.entry(step.key.clone());
        if let Value::Table(inner) = inner.or_insert_with(|| Value::Table(Table::new())) {
            insert(inner, rest, value);
        }
        return;
    };
    let rows = table
        .entry(step.key.clone())
        .or_insert_with(|| Value::Array(Vec::new()));
    let Value::Array(rows) = rows else { return };
    let named = |row: &Value| row.get("id").and_then(Value::as_str) == Some(id);
    let at = rows.iter().position(named).unwrap_or_else(|| {
        let row = Table::from_iter([("id".to_owned(), Value::from(id.as_str()))]);
        rows.push(Value::Table(row));
        rows.len() - 1
    });
    if let Value::Table(row) = &mut rows[at] {
        insert(row, rest, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(text: &str) -> Setting {
        text.parse().unwrap()
    }

    #[test]
    fn every_combination_is_there_once_and_seeds_change_first() {
        let settings = vec![
            setting("a.b=1,2.5"),
            setting("a.c=x,yes man"),
            setting("list=[1, 2],[3]"),
        ];
        let sweep = Sweep::new(settings, seeds("7-9").unwrap()).unwrap();
        assert_eq!(sweep.len(), 24);
        let said = |number| {
            let variant = sweep.variant(number);
            let values: Vec<String> = variant.values.iter().map(Value::to_string).collect();
            (values.join(" "), variant.seed.unwrap())
        };
        assert_eq!(said(0), ("1 \"x\" [1, 2]".into(), 7));
        assert_eq!(said(2), ("1 \"x\" [1, 2]".into(), 9));
        assert_eq!(said(3), ("1 \"x\" [3]".into(), 7));
        assert_eq!(said(6), ("1 \"yes man\" [1, 2]".into(), 7));
        assert_eq!(said(23), ("2.5 \"yes man\" [3]".into(), 9));
        let all: std::collections::BTreeSet<_> = (0..24).map(said_of(&sweep)).collect();
        assert_eq!(all.len(), 24);
    }

    fn said_of(sweep: &Sweep) -> impl Fn(usize) -> String + '_ {
        |number| sweep.text(&sweep.variant(number), Path::new("base.toml"))
    }

    #[test]
    fn a_variant_is_a_file_of_few_lines() {
        let settings = vec![
            setting("assumptions.v2g_floor=0.4"),
            setting("event[dr-1].reduction_kw=1000"),
            setting("event[dr-1].duration_s=60"),
            setting("fleet.stations[a.b].regulates=true"),
        ];
        let sweep = Sweep::new(settings, vec![3]).unwrap();
        let text = sweep.text(&sweep.variant(0), Path::new("/x/base.toml"));
        let expected = r#"include = "/x/base.toml"

[assumptions]
v2g_floor = 0.4

[[event]]
duration_s = 60
id = "dr-1"
reduction_kw = 1000

[[fleet.stations]]
id = "a.b"
regulates = true

[scenario]
seed = 3
"#;
        assert_eq!(text, expected);
    }

    #[test]
    fn without_anything_to_vary_there_is_the_scenario_itself() {
        let sweep = Sweep::new(Vec::new(), Vec::new()).unwrap();
        assert_eq!(sweep.len(), 1);
        let text = sweep.text(&sweep.variant(0), Path::new("base.toml"));
        assert_eq!(text, "include = \"base.toml\"\n");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for wrong in [
            "", "a", "=1", "a=", "a=1,,", "a..b=1", "a[x]=1", "a[=1", "a[].b=1", "a b=1",
        ] {
            let error = wrong.parse::<Setting>().expect_err(wrong);
            assert_eq!(error, SweepError::Setting(wrong.into()));
        }
        assert_eq!("scenario.seed=1".parse::<Setting>(), Err(SweepError::Seed));
        for wrong in ["", "x", "5-1", "1,1", "2,1", "-1", "9223372036854775808"] {
            assert_eq!(
                seeds(wrong),
                Err(SweepError::Seeds(wrong.into())),
                "{wrong}"
            );
        }
        assert_eq!(seeds("0-2000000"), Err(SweepError::Runs(2_000_001)));
        let twice = vec![setting("a.b=1"), setting("a.b=2")];
        let error = Sweep::new(twice, Vec::new()).unwrap_err();
        assert_eq!(error, SweepError::Twice("a.b".into()));
        let within = vec![setting("a.b.c=1"), setting("a.b=2")];
        let error = Sweep::new(within, Vec::new()).unwrap_err();
        assert_eq!(error, SweepError::Overlap("a.b".into()));
        let many = vec![setting("a=1,2,3"), setting("b=1,2")];
        let error = Sweep::new(many, (0..200_000).collect()).unwrap_err();
        assert_eq!(error, SweepError::Runs(1_200_000));
    }
}
