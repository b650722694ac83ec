//! From where a run goes on after its program was killed: the whole state of engine, aggregators, stations and recorder, beside the
//! pieces of the tables so far.
//!
//! It is read by the very program that wrote it, or by none: nothing in it says what its bytes mean, and another build's state may
//! mean something else. Who cannot use it begins anew, which comes to the same results later.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use vpp_results::Tables;
use vpp_scenarios::Scenario;
use vpp_scenarios::world::World;

use super::{FolderError, Options, hex, io};
use crate::Plant;
use crate::record::{self, Recorder};
use crate::run::{Run, Saved};

/// Its file in the folder of a run that is not whole.
pub const CHECKPOINT_FILE: &str = "replay.checkpoint";

/// So often one is written, if nothing else is said.
const EVERY: Duration = Duration::from_secs(60);

#[derive(Deserialize, Serialize)]
struct State<R, T> {
    run: R,
    recorder: T,
}

/// Writes the checkpoints of a run.
pub(super) struct Checkpoints {
    path: PathBuf,
    /// Whose they are; none where the program does not know itself.
    key: Option<String>,
    every: Duration,
    last: Instant,
}

impl Checkpoints {
    /// Those of the run that `digest` names.
    pub(super) fn new(folder: &Path, digest: &str, options: &Options) -> Checkpoints {
        Checkpoints {
            path: folder.join(CHECKPOINT_FILE),
            key: program().map(|program| format!("{digest} {program}")),
            every: options.checkpoint_every.unwrap_or(EVERY),
            last: now(),
        }
    }

    /// Goes on from the last one, if there is one that is ours and whole: the recorder of what was before. Else what is left of it or
    /// of others goes.
    ///
    /// # Errors
    /// When that cannot be removed.
    pub(super) fn resume(
        &self,
        scenario: &Scenario,
        run: &mut Run,
        folder: &Path,
    ) -> Result<Option<Recorder>, FolderError> {
        if let Some(State {
            run: saved,
            mut recorder,
        }) = self.read()
            && let Ok(tables) = Tables::resume(folder, recorder.tables())
        {
            let mut resumed = Recorder::new(scenario, run, tables);
            run.resume(saved);
            resumed.resume(recorder);
            return Ok(Some(resumed));
        }
        self.remove(folder)?;
        Ok(None)
    }

    fn read(&self) -> Option<State<Saved<Plant<World>>, record::Known>> {
        let key = self.key.as_ref()?;
        let bytes = std::fs::read(&self.path).ok()?;
        let head = format!("{key}\n");
        let rest = bytes.strip_prefix(head.as_bytes())?;
        let (digest, state) = rest.split_at_checked(64)?;
        (digest == hex(Sha256::new_with_prefix(state)).as_bytes()).then_some(())?;
        postcard::from_bytes(state).ok()
    }

    /// Writes one if it is time, and the run is where it can be saved.
    ///
    /// # Errors
    /// When it or a piece of a table cannot be written.
    pub(super) fn save(&mut self, run: &Run, recorder: &mut Recorder) -> Result<(), FolderError> {
        let Some(key) = &self.key else {
            return Ok(());
        };
        if self.last.elapsed() < self.every {
            return Ok(());
        }
        let Some(saved) = run.saved() else {
            return Ok(());
        };
        let state = State {
            run: saved,
            recorder: recorder.saved()?,
        };
        let broken = |error| io(&self.path)(std::io::Error::other(error));
        let state = postcard::to_stdvec(&state).map_err(broken)?;
        let mut bytes = format!("{key}\n{}", hex(Sha256::new_with_prefix(&state))).into_bytes();
        bytes.extend(state);
        vpp_results::files::write(&self.path, bytes)?;
        self.last = now();
        Ok(())
    }

    /// Removes the last one, and with it the pieces of the tables.
    ///
    /// # Errors
    /// When they cannot be removed.
    pub(super) fn remove(&self, folder: &Path) -> Result<(), FolderError> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(io(&self.path)(error));
            }
            _ => {}
        }
        Ok(Tables::remove_pieces(folder)?)
    }
}

/// How much a crash costs depends on it, and no result.
#[allow(clippy::disallowed_methods)]
fn now() -> Instant {
    Instant::now()
}

/// Which program this is: another build has another length, or was made at another time.
fn program() -> Option<String> {
    let about = std::fs::metadata(std::env::current_exe().ok()?).ok()?;
    let made = about.modified().ok()?;
    let made = made.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(format!("{}-{}", about.len(), made.as_nanos()))
}
