//! PJM's performance score: how well a response follows a signal over an hour.
//!
//! ```text
//! for each window of 5 min, and each shift d = 0 .. 300 s of the response:
//!   corr(d)  = Pearson(signal in the window, response d later)
//!              where the signal does not vary: 1 − |slope of the signal − slope of the response|
//!              where it does and the response does not: none
//!   delay(d) = |(d − 300 s) / 300 s|
//!   d*       = argmax corr(d) + delay(d);   accuracy = corr(d*), delay = delay(d*)
//! precision  = 1 − mean |response − signal| / mean |signal|, with the response at the best shift within the propagation
//!              time: who is faster loses nothing
//! score      = (accuracy + delay + precision) / 3, each mean over the windows cut to 0 .. 1
//! ```
//!
//! A window in which the signal varies and no shift of the response does has no best shift: accuracy and delay are 0, so that a plant
//! that does nothing is not paid for doing it at once. A flat signal is answered equally well at every shift: the earliest counts.
//! Of a signal that is 0 throughout the precision is 1 if the response is so too, and 0 if it is not.
//!
//! The implementation quoted by the pack divides by the mean of the signal, which is near 0 for a signal that is neutral
//! in energy; here it is the mean of its magnitude. Both series are taken per unit of the capacity.

use std::sync::LazyLock;

use chrono_tz::Tz;
use serde::Deserialize;
use toml::Spanned;
use vpp_core::{Invalid, Timestamp};

use super::{Record, Sample};
use crate::rules::{self, Dated, Head, PackId, Refusal, RuleError, refusal};

/// The figures of a performance score.
#[derive(Clone, Debug, PartialEq)]
pub struct PerformanceRules {
    pack: PackId,
    zone: Tz,
    sample_s: Dated<f64>,
    window_s: Dated<f64>,
    flat: Dated<f64>,
    still: Dated<f64>,
    propagation_s: Dated<f64>,
    pass: Dated<f64>,
}

/// A score and its parts, each 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PerformanceScore {
    /// Correlation at the best shift.
    pub accuracy: f64,
    /// How early the best shift is.
    pub delay: f64,
    /// How small the error is.
    pub precision: f64,
    /// Mean of the three.
    pub score: f64,
    /// Whether it passes a test.
    pub passed: bool,
}

impl PerformanceRules {
    /// The pack that comes with this crate.
    ///
    /// # Panics
    /// Never: a test reads it.
    #[must_use]
    pub fn pjm() -> &'static PerformanceRules {
        static PACK: LazyLock<PerformanceRules> = LazyLock::new(|| {
            PerformanceRules::parse(include_str!("../../rules/pjm-performance.toml"))
                .expect("the pack that comes with the crate is sound")
        });
        &PACK
    }

    /// Reads a pack from text.
    ///
    /// # Errors
    /// The first figure that is missing, of the wrong type or impossible, with its line.
    pub fn parse(text: &str) -> Result<PerformanceRules, RuleError> {
        rules::parse(text, RawPack::check)
    }

    /// Which pack it is, for the record of a run.
    #[must_use]
    pub fn pack(&self) -> &PackId {
        &self.pack
    }

    /// Checks that all figures hold at an instant.
    ///
    /// # Errors
    /// The first figure that is not in force then.
    pub fn require_in_force(&self, at: Timestamp) -> Result<(), Invalid> {
        let figures = [
            ("sample_s", &self.sample_s),
            ("window_s", &self.window_s),
            ("flat", &self.flat),
            ("still", &self.still),
            ("propagation_s", &self.propagation_s),
            ("pass", &self.pass),
        ];
        rules::require_all(&figures, at, self.zone)
    }

    /// Scores a record; an hour by the rule, here as long as it is.
    ///
    /// # Errors
    /// A record without one window and the shifts after it.
    pub fn score(&self, record: &Record) -> Result<PerformanceScore, Invalid> {
        let step = self.sample_s.value;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // checked when read
        let in_samples = |seconds: f64| (seconds / step).round() as usize;
        let series = resample(record, step);
        let (window, shifts) = (
            in_samples(self.window_s.value),
            in_samples(self.window_s.value),
        );
        if series.len() < window + shifts {
            let least = 2.0 * self.window_s.value;
            let problem = format!("are shorter than {least} s, a window and the shifts after it");
            return Err(Invalid::new("samples", problem));
        }
        let (mut accuracy, mut delay, mut windows) = (0.0, 0.0, 0.0);
        for start in 0..=series.len() - window - shifts {
            let signal: Vec<f64> = series[start..start + window].iter().map(|s| s.0).collect();
            let (correlation, early) = (0..=shifts)
                .filter(|shift| start + shift + window <= series.len())
                .filter_map(|shift| {
                    let later = &series[start + shift..start + shift + window];
                    let response: Vec<f64> = later.iter().map(|s| s.1).collect();
                    #[allow(clippy::cast_precision_loss)]
                    let early = 1.0 - shift as f64 / shifts as f64;
                    Some((self.likeness(&signal, &response)?, early))
                })
                // The earliest of the best.
                .reduce(|best, tried| match tried.0 + tried.1 > best.0 + best.1 {
                    true => tried,
                    false => best,
                })
                .unwrap_or_default();
            accuracy += correlation;
            delay += early;
            windows += 1.0;
        }
        let allowed = in_samples(self.propagation_s.value);
        let precision = (0..=allowed)
            .map(|late| precision(&series, late))
            .fold(f64::NEG_INFINITY, f64::max);
        let unit = |value: f64| value.clamp(0.0, 1.0);
        let (accuracy, delay) = (unit(accuracy / windows), unit(delay / windows));
        let precision = unit(precision);
        let score = (accuracy + delay + precision) / 3.0;
        Ok(PerformanceScore {
            accuracy,
            delay,
            precision,
            score,
            passed: score >= self.pass.value,
        })
    }

    /// Correlation, or how alike the slopes are where the signal does not vary; none where it does and the response does not.
    fn likeness(&self, signal: &[f64], response: &[f64]) -> Option<f64> {
        let ((a, b), count) = ((mean(signal), mean(response)), len(signal));
        let moment = |x: &[f64], mean_x: f64, y: &[f64], mean_y: f64| {
            let products = x.iter().zip(y).map(|(x, y)| (x - mean_x) * (y - mean_y));
            products.sum::<f64>() / count
        };
        let (of_signal, of_response) = (
            moment(signal, a, signal, a),
            moment(response, b, response, b),
        );
        if of_signal.sqrt() < self.flat.value {
            return Some(1.0 - (slope(signal) - slope(response)).abs());
        }
        if of_response.sqrt() <= self.still.value {
            return None;
        }
        Some(moment(signal, a, response, b) / (of_signal * of_response).sqrt())
    }
}

