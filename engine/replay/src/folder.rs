//! A scenario replayed into a folder, from its start to its end.
//!
//! While it is being made, the folder holds a marker that names the scenario; results appear when all of it is whole. A run that
//! was killed is taken up by the same call: it goes on from its last checkpoint (`checkpoint.rs`), and where there is none that this
//! program can use, it begins anew. Replays are the same every time, so either way the same comes of it.

mod batch;
mod checkpoint;

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::TimeDelta;
use sha2::{Digest as _, Sha256};
use vpp_core::{Invalid, Power, StationKind, Timestamp};
use vpp_market_adapters::tariff::RulePack;
use vpp_results::report::{self, Language};
use vpp_results::{FORMAT, Header, SUMMARY_FILE, Summary, Tables};
use vpp_scenarios::Scenario;

use crate::record::Recorder;
use crate::run::Run;
use checkpoint::Checkpoints;

pub use batch::{BATCH_FILE, Batch};
pub use checkpoint::CHECKPOINT_FILE;

/// Its file in the folder of a run that is not whole.
pub const MARKER_FILE: &str = "replay.unfinished";

/// Why a folder has no results.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// There are results, and nobody said that they may go.
    #[error("{}: holds the results of a run already; --force replaces them", .0.display())]
    HoldsResults(PathBuf),
    /// A run of something else was begun there.
    #[error("{}: holds a run that is not whole, of another scenario or another end; --force replaces it", .0.display())]
    HoldsAnother(PathBuf),
    /// Several scenarios were begun there, and they are not these.
    #[error("{}: holds replays that are not all whole, of other scenarios or another end; --force begins anew", .0.display())]
    HoldsOthers(PathBuf),
    /// It is not a folder of results at all.
    #[error("{}: is not empty and holds no run; choose another folder", .0.display())]
    HoldsOther(PathBuf),
    /// Somebody else is at it.
    #[error("{}: is being written by another process", .0.display())]
    Busy(PathBuf),
    /// The folder cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// What cannot.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A table or the summary cannot be written.
    #[error(transparent)]
    Results(#[from] vpp_results::Error),
    /// The engine refuses the scenario.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

/// How to replay.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Of the report.
    pub language: Language,
    /// Not further than this.
    pub until: Option<Timestamp>,
    /// Replace results, and what is left of another run.
    pub force: bool,
    /// How long at least passes from one checkpoint to the next, a minute if nothing is said: so much of the work a crash costs.
    pub checkpoint_every: Option<Duration>,
}

/// Replays a scenario into a folder, and tells `watch` from where it goes on and after each step how far it is. What came
/// of it.
///
/// # Errors
/// When the folder holds something else, or cannot be written; results that are there are there still.
pub fn replay(
    scenario: &Scenario,
    folder: &Path,
    options: Options,
    watch: impl FnMut(&Run),
) -> Result<Summary, FolderError> {
    replay_and(scenario, folder, options, watch, |_| Ok(()))
}

/// The same, and tells `note` when the folder is ours, and, with the digest, when all is there but the marker is not gone yet.
fn replay_and(
    scenario: &Scenario,
    folder: &Path,
    options: Options,
    mut watch: impl FnMut(&Run),
    mut note: impl FnMut(Option<&str>) -> Result<(), FolderError>,
) -> Result<Summary, FolderError> {
    let mut run = Run::new(scenario)?;
    if let Some(until) = options.until {
        run.end_at(until);
    }
    let digest = digest(scenario, run.end(), "");
    let _marker = claim(folder, &digest, options.force)?;
    note(None)?;
    let header = header(scenario, &run);
    let mut checkpoints = Checkpoints::new(folder, &digest, &options);
    let resumed = checkpoints.resume(scenario, &mut run, folder)?;
    let mut recorder = match resumed {
        Some(recorder) => recorder,
        None => {
            let mut recorder = Recorder::new(scenario, &run, Tables::create(folder)?);
            let step = run.begin();
            recorder.take(&run, &step)?;
            recorder
        }
    };
    watch(&run);
    while !run.is_over() {
        let step = run.advance();
        recorder.take(&run, &step)?;
        watch(&run);
        checkpoints.save(&run, &mut recorder)?;
    }
    recorder.finish(&run)?;
    let summary = Summary::derive(folder, header)?;
    summary.write(folder)?;
    report::write(folder, options.language)?;
    checkpoints.remove(folder)?;
    note(Some(&digest))?;
    let marker = folder.join(MARKER_FILE);
    std::fs::remove_file(&marker).map_err(io(&marker))?;
    Ok(summary)
}

