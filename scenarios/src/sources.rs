//! The files of a scenario: the one that is asked for, and those that it includes, laid end to end, so that a place in any of
//! them is one number.

use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::merge;
use crate::parse::{LoadError, MAX_FILE_BYTES};
use crate::problem::{Locator, Problem};

/// How deep files may include each other: a variant of a city's year is three.
pub const MAX_INCLUDE_DEPTH: usize = 8;
/// How many files may make one scenario, each counted as often as it is included.
pub const MAX_FILES: usize = 64;

/// One file.
#[derive(Debug)]
struct Source {
    /// None for a text by itself.
    path: Option<PathBuf>,
    text: String,
    /// Where its lines begin, within the text.
    line_starts: Vec<usize>,
    /// Where its text begins when all are laid end to end.
    base: usize,
    /// What it includes, in order.
    includes: Vec<usize>,
}

/// All files of a scenario; the first is the one that was asked for.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    files: Vec<Source>,
    bytes: u64,
}

/// A place in a file.
pub(crate) struct Place<'a> {
    pub(crate) path: Option<&'a Path>,
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Sources {
    /// A text by itself, which includes nothing.
    pub(crate) fn of_text(text: &str) -> Result<Sources, Vec<Problem>> {
        let mut sources = Sources::default();
        sources.push(None, text.to_owned());
        if let Some((_, span)) = sources.includes_of(0)?.into_iter().next() {
            let message = "a text by itself includes nothing".into();
            let hint = "load it as a file".into();
            return Err(vec![sources.problem(span, "include", message, hint)]);
        }
        Ok(sources)
    }

    /// A file with all that it includes.
    pub(crate) fn load(path: &Path) -> Result<Sources, LoadError> {
        let mut sources = Sources::default();
        let text = sources.read(path)?.map_err(|problem| LoadError::Problems {
            path: path.into(),
            problems: vec![problem],
        })?;
        sources.push(Some(path.into()), text);
        let mut chain = vec![canonical(path)];
        sources.include(0, &mut chain)?;
        Ok(sources)
    }

    /// The files merged: whoever includes wins over what is included, what stands later in a list over what stands before.
    pub(crate) fn merged(&self) -> Result<Spanned<DeTable<'_>>, Vec<Problem>> {
        let (span, table) = self.tree(0)?;
        Ok(Spanned::new(span, table))
    }

    fn tree(&self, file: usize) -> Result<(Range<usize>, DeTable<'_>), Vec<Problem>> {
        let mut top = self.parsed(file)?;
        top.remove("include");
        let mut merged = DeTable::new();
        for &below in &self.files[file].includes {
            merge::over(&mut merged, self.tree(below)?.1);
        }
        merge::over(&mut merged, top);
        let base = self.files[file].base;
        Ok((base..base + self.files[file].text.len(), merged))
    }

    /// Where a number lies.
    pub(crate) fn place(&self, offset: usize) -> Place<'_> {
        let at = self.files.partition_point(|file| file.base <= offset);
        let Some(file) = self.files.get(at.saturating_sub(1)) else {
            return Place {
                path: None,
                line: 1,
                column: 1,
            };
        };
        let within = (offset - file.base).min(file.text.len());
        let line = file.line_starts.partition_point(|start| *start <= within);
        let start = file.line_starts[line - 1];
        let before = &file.text.as_bytes()[start..within];
        Place {
            path: file.path.as_deref(),
            line,
            column: String::from_utf8_lossy(before).chars().count() + 1,
        }
    }

    fn push(&mut self, path: Option<PathBuf>, text: String) -> usize {
        // One more than its length, so that the end of a file is not the start of the next.
        let base = (self.files.last()).map_or(0, |last| last.base + last.text.len() + 1);
        self.bytes += text.len() as u64;
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let line_starts = std::iter::once(0).chain(breaks.map(|(at, _)| at + 1));
        self.files.push(Source {
            path,
            line_starts: line_starts.collect(),
            text,
            base,
            includes: Vec::new(),
        });
        self.files.len() - 1
    }

    /// Reads a file of which nothing is known yet. A byte-order mark is left out.
    fn read(&self, path: &Path) -> Result<Result<String, Problem>, LoadError> {
        let io = |source| LoadError::Io {
            path: path.into(),
            source,
        };
        let left = MAX_FILE_BYTES - self.bytes.min(MAX_FILE_BYTES);
        let file = std::fs::File::open(path).map_err(io)?;
        let mut bytes = Vec::new();
        // One byte more than allowed tells a file that is too large without reading it all.
        file.take(left + 1).read_to_end(&mut bytes).map_err(io)?;
        if bytes.len() as u64 > left {
            return Err(LoadError::TooLarge { path: path.into() });
        }
        Ok(text_of(bytes, Some(path)))
    }

    /// Follows what a file includes. `chain` holds the files on the way to it, itself the last.
    fn include(&mut self, file: usize, chain: &mut Vec<PathBuf>) -> Result<(), LoadError> {
        let asked_for = self.files[0].path.clone().unwrap_or_default();
        let refused = |problems| LoadError::Problems {
            path: asked_for.clone(),
            problems,
        };
        for (name, span) in self.includes_of(file).map_err(refused)? {
            let within = self.files[file].path.as_deref().and_then(Path::parent);
            let path = within.map_or_else(|| PathBuf::from(&name), |folder| folder.join(&name));
            let wrong = |sources: &Sources, message: String| {
                let hint = String::new();
                Err(refused(vec![sources.problem(
                    span.clone(),
                    "include",
                    message,
                    hint,
                )]))
            };
            let real = canonical(&path);
            if chain.contains(&real) {
                return wrong(
                    self,
                    format!("{} includes itself in the end", path.display()),
                );
            }
            if chain.len() > MAX_INCLUDE_DEPTH {
                return wrong(self, format!("more than {MAX_INCLUDE_DEPTH} files deep"));
            }
            if self.files.len() >= MAX_FILES {
                return wrong(self, format!("more than {MAX_FILES} files in all"));
            }
            let text = match self.read(&path) {
                Ok(text) => text.map_err(|problem| refused(vec![problem]))?,
                Err(LoadError::TooLarge { .. }) => {
                    let message = format!("more than {MAX_FILE_BYTES} bytes with {name}");
                    return wrong(self, message);
                }
                Err(error) => return wrong(self, error.to_string()),
            };
            let below = self.push(Some(path), text);
            self.files[file].includes.push(below);
            chain.push(real);
            self.include(below, chain)?;
            chain.pop();
        }
        Ok(())
    }

    /// The names that a file includes, with their places.
    fn includes_of(&self, file: usize) -> Result<Vec<(String, Range<usize>)>, Vec<Problem>> {
        // Most include nothing, and a large one is not read twice.
        if !self.files[file].text.contains("include") {
            return Ok(Vec::new());
        }
        let table = self.parsed(file)?;
        let Some(include) = table.get("include") else {
            return Ok(Vec::new());
        };
        let name = |value: &Spanned<DeValue<'_>>| match value.get_ref() {
            DeValue::String(name) => Ok((name.to_string(), value.span())),
            other => {
                let message = format!("{} where a file's name is meant", other.type_str());
                let hint = "include = \"base.toml\"".into();
                Err(vec![self.problem(value.span(), "include", message, hint)])
            }
        };
        match include.get_ref() {
            DeValue::Array(names) => names.iter().map(name).collect(),
            _ => Ok(vec![name(include)?]),
        }
    }

    fn parsed(&self, file: usize) -> Result<DeTable<'_>, Vec<Problem>> {
        let Source { text, base, .. } = &self.files[file];
        let mut root = DeTable::parse(text).map_err(|error| {
            let span = error
                .span()
                .map_or(0..0, |span| span.start + base..span.end + base);
            let message = error.message().trim().replace('\n', "; ");
            vec![self.problem(span, "", message, String::new())]
        })?;
        merge::shift(root.get_mut(), *base);
        Ok(root.into_inner())
    }

    fn problem(&self, span: Range<usize>, path: &str, message: String, hint: String) -> Problem {
        Locator::new(self, None).problem(span.start, path.into(), message, hint)
    }
}

/// The text of a file's bytes, or the first place where they are none.
pub(crate) fn text_of(bytes: Vec<u8>, path: Option<&Path>) -> Result<String, Problem> {
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let byte = error.as_bytes()[valid];
        let before = String::from_utf8_lossy(&error.as_bytes()[..valid]).into_owned();
        let mut sources = Sources::default();
        sources.push(path.map(Path::to_owned), before);
        let message = format!("byte 0x{byte:02x} is not UTF-8");
        sources.problem(valid..valid, "", message, "save the file as UTF-8".into())
    })?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(text) => text.to_owned(),
        None => text,
    })
}

/// By which a file is known however it is written; where it is not there, as written.
fn canonical(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.into())
}
