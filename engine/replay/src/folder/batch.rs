//! Several scenarios replayed into one folder, each into a folder of its name: who was whole when the program was killed is not run
//! again.
//!
//! While they are not all whole, the folder holds a list: a line that names the scenarios together, and one for each that is
//! whole, with what came of it. A scenario is listed before its own marker goes, so that at no instant its results stand there
//! as somebody else's.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use vpp_results::{SUMMARY_FILE, Summary};
use vpp_scenarios::Scenario;

use super::{FolderError, MARKER_FILE, Options, claim, digest, hex, io, may_claim, replay_and};
use crate::run::Run;

/// Its file in the folder of scenarios that are not all whole.
pub const BATCH_FILE: &str = "replays.unfinished";

/// Scenarios that are replayed one after the other.
#[derive(Debug)]
pub struct Batch {
    folder: PathBuf,
    options: Vec<Options>,
    /// One for each scenario, in their order.
    digests: Vec<String>,
    /// Of all of them.
    digest: String,
    /// For each that is whole the digest of its summary, by its own.
    done: BTreeMap<String, String>,
    /// The list, once there is one; it is ours as long as it is open.
    list: Option<File>,
    /// Whether its first line is ours already.
    begun: bool,
    /// Whether its last line is half of one.
    torn: bool,
}

impl Batch {
    /// Scenarios, each with how it is replayed, in a folder: as it is, or as a program that was killed left it. Nothing is written.
    ///
    /// # Errors
    /// When the folder holds other scenarios that are not all whole, somebody else is at it, or the folder of one of ours holds
    /// something else; before the first of them begins.
    pub fn open(
        folder: &Path,
        runs: &[(&Scenario, Options)],
        force: bool,
    ) -> Result<Batch, FolderError> {
        let digests = runs.iter().map(|(scenario, options)| {
            let end = scenario.end();
            digest(
                scenario,
                options.until.map_or(end, |until| until.min(end)),
                "",
            )
        });
        let digests: Vec<String> = digests.collect();
        let mut batch = Batch {
            folder: folder.to_owned(),
            options: runs.iter().map(|(_, options)| *options).collect(),
            digest: hex(Sha256::new_with_prefix(digests.concat())),
            digests,
            done: BTreeMap::new(),
            list: None,
            begun: false,
            torn: false,
        };
        let began_by_force = batch.take_up(force)?;
        for options in &mut batch.options {
            options.force = force || began_by_force;
        }
        let each = runs.iter().zip(&batch.options).zip(&batch.digests);
        for (((scenario, _), options), digest) in each {
            let folder = folder.join(&scenario.header.name);
            if !batch.is_done(&folder, digest) {
                may_claim(&folder, digest, options.force)?;
            }
        }
        Ok(batch)
    }

    /// Reads the list that there may be. Whether its scenarios were allowed to replace what was there.
    fn take_up(&mut self, force: bool) -> Result<bool, FolderError> {
        let path = self.folder.join(BATCH_FILE);
        let mut list = match File::options().read(true).write(true).open(&path) {
            Ok(list) => list,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(io(&path)(error)),
        };
        if list.try_lock().is_err() {
            return Err(FolderError::Busy(self.folder.clone()));
        }
        let mut known = Vec::new();
        list.read_to_end(&mut known).map_err(io(&path))?;
        let known = String::from_utf8_lossy(&known);
        self.list = Some(list);
        // Half of a first line says that the program was killed before it had done anything.
        if force || !known.contains('\n') {
            return Ok(false);
        }
        let mut lines = known.lines();
        let head = lines.next().unwrap_or_default();
        let replaces = head == self.head(true);
        if !replaces && head != self.head(false) {
            return Err(FolderError::HoldsOthers(self.folder.clone()));
        }
        // Half of a line is none of ours.
        let done = lines.filter_map(|line| line.split_once(' '));
        self.done = done
            .map(|(digest, came)| (digest.to_owned(), came.to_owned()))
            .collect();
        self.begun = true;
        self.torn = !known.ends_with('\n');
        Ok(replaces)
    }

    fn head(&self, force: bool) -> String {
        let how = if force { "replaces" } else { "keeps" };
        format!("{} {how}", self.digest)
    }

    /// Begins the list, or begins it anew.
    fn begin(&mut self, force: bool) -> Result<(), FolderError> {
        let path = self.folder.join(BATCH_FILE);
        if let Some(list) = &mut self.list {
            list.set_len(0).map_err(io(&path))?;
            list.rewind().map_err(io(&path))?;
        } else {
            let list = File::options().write(true).create_new(true).open(&path);
            let list = list.map_err(io(&path))?;
            if list.try_lock().is_err() {
                return Err(FolderError::Busy(self.folder.clone()));
            }
            self.list = Some(list);
        }
        self.begun = true;
        let head = self.head(force);
        self.write(&head)
    }

    fn write(&mut self, line: &str) -> Result<(), FolderError> {
        let path = self.folder.join(BATCH_FILE);
        if let Some(list) = &mut self.list {
            let end = if self.torn { "\n" } else { "" };
            let line = format!("{end}{line}\n");
            list.write_all(line.as_bytes()).map_err(io(&path))?;
            list.sync_all().map_err(io(&path))?;
            self.torn = false;
        }
        Ok(())
    }

    /// Whether a folder holds what came of a scenario, by its digest, when it was whole.
    fn is_done(&self, folder: &Path, digest: &str) -> bool {
        let known = self.done.get(digest);
        known.is_some_and(|known| came_of(folder).is_ok_and(|came| came == *known))
    }

    /// What came of a scenario, by its place, if it was whole when the program was killed and is so still.
    ///
    /// # Errors
    /// When its marker is there still and cannot be removed, or somebody else is at it.
    pub fn known(&self, at: usize, scenario: &Scenario) -> Result<Option<Summary>, FolderError> {
        let folder = self.folder.join(&scenario.header.name);
        let (digest, path) = (&self.digests[at], folder.join(MARKER_FILE));
        if !self.is_done(&folder, digest) {
            return Ok(None);
        }
        if path.exists() {
            // Killed before it could go; or somebody has begun to replace the results.
            let marker = claim(&folder, digest, false)?;
            std::fs::remove_file(&path).map_err(io(&path))?;
            drop(marker);
        }
        Ok(vpp_results::open(&folder).ok())
    }

    /// Replays a scenario, by its place, as [`replay`](super::replay) does.
    ///
    /// # Errors
    /// As of that.
    pub fn replay(
        &mut self,
        at: usize,
        scenario: &Scenario,
        watch: impl FnMut(&Run),
    ) -> Result<Summary, FolderError> {
        let options = self.options[at];
        let folder = self.folder.join(&scenario.header.name);
        replay_and(scenario, &folder, options, watch, |digest| {
            if !self.begun {
                self.begin(options.force)?;
            }
            let Some(digest) = digest else {
                return Ok(());
            };
            let came = came_of(&folder)?;
            self.write(&format!("{digest} {came}"))
        })
    }

    /// All of them are whole.
    ///
    /// # Errors
    /// When the list cannot be removed.
    pub fn finish(self) -> Result<(), FolderError> {
        let path = self.folder.join(BATCH_FILE);
        if self.list.is_some() {
            std::fs::remove_file(&path).map_err(io(&path))?;
        }
        Ok(())
    }
}

/// What came of a run, by the digest of its summary.
fn came_of(folder: &Path) -> Result<String, FolderError> {
    let path = folder.join(SUMMARY_FILE);
    let summary = std::fs::read(&path).map_err(io(&path))?;
    Ok(hex(Sha256::new_with_prefix(summary)))
}
