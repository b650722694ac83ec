//! Reading and checking a rule pack.

use std::io::Read;
use std::path::Path;
use std::sync::LazyLock;

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::Deserialize;
use toml::Spanned;
use vpp_core::Invalid;

use super::{Period, Tariff};
use crate::rules::{
    self, Dated, Head, PackId, Refusal, RuleError, Series, Status, date, optional_date, refusal,
};

/// The packs that come with this crate.
static PACKS: LazyLock<[RulePack; 3]> = LazyLock::new(|| {
    [
        include_str!("../../rules/guangdong-2025.toml"),
        include_str!("../../rules/shenzhen-2025.toml"),
        include_str!("../../rules/guangzhou-residential-2025.toml"),
    ]
    .map(|text| RulePack::parse(text).expect("a pack that comes with the crate is sound"))
});

/// The largest rule pack: a hundred times the longest so far.
const MAX_BYTES: u64 = 1 << 20;
/// A price has no more decimal places than this.
const MAX_DECIMALS: u32 = 12;

/// A named, versioned set of figures.
#[derive(Clone, Debug, PartialEq)]
pub struct RulePack {
    id: PackId,
    tariff: Tariff,
}

impl RulePack {
    /// The pack that comes with this crate for Guangdong.
    ///
    /// # Panics
    /// Never: a test reads the pack.
    #[must_use]
    pub fn guangdong_2025() -> &'static RulePack {
        &PACKS[0]
    }

    /// The pack that comes with this crate under a name, or under a name and version.
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static RulePack> {
        PACKS.iter().find(|pack| pack.id.is_meant_by(name))
    }

    /// The names of the packs that come with this crate.
    pub fn names() -> impl Iterator<Item = &'static str> {
        PACKS.iter().map(|pack| pack.id.name.as_str())
    }

    /// Reads a pack from a file.
    ///
    /// # Errors
    /// A file that cannot be read; otherwise as [`RulePack::parse`].
    pub fn load(path: impl AsRef<Path>) -> Result<RulePack, RuleError> {
        let path = path.as_ref();
        let io = |source| RuleError::Io {
            path: path.into(),
            source,
        };
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(io)?;
        file.take(MAX_BYTES + 1)
            .read_to_string(&mut text)
            .map_err(io)?;
        if text.len() as u64 > MAX_BYTES {
            let problem = format!("the file has more than {MAX_BYTES} bytes");
            return Err(RuleError::Invalid {
                line: 1,
                invalid: Invalid::new("", problem),
            });
        }
        RulePack::parse(&text)
    }

    /// Reads a pack from text.
    ///
    /// # Errors
    /// The first figure that is missing, of the wrong type or impossible, with its line.
    pub fn parse(text: &str) -> Result<RulePack, RuleError> {
        rules::parse(text, RawPack::check)
    }

    /// Its name and version, for the record of a run.
    #[must_use]
    pub fn id(&self) -> &PackId {
        &self.id
    }

    /// Its prices.
    #[must_use]
    pub fn tariff(&self) -> &Tariff {
        &self.tariff
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPack {
    pack: Head,
    hours: Spanned<Hours>,
    sharp_months: Spanned<Dated<Vec<u32>>>,
    multiplier: Spanned<Multipliers>,
    decimals: Spanned<Dated<u32>>,
    base: Spanned<Series<Decimal>>,
    funds: Spanned<Series<Decimal>>,
    feed_in: Spanned<Series<Decimal>>,
}

/// Local hours of each period, `[from, to)`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Hours {
    valley: Vec<[u32; 2]>,
    flat: Vec<[u32; 2]>,
    peak: Vec<[u32; 2]>,
    sharp: Vec<[u32; 2]>,
    #[serde(deserialize_with = "date")]
    pub(super) valid_from: NaiveDate,
    #[serde(default, deserialize_with = "optional_date")]
    pub(super) valid_to: Option<NaiveDate>,
    source: String,
    status: Status,
}

