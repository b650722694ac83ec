//! `vpp sweep`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rayon::iter::{IntoParallelRefIterator as _, ParallelIterator as _};
use serde::{Deserialize, Serialize};
use vpp_core::Timestamp;
use vpp_replay::folder::{self, Options};
use vpp_replay::run::Run;
use vpp_results::sweep::{Outcome, SWEEP_FILE, write_table};
use vpp_results::{files, report};
use vpp_scenarios::Scenario;
use vpp_scenarios::sweep::{Setting, Sweep, Variant, seeds};

use crate::replay::{Until, until};
use crate::report::Language;
use crate::say::say;

/// Its file in a sweep's folder: what is varied.
const PLAN_FILE: &str = "sweep.json";
/// Its folders: what is kept of each run, and the scenarios.
const RUNS: &str = "runs";
const VARIANTS: &str = "variants";

/// Replay a scenario with every combination of parameters and seeds; one table and one report of all runs.
///
/// Each run is a file of a few lines in OUT/variants that includes the scenario, so that any of them can be replayed by itself. A
/// sweep that was stopped goes on where it was when the same command is given again.
///
/// On several machines: give each its --shard, copy their OUT/runs together, and give the command without --shard: it runs
/// what is missing, if anything, and makes the report. A run of another scenario, end or version is refused.
///
/// Examples:
///
///   vpp sweep scenarios/fleet-small.toml --set assumptions.v2g_consent_share=0,0.5,1 --seeds 1-10 --out consent
///
///   vpp sweep city.toml --set 'event[dr-1].reduction_kw=5000,10000,20000' --seeds 1-20 --out calls --shard 1/4
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The scenario.
    scenario: PathBuf,
    /// A key of the format and its values: KEY=VALUE,VALUE,…; a row of an array by its id, as in event[dr-1].duration_s=600,1200.
    #[arg(long = "set", value_name = "KEY=VALUES")]
    settings: Vec<Setting>,
    /// Seeds: 1-20 or 1,2,5 (default: the scenario's own).
    #[arg(long, default_value = "")]
    seeds: String,
    /// The folder of the sweep.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Only every Nth run, from the Kth: 1/4 to 4/4 on four machines.
    #[arg(long, value_name = "K/N")]
    shard: Option<Shard>,
    /// Stop each run then, as in `vpp replay`.
    #[arg(long, value_name = "OFFSET_OR_TIME", value_parser = until)]
    until: Option<Until>,
    /// Runs at the same time (default: as many as there are processors).
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// Keep the tables of each run in OUT/runs; by default only its figures are kept.
    #[arg(long)]
    keep: bool,
    /// Language of the report.
    #[arg(long, value_enum, default_value = "en")]
    lang: Language,
    /// Begin anew where there is another sweep.
    #[arg(long)]
    force: bool,
}

/// Which runs are ours.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Shard {
    /// From 0.
    at: usize,
    of: usize,
}

impl FromStr for Shard {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Shard, &'static str> {
        let wrong = "write K/N with K from 1 to N, such as 2/4";
        let (at, of) = text.split_once('/').ok_or(wrong)?;
        let (at, of): (usize, usize) = (
            at.parse().map_err(|_| wrong)?,
            of.parse().map_err(|_| wrong)?,
        );
        if (1..=of).contains(&at) {
            Ok(Shard { at: at - 1, of })
        } else {
            Err(wrong)
        }
    }
}

/// What is varied: the same on all machines that share a sweep.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Plan {
    /// Name of the scenario.
    scenario: String,
    /// What the scenario and its variants are, where runs end and who runs them. Each run says it too.
    digest: String,
    parameters: Vec<String>,
    runs: usize,
}

