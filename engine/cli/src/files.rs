//! Files that are there already: a command writes over them only when it is told to.

use std::path::Path;

use anyhow::bail;

/// Refuses to write over a file. Asked before any work is done, so that nothing has changed then.
pub(crate) fn may_write(
    paths: impl IntoIterator<Item = impl AsRef<Path>>,
    force: bool,
) -> anyhow::Result<()> {
    for path in paths {
        let path = path.as_ref();
        // A pipe or a terminal takes what comes.
        if !force && path.metadata().is_ok_and(|about| about.is_file()) {
            bail!("{} is there already; --force overwrites it", path.display());
        }
    }
    Ok(())
}
