//! The one way in which a value can be refused: the field and what is wrong with it.

/// What sort of refusal it is; the wire's status codes follow from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidKind {
    /// The value itself cannot be.
    Value,
    /// It names something that is not there.
    Unknown,
    /// It names something that is there already.
    Taken,
    /// The value could be, the present state forbids it.
    State,
}

/// A value that breaks a rule. `field` is the path of the field in the terms of the wire (`station.import_limit_kw`),
/// so that whoever sent it finds it; `problem` says the value and the bound, lower case, no full stop.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct Invalid {
    /// What sort of refusal it is.
    pub kind: InvalidKind,
    /// Path of the offending field, as the wire names it.
    pub field: String,
    /// What is wrong, with the value and the bound that it breaks.
    pub problem: String,
}

impl Invalid {
    /// A value that cannot be.
    pub fn new(field: impl Into<String>, problem: impl Into<String>) -> Invalid {
        Invalid {
            kind: InvalidKind::Value,
            field: field.into(),
            problem: problem.into(),
        }
    }

    /// A name of something that is not there.
    pub fn unknown(field: impl Into<String>, name: impl std::fmt::Display) -> Invalid {
        let problem = format!("{name} is unknown");
        Invalid {
            kind: InvalidKind::Unknown,
            field: field.into(),
            problem,
        }
    }

    /// A name of something that is there already.
    pub fn taken(field: impl Into<String>, name: impl std::fmt::Display) -> Invalid {
        let problem = format!("{name} is registered already");
        Invalid {
            kind: InvalidKind::Taken,
            field: field.into(),
            problem,
        }
    }

    /// Something that the present state forbids.
    pub fn state(field: impl Into<String>, problem: impl Into<String>) -> Invalid {
        Invalid {
            kind: InvalidKind::State,
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