pub(crate) fn main(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let seeds = match arguments.seeds.as_str() {
        "" => Vec::new(),
        text => seeds(text).context("--seeds")?,
    };
    let sweep = Sweep::new(arguments.settings.clone(), seeds).context("--set")?;
    let base = Scenario::load(&arguments.scenario)?;
    let out = &arguments.out;
    let plan = plan(&sweep, &base, arguments)?;
    claim(out, &plan, arguments.force)?;
    let all: Vec<Variant> = (0..sweep.len())
        .map(|number| sweep.variant(number))
        .collect();
    let ours = |variant: &Variant| {
        let shard = arguments.shard;
        shard.is_none_or(|shard| variant.number % shard.of == shard.at)
    };
    let mut missing = Vec::new();
    for variant in &all {
        // Those of other shards are looked at too: what was copied here by mistake shows before the first run.
        if known(out, &plan, variant)?.is_none() && ours(variant) {
            missing.push(variant);
        }
    }
    run(&sweep, &plan, &missing, arguments)?;
    let known = all
        .iter()
        .filter_map(|variant| known(out, &plan, variant).transpose());
    let known = known.collect::<anyhow::Result<Vec<Outcome>>>()?;
    if known.len() < all.len() {
        say!(
            "{} of {} runs are in {}",
            known.len(),
            all.len(),
            out.join(RUNS).display()
        );
        say!("Copy the runs of the other shards there, then give the command without --shard.");
        return Ok(ExitCode::SUCCESS);
    }
    write_table(out, &plan.parameters, &known)?;
    let language = arguments.lang.into();
    report::sweep::write(out, &plan.scenario, &plan.parameters, &known, language)?;
    let (table, page) = (out.join(SWEEP_FILE), out.join(report::REPORT_FILE));
    say!(
        "{} runs: {} and {}",
        known.len(),
        table.display(),
        page.display()
    );
    Ok(ExitCode::SUCCESS)
}

fn plan(sweep: &Sweep, base: &Scenario, arguments: &Arguments) -> anyhow::Result<Plan> {
    let end = end(base, arguments)?;
    let variants = check(sweep, arguments)?;
    let parameters = sweep.settings().iter().map(|setting| setting.key.clone());
    Ok(Plan {
        scenario: base.header.name.clone(),
        digest: folder::digest(base, end, &format!("{sweep:?}{}", variants.concat())),
        parameters: parameters.collect(),
        runs: sweep.len(),
    })
}

/// Reads a variant of each set of parameters before the first run begins: a value that cannot be shows at once. Their digests:
/// a value may name a file, and what stands in it counts.
fn check(sweep: &Sweep, arguments: &Arguments) -> anyhow::Result<Vec<String>> {
    let base = std::fs::canonicalize(&arguments.scenario)?;
    let folder = tempfile::tempdir().context("a folder for variants")?;
    let mut digests = Vec::new();
    for number in (0..sweep.len()).step_by(sweep.seeds()) {
        let variant = sweep.variant(number);
        let file = folder.path().join("variant.toml");
        std::fs::write(&file, sweep.text(&variant, &base))?;
        let scenario = Scenario::load(&file).with_context(|| said(sweep, &variant))?;
        digests.push(folder::digest(&scenario, end(&scenario, arguments)?, ""));
    }
    Ok(digests)
}

/// Where a run of a scenario ends.
fn end(scenario: &Scenario, arguments: &Arguments) -> anyhow::Result<Timestamp> {
    match arguments.until {
        Some(until) => until.of(scenario),
        None => Ok(scenario.end()),
    }
}

/// A run's parameters for people.
fn said(sweep: &Sweep, variant: &Variant) -> String {
    let pairs = sweep.settings().iter().zip(&variant.values);
    let pairs = pairs.map(|(setting, value)| format!("{}={value}", setting.key));
    pairs.collect::<Vec<_>>().join(" ")
}

