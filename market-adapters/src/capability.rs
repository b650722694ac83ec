//! Tests of what a plant can do: steps up and down, and what the meter showed.
//!
//! The quantities are those of GB/T 44260-2024; how they are read off a trace is stated here, because the text of the
//! national procedure is not open:
//!
//! ```text
//! step           = target − regulation before the step (mean of the rest)
//! response time  = first instant at which the plant has moved by threshold · step, since the order
//! ramp           = 0.8 · step / (time from 10 % to 90 % of it); none if it never gets to 90 %
//! settled        = first instant from which it stays within target ± band · |target| for settle_s
//! deviation      = mean of (got − target) / target from when it settled; over the last settle_s if it never did
//! sustain        = from when it settled until it leaves the band, or the step ends
//! kept           = mean of got over the last settle_s
//! ```
//!
//! Of repeated steps the worst counts, each quantity by itself.

mod rules;

use vpp_core::Invalid;

use crate::regulation::Sample;
pub use rules::{CapabilityRules, Purpose};

/// One step, as it went. Regulation in kW, positive: draw less.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Which repetition, from 1.
    pub repetition: u32,
    /// Share of the capacity; negative: draw more.
    pub share: f64,
    /// What was asked for, kW.
    pub target_kw: f64,
    /// When, seconds; samples before it show the rest.
    pub ordered_at_s: f64,
    /// The rest before, and the step.
    pub samples: Vec<Sample>,
}

/// What a step showed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepResult {
    /// Which repetition, from 1; of a worst of several, the first.
    pub repetition: u32,
    /// Share of the capacity; negative: draw more.
    pub share: f64,
    /// What was asked for, kW.
    pub target_kw: f64,
    /// From the order to the first movement, s; none: it never moved.
    pub response_s: Option<f64>,
    /// Between 10 % and 90 % of the step, kW a minute; none: it never got there.
    pub ramp_kw_per_min: Option<f64>,
    /// From the order until it settled, s; none: it never did.
    pub settled_s: Option<f64>,
    /// Mean of (got − target) / target.
    pub deviation: f64,
    /// For how long it stayed within the band, s; 0: it never settled.
    pub sustain_s: f64,
    /// Whether it left the band before the step ended.
    pub left: bool,
    /// Mean at the end, as a magnitude in the direction asked, kW.
    pub kept_kw: f64,
}

/// What a test showed of the whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Capability {
    /// What was tested: up and down, kW.
    pub asked_kw: [f64; 2],
    /// What was kept at the largest step, the worst of all repetitions: up and down, kW; no more than asked.
    pub kept_kw: [f64; 2],
    /// The worst of each share, in the order of the steps.
    pub worst: Vec<StepResult>,
    /// The slowest ramp of the largest steps over what can be adjusted, 1/min; none: it never got there.
    pub ramp_per_min: Option<f64>,
    /// The shortest sustain of the largest steps, s.
    pub sustain_s: f64,
}

impl Capability {
    /// Output at most less output at least, kW.
    #[must_use]
    pub fn adjustable_kw(&self) -> f64 {
        self.kept_kw.iter().sum()
    }

    /// Which share of what was asked for was kept, in the worse direction: 0 to 1.
    #[must_use]
    pub fn kept_share(&self) -> f64 {
        let shares = self.kept_kw.iter().zip(self.asked_kw);
        let asked = shares.filter(|(_, asked)| *asked > 0.0);
        asked
            .map(|(kept, asked)| kept / asked)
            .fold(1.0, f64::min)
            .clamp(0.0, 1.0)
    }
}

impl CapabilityRules {
    /// Reads a step.
    ///
    /// # Errors
    /// A target of zero; a number that is not finite; time that does not grow; no sample of the rest or of the step.
    pub fn measure(&self, step: &Step, purpose: Purpose) -> Result<StepResult, Invalid> {
        check(step)?;
        let (rest, moved): (Vec<Sample>, Vec<Sample>) =
            (step.samples.iter()).partition(|sample| sample.at_s < step.ordered_at_s);
        let before = mean(&rest).ok_or_else(|| {
            Invalid::new(
                "samples",
                "none before the order: what was moved is unknown",
            )
        })?;
        let end = moved
            .last()
            .ok_or_else(|| Invalid::new("samples", "none after the order"))?
            .at_s;
        let height = step.target_kw - before;
        if height.abs() < 1e-9 {
            let problem = "is where the plant was before: nothing was to move";
            return Err(Invalid::new("target_kw", problem));
        }
        let way = |sample: &Sample| (sample.got_kw - before) / height;
        let first = |share: f64| moved.iter().find(|s| way(s) >= share).map(|s| s.at_s);
        let ramp = |from: f64, to: f64| {
            // Two samples may be all there is: a ramp is no faster than the meter reads.
            let time = (to - from).max(self.sample_time(&moved));
            0.8 * height.abs() / time * 60.0
        };
        let within = |sample: &Sample| {
            (sample.got_kw - step.target_kw).abs() <= self.band(purpose) * step.target_kw.abs()
        };
        let settled = moved.iter().position(|begin| {
            begin.at_s + self.settle_s() <= end
                && moved
                    .iter()
                    .filter(|s| s.at_s >= begin.at_s && s.at_s <= begin.at_s + self.settle_s())
                    .all(within)
        });
        let stayed = settled.map(|from| {
            let left = moved[from..].iter().find(|sample| !within(sample));
            let until = left.map_or(end, |sample| sample.at_s);
            (moved[from].at_s, until, left.is_some())
        });
        let last: Vec<Sample> = (moved.iter().copied())
            .filter(|sample| sample.at_s > end - self.settle_s())
            .collect();
        let judged = settled.map_or(last.as_slice(), |from| &moved[from..]);
        let relative =
            |samples: &[Sample]| mean(samples).map_or(-1.0, |got| got / step.target_kw - 1.0);
        Ok(StepResult {
            repetition: step.repetition,
            share: step.share,
            target_kw: step.target_kw,
            response_s: first(self.threshold()).map(|at| at - step.ordered_at_s),
            ramp_kw_per_min: first(0.1).zip(first(0.9)).map(|(from, to)| ramp(from, to)),
            settled_s: stayed.map(|(at, ..)| at - step.ordered_at_s),
            deviation: relative(judged),
            sustain_s: stayed.map_or(0.0, |(from, until, _)| until - from),
            left: stayed.is_some_and(|(.., left)| left),
            kept_kw: mean(&last).unwrap_or(0.0) * step.target_kw.signum(),
        })
    }

