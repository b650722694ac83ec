//! Files as they are written: whole, or not at all.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::Error;

/// Writes a file where no reader sees it half written, and none of what was there is lost when the disk is full.
///
/// # Errors
/// What the system says; what was there is there still.
pub fn write(path: &Path, text: impl AsRef<[u8]>) -> Result<(), Error> {
    write_by(path, |part| {
        std::fs::write(part, text).map_err(Error::io(path))
    })
}

/// The same, written by `write` under another name first.
///
/// # Errors
/// What `write` or the system says; what was there is there still.
pub fn write_by<E: From<Error>>(
    path: &Path,
    write: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    // A pipe or a terminal takes what comes; a link stays one.
    if std::fs::metadata(path).is_ok_and(|about| !about.is_file()) {
        return write(path);
    }
    let target = std::fs::canonicalize(path);
    let path = target.as_deref().unwrap_or(path);
    let part = part(path);
    let written =
        write(&part).and_then(|()| Ok(std::fs::rename(&part, path).map_err(Error::io(path))?));
    if written.is_err() {
        // Whatever is there of it is of no use; that it cannot be removed says no more than the first error.
        let _ = std::fs::remove_file(&part);
    }
    written
}

/// The name of a piece of a file, by its number.
pub(crate) fn piece(path: &Path, number: usize) -> PathBuf {
    let mut name = part(path).into_os_string();
    name.push(format!("-{number}"));
    name.into()
}

/// Whether something is a piece of a file, by its name.
pub(crate) fn is_piece<'a>(path: &'a Path, of: &'a Path) -> bool {
    // Of the folders that they are in nothing is known, not even that they are text.
    let name = |path: &'a Path| path.file_name()?.to_str();
    let rest = name(path)
        .zip(name(of))
        .and_then(|(name, whole)| name.strip_prefix(whole));
    let number = rest.and_then(|rest| rest.strip_prefix(".part-"));
    number.is_some_and(|number| number.parse::<usize>().is_ok())
}

/// The name of a file until it is whole.
pub(crate) fn part(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".part");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_there_stays_when_writing_fails() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.csv");
        write(&path, "old").expect("written");
        let failed = write_by(&path, |part| {
            std::fs::write(part, "ha").expect("written");
            Err(Error::io(&path)(std::io::Error::other("the disk is full")))
        });
        let message = failed.expect_err("failed").to_string();
        assert!(message.ends_with("a.csv: the disk is full"), "{message}");
        assert_eq!(std::fs::read_to_string(&path).expect("there"), "old");
        write(&path, "new").expect("written");
        assert_eq!(std::fs::read_to_string(&path).expect("there"), "new");
        std::os::unix::fs::symlink(&path, folder.path().join("link.csv")).expect("a link");
        write(&folder.path().join("link.csv"), "through").expect("written");
        assert_eq!(std::fs::read_to_string(&path).expect("there"), "through");
        std::fs::remove_file(folder.path().join("link.csv")).expect("the link is one");
        write(Path::new("/dev/null"), "nothing").expect("written");
        assert_eq!(
            std::fs::read_dir(folder.path()).expect("a folder").count(),
            1
        );
    }
}