/// Takes a folder for a sweep, or takes up again the same one.
fn claim(out: &Path, plan: &Plan, force: bool) -> anyhow::Result<()> {
    let path = out.join(PLAN_FILE);
    match std::fs::read(&path) {
        Ok(text) => {
            let same = serde_json::from_slice::<Plan>(&text).is_ok_and(|known| known == *plan);
            if same {
                return Ok(());
            }
            if !force {
                bail!(
                    "{}: is of another sweep (scenario, parameters, seeds, end or version); --force begins anew",
                    path.display()
                );
            }
            for folder in [RUNS, VARIANTS] {
                let folder = out.join(folder);
                if folder.exists() {
                    std::fs::remove_dir_all(&folder)
                        .with_context(|| folder.display().to_string())?;
                }
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let there = std::fs::read_dir(out).is_ok_and(|mut entries| {
                entries.any(|entry| entry.is_ok_and(|entry| entry.file_name() != RUNS))
            });
            if there && !force {
                bail!(
                    "{}: is not empty and holds no sweep; choose another folder",
                    out.display()
                );
            }
        }
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    }
    for folder in [RUNS, VARIANTS] {
        let folder = out.join(folder);
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    Ok(files::write(&path, serde_json::to_string_pretty(plan)?)?)
}

/// A run's name, its file's stem.
fn name(variant: &Variant) -> String {
    format!("{:06}", variant.number)
}

/// What came of a run, if it is done; one that is damaged or has another's name counts as missing. One of another sweep is
/// refused: whoever copied it here takes it for one of this.
fn known(out: &Path, plan: &Plan, variant: &Variant) -> anyhow::Result<Option<Outcome>> {
    let path = out.join(RUNS).join(name(variant)).with_extension("json");
    let Ok(outcome) = Outcome::read(&path) else {
        return Ok(None);
    };
    if outcome.sweep != plan.digest {
        bail!(
            "{}: is a run of another sweep (scenario, parameters, seeds, end or version); remove it, then copy that of this \
             sweep there or have it run again",
            path.display()
        );
    }
    let seed = variant.seed.is_none_or(|seed| seed == outcome.seed);
    let same = seed && outcome.number == variant.number && outcome.values == values(variant);
    Ok(same.then_some(outcome))
}

/// The values of a run as text: strings without quotes.
fn values(variant: &Variant) -> Vec<String> {
    let text = |value: &toml::Value| match value {
        toml::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    variant.values.iter().map(text).collect()
}

fn run(
    sweep: &Sweep,
    plan: &Plan,
    missing: &[&Variant],
    arguments: &Arguments,
) -> anyhow::Result<()> {
    let threads = arguments.jobs.map_or(0, usize::from);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let bar = Bar::new(missing.len());
    let base = std::fs::canonicalize(&arguments.scenario)?;
    pool.context("starting the threads")?.install(|| {
        missing.par_iter().try_for_each(|variant| {
            one(sweep, plan, variant, &base, arguments, &bar)
                .with_context(|| format!("run {} ({})", variant.number, said(sweep, variant)))
        })
    })?;
    bar.bar.finish_and_clear();
    Ok(())
}

fn one(
    sweep: &Sweep,
    plan: &Plan,
    variant: &Variant,
    base: &Path,
    arguments: &Arguments,
    bar: &Bar,
) -> anyhow::Result<()> {
    let out = &arguments.out;
    let file = out
        .join(VARIANTS)
        .join(name(variant))
        .with_extension("toml");
    files::write(&file, sweep.text(variant, base))?;
    let scenario = Scenario::load(&file)?;
    let folder = out.join(RUNS).join(name(variant));
    let options = Options {
        until: Some(end(&scenario, arguments)?),
        force: true,
        ..Options::default()
    };
    let mut told = Progress::new(bar, scenario.start());
    folder::replay(&scenario, &folder, options, |run| told.step(run))?;
    let outcome = Outcome::of(&folder, &plan.digest, variant.number, values(variant))?;
    outcome.write(&folder.with_extension("json"))?;
    if !arguments.keep {
        std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    told.done();
    Ok(())
}

/// Thousandths of a run: how finely progress is told.
const PARTS: u64 = 1_000;

struct Bar {
    bar: ProgressBar,
    runs: u64,
}

impl Bar {
    fn new(runs: usize) -> Bar {
        let runs = runs as u64;
        let bar = ProgressBar::with_draw_target(Some(runs * PARTS), ProgressDrawTarget::stderr());
        let template = "{bar:30.cyan/dim} {msg}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Bar { bar, runs }
    }
}

/// How far one run is.
struct Progress<'a> {
    bar: &'a Bar,
    start: Timestamp,
    told: u64,
}

impl<'a> Progress<'a> {
    fn new(bar: &'a Bar, start: Timestamp) -> Progress<'a> {
        Progress {
            bar,
            start,
            told: 0,
        }
    }

    fn step(&mut self, run: &Run) {
        let lived = (run.now() - self.start).num_seconds();
        let all = (run.end() - self.start).num_seconds().max(1);
        let parts = u64::try_from(lived).unwrap_or(0) * PARTS / u64::try_from(all).unwrap_or(1);
        self.to(parts.min(PARTS));
    }

    fn done(&mut self) {
        self.to(PARTS);
    }

    fn to(&mut self, parts: u64) {
        if parts > self.told {
            self.bar.bar.inc(parts - self.told);
            self.told = parts;
            let done = self.bar.bar.position() / PARTS;
            self.bar
                .bar
                .set_message(format!("{done} of {} runs", self.bar.runs));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_counted_from_one() {
        assert_eq!("2/4".parse(), Ok(Shard { at: 1, of: 4 }));
        for wrong in ["", "0/4", "5/4", "1", "a/b", "1/0", "-1/2"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }
}
