//! What can be wrong with a run's folder.

use std::path::{Path, PathBuf};

/// What is wrong, with the file's path.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be opened, written or renamed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is not Parquet, or not all of it is there.
    #[error("{}: not a whole Parquet file: {source}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What the reader says.
        source: parquet::errors::ParquetError,
    },
    /// A Parquet file, but not this table of a run.
    #[error("{}: not the table `{table}` of a run: {what}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The table that was looked for.
        table: &'static str,
        /// What is there instead.
        what: String,
    },
    /// Written by another version.
    #[error(
        "{}: written in format {found}, this program reads format {}: make the run anew", path.display(), crate::FORMAT
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: String,
    },
    /// The file is JSON of another shape, or none.
    #[error("{}: line {}, column {}: {source}", path.display(), source.line(), source.column())]
    Json {
        /// The file.
        path: PathBuf,
        /// What the reader says.
        source: serde_json::Error,
    },
    /// A row holds what is not a number.
    #[error("table `{table}`, column `{column}`: {value} is no finite number")]
    NotFinite {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// What was pushed.
        value: f64,
    },
}

impl Error {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Error + use<> {
        let path = path.to_owned();
        move |source| Error::Io { path, source }
    }

    pub(crate) fn parquet(
        path: &Path,
    ) -> impl FnOnce(parquet::errors::ParquetError) -> Error + use<> {
        let path = path.to_owned();
        move |source| Error::Parquet { path, source }
    }
}