    fn sample_time(&self, samples: &[Sample]) -> f64 {
        let gaps = samples.windows(2).map(|pair| pair[1].at_s - pair[0].at_s);
        gaps.fold(f64::INFINITY, f64::min).min(self.settle_s())
    }

    /// What all steps of a test show together.
    ///
    /// # Errors
    /// No step at all.
    pub fn conclude(&self, results: &[StepResult]) -> Result<Capability, Invalid> {
        let mut worst: Vec<StepResult> = Vec::new();
        for result in results {
            match worst.iter_mut().find(|one| same(one.share, result.share)) {
                Some(one) => one.worsen(result),
                None => worst.push(*result),
            }
        }
        if worst.is_empty() {
            return Err(Invalid::new("steps", "there are none"));
        }
        let largest = |up: bool| {
            let of = |result: &&StepResult| (result.share > 0.0) == up;
            let by = |a: &&StepResult, b: &&StepResult| a.share.abs().total_cmp(&b.share.abs());
            worst.iter().filter(of).max_by(by).copied()
        };
        let ends = [largest(true), largest(false)];
        let asked_kw = ends.map(|end| end.map_or(0.0, |end| end.target_kw.abs()));
        let kept =
            |end: Option<StepResult>| end.map_or(0.0, |e| e.kept_kw.clamp(0.0, e.target_kw.abs()));
        let kept_kw = ends.map(kept);
        let adjustable: f64 = kept_kw.iter().sum();
        let tested = || ends.iter().flatten();
        let ramps: Option<Vec<f64>> = tested().map(|end| end.ramp_kw_per_min).collect();
        let ramp = ramps.map(|ramps| ramps.into_iter().fold(f64::INFINITY, f64::min));
        let sustain = tested().map(|end| end.sustain_s);
        Ok(Capability {
            asked_kw,
            kept_kw,
            ramp_per_min: ramp.filter(|_| adjustable > 0.0).map(|r| r / adjustable),
            sustain_s: sustain.fold(f64::INFINITY, f64::min),
            worst,
        })
    }
}

impl StepResult {
    /// Takes over whatever is worse in another try of the same step.
    fn worsen(&mut self, other: &StepResult) {
        // Never is worse than late.
        let later = |a: Option<f64>, b: Option<f64>| a.zip(b).map(|(a, b)| a.max(b));
        let slower = |a: Option<f64>, b: Option<f64>| a.zip(b).map(|(a, b)| a.min(b));
        self.response_s = later(self.response_s, other.response_s);
        self.ramp_kw_per_min = slower(self.ramp_kw_per_min, other.ramp_kw_per_min);
        self.settled_s = later(self.settled_s, other.settled_s);
        if other.deviation.abs() > self.deviation.abs() {
            self.deviation = other.deviation;
        }
        self.sustain_s = self.sustain_s.min(other.sustain_s);
        self.left |= other.left;
        self.kept_kw = self.kept_kw.min(other.kept_kw);
    }
}

fn same(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

#[allow(clippy::cast_precision_loss)] // samples are few
fn mean(samples: &[Sample]) -> Option<f64> {
    let sum: f64 = samples.iter().map(|sample| sample.got_kw).sum();
    (!samples.is_empty()).then(|| sum / samples.len() as f64)
}

fn check(step: &Step) -> Result<(), Invalid> {
    let figures = [
        ("target_kw", step.target_kw),
        ("share", step.share),
        ("ordered_at_s", step.ordered_at_s),
    ];
    for (field, value) in figures {
        if !value.is_finite() {
            return Err(Invalid::new(
                field,
                format!("{value} is not a finite number"),
            ));
        }
    }
    if step.target_kw == 0.0 {
        return Err(Invalid::new("target_kw", "is zero: there is no step"));
    }
    for (position, sample) in step.samples.iter().enumerate() {
        if !(sample.at_s.is_finite() && sample.got_kw.is_finite()) {
            let problem = "is not a finite number";
            return Err(Invalid::new(format!("samples[{position}]"), problem));
        }
        if position > 0 && sample.at_s <= step.samples[position - 1].at_s {
            let problem = format!("{} s does not come after the sample before", sample.at_s);
            return Err(Invalid::new(format!("samples[{position}].at_s"), problem));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
