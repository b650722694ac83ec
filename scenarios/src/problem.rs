//! What is wrong with a scenario file, and where: the line, the key, the bound, and where possible what was meant.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::sources::Sources;

/// One thing that is wrong with a scenario file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// In which file; none in a text by itself.
    pub file: Option<PathBuf>,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The key, such as `fleet.stations[3].node`; empty for the file as a whole.
    pub path: String,
    /// What is wrong: the value and the bound, lower case.
    pub message: String,
    /// What was probably meant, or what to do; may be empty.
    pub hint: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}: ", file.display())?;
        }
        write!(f, "line {}, column {}: ", self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        if !self.hint.is_empty() {
            write!(f, " ({})", self.hint)?;
        }
        Ok(())
    }
}

/// Finds the place of a key in the files, and the key at a place.
pub(crate) struct Locator<'a> {
    sources: &'a Sources,
    root: Option<DeTable<'a>>,
}

impl<'a> Locator<'a> {
    pub(crate) fn new(sources: &'a Sources, root: Option<DeTable<'a>>) -> Locator<'a> {
        Locator { sources, root }
    }

    /// A problem with the key at `path`; where the key is missing, its table's place is given.
    pub(crate) fn at_path(&self, path: &str, message: String, hint: String) -> Problem {
        let offset = self.span_of(path).map_or(0, |span| span.start);
        self.problem(offset, path.into(), message, hint)
    }

    /// A problem at a place in the files.
    pub(crate) fn at_offset(&self, offset: usize, message: String, hint: String) -> Problem {
        let path = self.path_at(offset);
        self.problem(offset, path, message, hint)
    }

    /// A problem at a place, with the key at `path`.
    pub(crate) fn problem(
        &self,
        offset: usize,
        path: String,
        message: String,
        hint: String,
    ) -> Problem {
        let place = self.sources.place(offset);
        Problem {
            file: place.path.map(Into::into),
            line: place.line,
            column: place.column,
            path,
            message,
            hint,
        }
    }

    fn span_of(&self, path: &str) -> Option<Range<usize>> {
        let table = self.root.as_ref()?;
        let mut steps = path.split(['.', '[']).filter(|step| !step.is_empty());
        let mut at = table.get(steps.next()?)?;
        for step in steps {
            let below = match step.strip_suffix(']') {
                Some(position) => position
                    .parse::<usize>()
                    .ok()
                    .and_then(|i| at.get_ref().get(i)),
                None => at.get_ref().get(step),
            };
            let Some(below) = below else { break };
            at = below;
        }
        Some(at.span())
    }

    /// The path of the innermost value around `offset`.
    fn path_at(&self, offset: usize) -> String {
        let mut path = String::new();
        let Some(root) = &self.root else { return path };
        let mut table = Some(root);
        let mut array = None;
        loop {
            let inner = match (table.take(), array.take()) {
                (Some(table), _) => table.iter().find_map(|(key, value)| {
                    let dot = if path.is_empty() { "" } else { "." };
                    let step = format!("{dot}{}", key.get_ref());
                    (covers(value, offset) || key.span().contains(&offset)).then_some((step, value))
                }),
                (None, Some(values)) => {
                    let values: &toml::de::DeArray<'_> = values;
                    values.iter().enumerate().find_map(|(position, value)| {
                        covers(value, offset).then(|| (format!("[{position}]"), value))
                    })
                }
                (None, None) => None,
            };
            let Some((step, value)) = inner else {
                return path;
            };
            path.push_str(&step);
            match value.get_ref() {
                DeValue::Table(below) => table = Some(below),
                DeValue::Array(below) => array = Some(below),
                _ => return path,
            }
        }
    }
}

/// Whether a value or one below it lies around `offset`: a table under a header spans only its header.
fn covers(value: &Spanned<DeValue<'_>>, offset: usize) -> bool {
    if value.span().contains(&offset) {
        return true;
    }
    match value.get_ref() {
        DeValue::Table(table) => table
            .iter()
            .any(|(key, below)| key.span().contains(&offset) || covers(below, offset)),
        DeValue::Array(array) => array.iter().any(|below| covers(below, offset)),
        _ => false,
    }
}

/// `did you mean …`, when one of the candidates is near enough to be a slip.
pub(crate) fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> String {
    let near = candidates
        .into_iter()
        .map(|candidate| (edit_distance(word, candidate), candidate))
        .min();
    let slip = (word.chars().count() / 3).max(1);
    match near {
        Some((distance, candidate)) if distance <= slip => format!("did you mean `{candidate}`?"),
        _ => String::new(),
    }
}

/// Levenshtein's distance.
fn edit_distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, from) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_recognised_and_a_stranger_is_not() {
        let keys = ["import_limit_kw", "export_limit_kw", "base_load_kw"];
        assert_eq!(
            did_you_mean("imprt_limit_kw", keys),
            "did you mean `import_limit_kw`?"
        );
        assert_eq!(did_you_mean("colour", keys), "");
        assert_eq!(edit_distance("kitten", "sitting"), 3);
        assert_eq!(edit_distance("", "abc"), 3);
    }

    #[test]
    fn keys_and_places_find_each_other() {
        let text = "a = 1\n[t]\nb = [\n  { c = 2 },\n  { c = 3 },\n]\n[[n]]\nx = 1\n[[n]]\nx = 2\n";
        let sources = Sources::of_text(text).unwrap();
        let root = sources.merged().unwrap().into_inner();
        let locator = Locator::new(&sources, Some(root));
        for (path, line, column) in [("t.b[1].c", 5, 9), ("n[1].x", 10, 5), ("n[1].none", 9, 1)] {
            let problem = locator.at_path(path, String::new(), String::new());
            assert_eq!((problem.line, problem.column), (line, column), "{path}");
        }
        for path in ["t.b[1].c", "n[1].x", "a"] {
            let offset = locator.span_of(path).unwrap().start;
            assert_eq!(locator.path_at(offset), path);
        }
    }
}