/// 1 less the mean error, with the response so many samples later.
fn precision(series: &[(f64, f64)], late: usize) -> f64 {
    let pairs = || series.iter().zip(&series[late..]);
    let distance: f64 = pairs()
        .map(|(signal, later)| (later.1 - signal.0).abs())
        .sum();
    let asked: f64 = pairs().map(|(signal, _)| signal.0.abs()).sum();
    if asked > 0.0 {
        1.0 - distance / asked
    } else if distance > 0.0 {
        0.0
    } else {
        1.0
    }
}

#[allow(clippy::cast_precision_loss)] // samples are few
fn len(values: &[f64]) -> f64 {
    values.len() as f64
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / len(values)
}

/// Of the line through the values that fits best, per sample.
#[allow(clippy::cast_precision_loss)]
fn slope(values: &[f64]) -> f64 {
    let middle = 0.5 * (len(values) - 1.0);
    let (mut rise, mut run) = (0.0, 0.0);
    for (index, value) in values.iter().enumerate() {
        let x = index as f64 - middle;
        rise += x * value;
        run += x * x;
    }
    if run > 0.0 { rise / run } else { 0.0 }
}

/// What was asked for and what was got, per unit, every `step` seconds: means over each step, as a meter gives them.
fn resample(record: &Record, step: f64) -> Vec<(f64, f64)> {
    let samples = record.samples();
    let (first, last) = (samples[0].at_s, samples[samples.len() - 1].at_s);
    let mut series = Vec::new();
    let mut next = 0;
    let mut held = samples[0];
    let mut begin = first;
    while begin + step <= last + 1e-9 {
        let end = begin + step;
        let (mut asked, mut got, mut at) = (0.0, 0.0, begin);
        let mut add = |held: &Sample, from: f64, to: f64| {
            asked += held.asked_kw * (to - from);
            got += held.got_kw * (to - from);
        };
        while next < samples.len() && samples[next].at_s < end - 1e-9 {
            add(&held, at, samples[next].at_s.max(at));
            at = samples[next].at_s.max(at);
            held = samples[next];
            next += 1;
        }
        add(&held, at, end);
        let unit = step * record.rated_kw();
        series.push((asked / unit, got / unit));
        begin = end;
    }
    series
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPack {
    pack: Head,
    sample_s: Spanned<Dated<f64>>,
    window_s: Spanned<Dated<f64>>,
    flat: Spanned<Dated<f64>>,
    still: Spanned<Dated<f64>>,
    propagation_s: Spanned<Dated<f64>>,
    pass: Spanned<Dated<f64>>,
}

impl RawPack {
    fn check(self) -> Result<PerformanceRules, Refusal> {
        let (pack, zone) = self.pack.check()?;
        let step = self.sample_s.get_ref().value;
        for (field, figure, least, most) in [
            ("sample_s.value", &self.sample_s, 0.1, 3_600.0),
            ("window_s.value", &self.window_s, 2.0 * step, 1_000.0 * step),
            ("flat.value", &self.flat, 0.0, 1.0),
            ("still.value", &self.still, 0.0, 1.0),
            ("propagation_s.value", &self.propagation_s, 0.0, 60.0 * step),
            ("pass.value", &self.pass, 0.0, 1.0),
        ] {
            let value = figure.get_ref().value;
            if !(least..=most).contains(&value) {
                let problem = format!("{value} is outside {least} to {most}");
                return Err(refusal(figure, field, problem));
            }
        }
        Ok(PerformanceRules {
            pack,
            zone,
            sample_s: self.sample_s.into_inner(),
            window_s: self.window_s.into_inner(),
            flat: self.flat.into_inner(),
            still: self.still.into_inner(),
            propagation_s: self.propagation_s.into_inner(),
            pass: self.pass.into_inner(),
        })
    }
}
