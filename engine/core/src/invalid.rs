//! The one way in which a value can be refused: the field and what is wrong with it.

/// A value that breaks a rule. `field` is the path of the field in the terms of the wire (`station.import_limit_kw`),
/// so that whoever sent it finds it; `problem` says the value and the bound, lower case, no full stop.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct Invalid {
    /// Path of the offending field, as the wire names it.
    pub field: String,
    /// What is wrong, with the value and the bound that it breaks.
    pub problem: String,
}

impl Invalid {
    /// A refusal of `field`, because of `problem`.
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Invalid {
        Invalid {
            field: field.into(),
            problem: problem.into(),
        }
    }

    /// The same refusal seen from the message that contains the field: `limit` inside `node` becomes `node.limit`.
    #[must_use]
    pub fn within(mut self, parent: &str) -> Invalid {
        self.field = if self.field.is_empty() {
            parent.into()
        } else {
            format!("{parent}.{}", self.field)
        };
        self
    }
}