/// Price of a period over the base.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Multipliers {
    pub(super) valley: Dated<Decimal>,
    pub(super) flat: Dated<Decimal>,
    pub(super) peak: Dated<Decimal>,
    pub(super) sharp: Dated<Decimal>,
}

impl RawPack {
    fn check(self) -> Result<RulePack, Refusal> {
        let (id, zone) = self.pack.check()?;
        let hours = self.hours.get_ref();
        hours
            .check()
            .map_err(|problem| refusal(&self.hours, "hours", problem))?;
        let months = &self.sharp_months;
        if let Some(bad) = months
            .get_ref()
            .value
            .iter()
            .find(|month| !(1..=12).contains(*month))
        {
            let problem = format!("{bad} is outside 1 to 12");
            return Err(refusal(months, "sharp_months.value", problem));
        }
        let places = self.decimals.get_ref().value;
        if places > MAX_DECIMALS {
            let problem = format!("{places} is above {MAX_DECIMALS}");
            return Err(refusal(&self.decimals, "decimals.value", problem));
        }
        let multiplier = self.multiplier.get_ref();
        for (field, figure) in [
            ("multiplier.valley.value", &multiplier.valley),
            ("multiplier.flat.value", &multiplier.flat),
            ("multiplier.peak.value", &multiplier.peak),
            ("multiplier.sharp.value", &multiplier.sharp),
        ] {
            bounded(&self.multiplier, field, figure.value)?;
        }
        for (field, figure) in [
            ("base.value", &self.base),
            ("funds.value", &self.funds),
            ("feed_in.value", &self.feed_in),
        ] {
            for dated in figure.get_ref().all() {
                bounded(figure, field, dated.value)?;
            }
        }
        let tariff = Tariff {
            zone,
            hours: self.hours.into_inner(),
            sharp_months: self.sharp_months.into_inner(),
            multipliers: self.multiplier.into_inner(),
            decimals: self.decimals.into_inner(),
            base: self.base.into_inner(),
            funds: self.funds.into_inner(),
            feed_in: self.feed_in.into_inner(),
        };
        Ok(RulePack { id, tariff })
    }
}

/// A price or factor: neither negative nor so large that only a slip of units explains it.
fn bounded<T>(at: &Spanned<T>, field: &str, value: Decimal) -> Result<(), Refusal> {
    let most = Decimal::from(100);
    if value < Decimal::ZERO || value > most {
        return Err(refusal(
            at,
            field,
            format!("{value} is outside 0 to {most}"),
        ));
    }
    Ok(())
}

impl Hours {
    pub(super) fn period(&self, hour: u32, sharp: bool) -> Period {
        let within =
            |spans: &[[u32; 2]]| spans.iter().any(|[from, to]| (*from..*to).contains(&hour));
        if sharp && within(&self.sharp) {
            Period::Sharp
        } else if within(&self.peak) {
            Period::Peak
        } else if within(&self.valley) {
            Period::Valley
        } else {
            Period::Flat
        }
    }

    /// Valley, flat and peak must share out the day, and sharp must lie within peak.
    fn check(&self) -> Result<(), String> {
        for [from, to] in [&self.valley, &self.flat, &self.peak, &self.sharp]
            .into_iter()
            .flatten()
        {
            if from >= to || *to > 24 {
                return Err(format!("[{from}, {to}] is no span of hours within 0 to 24"));
            }
        }
        let count = |spans: &[[u32; 2]], hour: u32| {
            spans
                .iter()
                .filter(|[from, to]| (*from..*to).contains(&hour))
                .count()
        };
        for hour in 0..24 {
            let peak = count(&self.peak, hour);
            let all = count(&self.valley, hour) + count(&self.flat, hour) + peak;
            if all != 1 {
                return Err(format!("hour {hour} belongs to {all} periods, not to 1"));
            }
            if count(&self.sharp, hour) > peak {
                return Err(format!("hour {hour} is sharp outside the peak"));
            }
        }
        Ok(())
    }
}
