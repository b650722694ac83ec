//! Scenarios to begin with.

/// A scenario to begin with: commented, sound, and small enough to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Template {
    /// Its name.
    pub name: &'static str,
    text: &'static str,
}

/// All of them.
pub const TEMPLATES: [Template; 4] = [
    Template {
        name: "city",
        text: include_str!("../templates/city.toml"),
    },
    Template {
        name: "community",
        text: include_str!("../templates/community.toml"),
    },
    Template {
        name: "swap",
        text: include_str!("../templates/swap.toml"),
    },
    Template {
        name: "minimal",
        text: include_str!("../templates/minimal.toml"),
    },
];

impl Template {
    /// The template of a name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static Template> {
        TEMPLATES.iter().find(|template| template.name == name)
    }

    /// Its text as a scenario of that name. Where it lies, there is no schema of the project beside it.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        let (_, text) = self.text.split_once('\n').unwrap_or_default();
        text.replace("NAME", name)
    }
}
