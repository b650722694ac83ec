//! Checks of the warranties, and of whom they are said to hold for.

use super::Findings;
use crate::format::Scenario;

/// The longest name of a model: vehicles are named after it, their arrival, their pile and their station.
const LONGEST_MODEL: usize = 16;

impl Scenario {
    pub(super) fn check_warranties(&self, findings: &mut Findings) {
        if let Some(warranty) = &self.warranty
            && let Err(invalid) = warranty.check()
        {
            findings.add(format!("warranty.{}", invalid.field), invalid.problem);
        }
        for (model, warranty) in &self.warranties {
            let path = format!("warranties.{model}");
            if !is_model(model) {
                let hint = "a letter, then up to 15 letters, digits, '-', '_'";
                findings.add_hint(path.as_str(), format!("{model:?} is no name"), hint);
            }
            if let Err(invalid) = warranty.check() {
                findings.add(format!("{path}.{}", invalid.field), invalid.problem);
            }
        }
        for (name, profile) in &self.sessions {
            let path = format!("sessions.{name}.models");
            for (model, share) in &profile.models {
                let path = format!("{path}.{model}");
                self.check_model(findings, &path, model);
                findings.within(path, *share, 0.0, 1.0);
            }
            let sum: f64 = profile.models.values().sum();
            if sum > 1.0 + 1e-3 {
                findings.add(path, format!("the shares add up to {sum:.4}, above 1"));
            }
        }
        for (name, swaps) in &self.swaps {
            if let Some(model) = &swaps.model {
                self.check_model(findings, &format!("swaps.{name}.model"), model);
            }
        }
    }

    fn check_model(&self, findings: &mut Findings, path: &str, model: &str) {
        if !self.warranties.contains_key(model) {
            let known = self.warranties.keys().map(String::as_str);
            findings.known(path, "warranty", model, known);
        }
    }
}

fn is_model(name: &str) -> bool {
    let sign = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    name.len() <= LONGEST_MODEL
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(sign)
}