/// Whether a folder may be taken for a run. Nothing is written.
fn may_claim(folder: &Path, digest: &str, force: bool) -> Result<(), FolderError> {
    let path = folder.join(MARKER_FILE);
    let whole = folder.join(SUMMARY_FILE).exists();
    if path.exists() {
        let known = std::fs::read(&path).map_err(io(&path))?;
        return may_take_up(folder, &known, digest, force);
    }
    if whole && !force {
        return Err(FolderError::HoldsResults(folder.into()));
    }
    if !whole && folder.exists() {
        let mut entries = std::fs::read_dir(folder).map_err(io(folder))?;
        if entries.next().is_some() {
            return Err(FolderError::HoldsOther(folder.into()));
        }
    }
    Ok(())
}

/// Whether a run with that marker may become ours.
fn may_take_up(folder: &Path, known: &[u8], digest: &str, force: bool) -> Result<(), FolderError> {
    if known == digest.as_bytes() || force {
        return Ok(());
    }
    // Half of one says that a run was killed before it had done anything: what was there before is there still.
    match digest.as_bytes().starts_with(known) {
        true if folder.join(SUMMARY_FILE).exists() => Err(FolderError::HoldsResults(folder.into())),
        true => Ok(()),
        false => Err(FolderError::HoldsAnother(folder.into())),
    }
}

/// Takes a folder for a run, or takes up again one that was begun. It is ours as long as the file is open.
fn claim(folder: &Path, digest: &str, force: bool) -> Result<File, FolderError> {
    std::fs::create_dir_all(folder).map_err(io(folder))?;
    let path = folder.join(MARKER_FILE);
    if !path.exists() {
        may_claim(folder, digest, force)?;
    }
    let mut options = File::options();
    let options = options.read(true).write(true).create(true).truncate(false);
    let mut marker = options.open(&path).map_err(io(&path))?;
    if marker.try_lock().is_err() {
        return Err(FolderError::Busy(folder.into()));
    }
    let mut known = Vec::new();
    marker.read_to_end(&mut known).map_err(io(&path))?;
    if known == digest.as_bytes() {
        return Ok(marker);
    }
    may_take_up(folder, &known, digest, force)?;
    marker.set_len(0).map_err(io(&path))?;
    marker.rewind().map_err(io(&path))?;
    marker.write_all(digest.as_bytes()).map_err(io(&path))?;
    marker.sync_all().map_err(io(&path))?;
    Ok(marker)
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> FolderError + use<> {
    let path = path.to_owned();
    move |source| FolderError::Io { path, source }
}

/// What makes a run: the scenario with all its figures, its end, the program and its format of results, and what else somebody
/// adds to it.
#[must_use]
pub fn digest(scenario: &Scenario, end: Timestamp, more: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(format!(
        "{scenario:?}{end}{}/{FORMAT}/{more}",
        env!("CARGO_PKG_VERSION")
    ));
    hex(hash)
}

fn hex(hash: Sha256) -> String {
    let bytes = hash.finalize();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn header(scenario: &Scenario, run: &Run) -> Header {
    let fleet = run.plant().engine().fleet();
    let (mut piles, mut v2g_piles, mut swap_stations, mut capacity) = (0, 0, 0, Power::ZERO);
    for station in fleet.stations() {
        capacity += station.import_limit;
        if station.kind == StationKind::Swap {
            swap_stations += 1;
            continue;
        }
        for pile in &station.piles {
            piles += u64::from(pile.count);
            if pile.discharge_power > Power::ZERO {
                v2g_piles += u64::from(pile.count);
            }
        }
    }
    let start = run.now();
    let ahead = run.prices().local_time(start) - start.naive_utc();
    let pack = RulePack::by_name(&scenario.tariff.rule_pack);
    let pack = pack.map(|pack| vpp_results::RulePack {
        name: pack.id().name.clone(),
        version: pack.id().version.get(),
    });
    let minutes = (run.end() - start + TimeDelta::seconds(59)).num_minutes();
    Header {
        name: scenario.header.name.clone(),
        start,
        duration_minutes: u64::try_from(minutes).unwrap_or(0),
        interval_s: u64::from(scenario.dispatch.cycle_s),
        utc_offset_h: ahead.as_seconds_f64() / 3_600.0,
        seed: scenario.header.seed,
        rule_packs: pack.into_iter().collect(),
        stations: fleet.stations().len() as u64,
        piles,
        v2g_piles,
        swap_stations,
        aggregators: fleet.aggregators().len() as u64,
        capacity_mva: capacity.as_kilowatts() / 1e3,
    }
}
