//! What runs that differ only in their seed say together: mean, its confidence interval, and how far single runs lie apart.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Outcome;

/// Two-sided 95 % quantiles of Student's t for 1 to 30 degrees of freedom; beyond, the normal's 1.96 is within 2 %.
/// Source: any table of the distribution, such as NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2.
const T_95: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
    2.052, 2.048, 2.045, 2.042,
];

/// A figure over the runs that have it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// How many runs.
    pub runs: usize,
    /// Mean.
    pub mean: f64,
    /// Half of the width of the mean's 95 % confidence interval (Student's t); none of a single run.
    pub half_width: Option<f64>,
    /// Value below which a tenth of the runs lie, linear between them.
    pub low: f64,
    /// Value below which nine tenths lie.
    pub high: f64,
}

impl Spread {
    /// Of at least one value; none of none.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // counts of runs
    pub fn of(mut values: Vec<f64>) -> Option<Spread> {
        if values.is_empty() {
            return None;
        }
        values.sort_by(f64::total_cmp);
        let runs = values.len();
        let count = runs as f64;
        let mean = values.iter().sum::<f64>() / count;
        let half_width = (runs > 1).then(|| {
            let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
            let t = T_95.get(runs - 2).copied().unwrap_or(1.96);
            t * (squares / (count - 1.0) / count).sqrt()
        });
        Some(Spread {
            runs,
            mean,
            half_width,
            low: quantile(&values, 0.1),
            high: quantile(&values, 0.9),
        })
    }
}

/// Of sorted values, at least one.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)] // counts of runs
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let below = place as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + place.fract() * (sorted[above] - sorted[below])
}

/// Runs with the same parameters.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    /// The value of each parameter.
    pub values: Vec<String>,
    /// How many runs.
    pub runs: usize,
    /// Each figure that any of them has.
    pub figures: BTreeMap<String, Spread>,
    /// Power of all stations in each quarter of the local day, kW.
    pub day_kw: Vec<Option<Spread>>,
}

/// Runs by their parameters, in the order of their numbers.
#[must_use]
pub fn groups(outcomes: &[Outcome]) -> Vec<Group> {
    let mut sorted: Vec<&Outcome> = outcomes.iter().collect();
    sorted.sort_by_key(|outcome| outcome.number);
    let mut groups: Vec<(&[String], Vec<&Outcome>)> = Vec::new();
    for outcome in sorted {
        match groups
            .iter_mut()
            .find(|(values, _)| *values == outcome.values)
        {
            Some((_, members)) => members.push(outcome),
            None => groups.push((&outcome.values, vec![outcome])),
        }
    }
    groups
        .into_iter()
        .map(|(_, members)| group(&members))
        .collect()
}

fn group(members: &[&Outcome]) -> Group {
    let mut figures: BTreeMap<&String, Vec<f64>> = BTreeMap::new();
    for outcome in members {
        for (name, value) in &outcome.figures {
            figures.entry(name).or_default().push(*value);
        }
    }
    let quarters = members
        .iter()
        .map(|outcome| outcome.day_kw.len())
        .max()
        .unwrap_or(0);
    let at = |quarter: usize| {
        let known = members
            .iter()
            .filter_map(|outcome| *outcome.day_kw.get(quarter)?);
        Spread::of(known.collect())
    };
    Group {
        values: members
            .first()
            .map(|outcome| outcome.values.clone())
            .unwrap_or_default(),
        runs: members.len(),
        figures: figures
            .into_iter()
            .filter_map(|(name, values)| Some((name.clone(), Spread::of(values)?)))
            .collect(),
        day_kw: (0..quarters).map(at).collect(),
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // exact by construction
mod tests {
    use super::*;

    /// By hand: 1, 2, 3, 4 have mean 2.5, variance 5/3, standard error 0.6455, and t for three degrees 3.182.
    #[test]
    fn the_confidence_interval_is_students() {
        let spread = Spread::of(vec![4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!((spread.runs, spread.mean), (4, 2.5));
        assert!((spread.half_width.unwrap() - 3.182 * (5.0_f64 / 12.0).sqrt()).abs() < 1e-12);
        assert!((spread.low - 1.3).abs() < 1e-12 && (spread.high - 3.7).abs() < 1e-12);
        let single = Spread::of(vec![7.0]).unwrap();
        assert_eq!(
            (single.half_width, single.low, single.high),
            (None, 7.0, 7.0)
        );
        assert_eq!(Spread::of(Vec::new()), None);
        let many = Spread::of((0..100).map(f64::from).collect()).unwrap();
        assert!((many.half_width.unwrap() - 1.96 * 29.011_491_975_882_016 / 10.0).abs() < 1e-9);
    }

    #[test]
    fn runs_with_the_same_parameters_belong_together_in_the_order_of_their_numbers() {
        let outcome = |number: usize, value: &str, kwh: Option<f64>| Outcome {
            sweep: String::new(),
            number,
            values: vec![value.into()],
            seed: 1,
            figures: kwh.map(|kwh| ("kwh".to_owned(), kwh)).into_iter().collect(),
            day_kw: vec![kwh, None],
        };
        let all = [
            outcome(2, "b", Some(4.0)),
            outcome(1, "a", None),
            outcome(0, "a", Some(1.0)),
            outcome(3, "b", Some(6.0)),
        ];
        let groups = groups(&all);
        let named: Vec<(&str, usize)> = groups
            .iter()
            .map(|g| (g.values[0].as_str(), g.runs))
            .collect();
        assert_eq!(named, [("a", 2), ("b", 2)]);
        assert_eq!(groups[0].figures["kwh"].runs, 1);
        assert_eq!(groups[1].figures["kwh"].mean, 5.0);
        assert_eq!(groups[1].day_kw[0].unwrap().mean, 5.0);
        assert_eq!(groups[1].day_kw[1], None);
    }
}
