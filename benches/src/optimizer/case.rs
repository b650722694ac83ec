//! One solver on one instance: what a child process does.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};
#[cfg(feature = "highs")]
use vpp_optimizer::HighsMethod;
use vpp_optimizer::reference::Program;
use vpp_optimizer::{Backend, Problem, Status, check, solve};

use super::{Size, round, stop, warm};
use crate::{cycle, instances};

/// Who solves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Solver {
    /// This project's.
    Fast,
    /// Clarabel through `good_lp`: interior point, Rust.
    Clarabel,
    /// HiGHS, dual simplex.
    #[cfg(feature = "highs")]
    HighsSimplex,
    /// HiGHS, interior point.
    #[cfg(feature = "highs")]
    HighsIpm,
    /// HiGHS, interior point with crossover.
    #[cfg(feature = "highs")]
    HighsIpmCrossover,
}

impl Solver {
    pub(super) const ALL: &'static [Solver] = &[
        Solver::Fast,
        Solver::Clarabel,
        #[cfg(feature = "highs")]
        Solver::HighsSimplex,
        #[cfg(feature = "highs")]
        Solver::HighsIpm,
        #[cfg(feature = "highs")]
        Solver::HighsIpmCrossover,
    ];

    /// Whether the targets are set beside it.
    pub(super) fn is_reference(self) -> bool {
        !matches!(self, Self::Fast | Self::Clarabel)
    }

    /// The general solver behind it; `None` for our own.
    fn backend(self) -> Option<Backend> {
        match self {
            Self::Fast => None,
            Self::Clarabel => Some(Backend::Clarabel),
            #[cfg(feature = "highs")]
            Self::HighsSimplex => Some(Backend::Highs(HighsMethod::Simplex)),
            #[cfg(feature = "highs")]
            Self::HighsIpm => Some(Backend::Highs(HighsMethod::InteriorPoint)),
            #[cfg(feature = "highs")]
            Self::HighsIpmCrossover => Some(Backend::Highs(HighsMethod::InteriorPointCrossover)),
        }
    }
}

impl std::fmt::Display for Solver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = clap::ValueEnum::to_possible_value(self).ok_or(std::fmt::Error)?;
        f.write_str(name.get_name())
    }
}

/// Where an instance comes from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Generated { size: Size, seed: u64 },
    Pilot { stations: usize },
    File(PathBuf),
}

impl Source {
    pub(crate) fn problem(&self) -> anyhow::Result<Problem> {
        match self {
            Self::Generated { size, seed } => {
                Ok(instances::generate(size.stations, size.intervals, *seed))
            }
            Self::Pilot { stations } => cycle::plan_problem(*stations),
            Self::File(path) => {
                let file = std::fs::File::open(path).with_context(|| path.display().to_string())?;
                let reader = std::io::BufReader::new(file);
                serde_json::from_reader(reader).with_context(|| path.display().to_string())
            }
        }
    }

    /// Stations × intervals where known beforehand.
    pub(super) fn cells(&self) -> Option<usize> {
        match self {
            Self::Generated { size, .. } => Some(size.stations * size.intervals),
            _ => None,
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Generated { size, seed } => {
                write!(f, "{}x{} seed {seed}", size.stations, size.intervals)
            }
            Self::Pilot { stations } => write!(f, "pilot {stations}"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Runs for this long are repeated up to a count, and the median counts.
const SHORT: Duration = Duration::from_secs(10);
const REPEATS: usize = 5;

/// Measures; `None` when the solver ran out of time.
pub(crate) fn run(
    source: &Source,
    solver: Solver,
    limit: Duration,
    stops: usize,
    warm: bool,
) -> anyhow::Result<Option<Value>> {
    let problem = source.problem()?;
    let mut figures = json!({
        "stations": problem.resources.len(),
        "intervals": problem.horizon(),
    });
    let mut times: Vec<Times> = Vec::new();
    let begun = Instant::now();
    while times.len() < REPEATS && (times.is_empty() || begun.elapsed() < SHORT) {
        let Some(time) = once(&problem, solver, limit, &mut figures)? else {
            return Ok(None);
        };
        times.push(time);
    }
    times.sort_by(|a, b| a.solver.total_cmp(&b.solver));
    let median = &times[times.len() / 2];
    figures["seconds"] = json!(round(median.solver));
    figures["cpu_seconds"] = json!(median.processor.map(round));
    figures["model_seconds"] = json!(round(median.model));
    figures["repeats"] = json!(times.len());
    figures["peak_memory_mib"] = json!(peak_memory_mib());
    if stops > 0 && solver == Solver::Fast {
        let late = stop::measure(&problem, stops)?;
        let late = late.as_object().into_iter().flatten();
        late.for_each(|(name, value)| figures[name] = value.clone());
    }
    if warm && solver == Solver::Fast {
        let found = warm::measure(&problem)?;
        let found = found.as_object().into_iter().flatten();
        found.for_each(|(name, value)| figures[name] = value.clone());
    }
    Ok(Some(figures))
}

/// Seconds of one solve.
struct Times {
    /// The solver's own.
    solver: f64,
    /// Of processors, all threads together, while it solved; `None` where the system does not tell. On a machine that
    /// others use as well, this is what can be compared.
    processor: Option<f64>,
    /// Of writing the program down for it.
    model: f64,
}

/// One solve; `None` when the solver ran out of time.
fn once(
    problem: &Problem,
    solver: Solver,
    limit: Duration,
    figures: &mut Value,
) -> anyhow::Result<Option<Times>> {
    let Some(backend) = solver.backend() else {
        let processor = Processor::start();
        let begun = Instant::now();
        let found = solve(problem, None, &|| begun.elapsed() >= limit);
        let seconds = begun.elapsed().as_secs_f64();
        let processor = processor.seconds();
        let solution = found?;
        if solution.status != Status::Optimal && seconds >= limit.as_secs_f64() {
            return Ok(None);
        }
        let violations = check::violations(problem, &solution, 0.0);
        let worst = violations
            .iter()
            .map(|violation| violation.by)
            .fold(0.0, f64::max);
        figures["objective"] = json!(solution.objective - solution.repair_cost);
        figures["gap"] = json!(solution.gap);
        figures["optimal"] = json!(solution.status == Status::Optimal);
        figures["worst_violation_kw"] = json!(worst);
        return Ok(Some(Times {
            solver: seconds,
            processor,
            model: 0.0,
        }));
    };
    let begun = Instant::now();
    let program = Program::new(problem, backend)?;
    let model_seconds = begun.elapsed().as_secs_f64();
    let processor = Processor::start();
    let begun = Instant::now();
    let claim = program.run(Some(limit));
    let measured = begun.elapsed();
    let processor = processor.seconds();
    let claim = match claim {
        Ok(claim) => claim,
        Err(_) if measured >= limit => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    // good_lp and HiGHS call a solve that was cut short a success; so does nobody here.
    if !claim.optimal && measured >= limit {
        return Ok(None);
    }
    let own = claim.took.unwrap_or(measured);
    figures["objective"] = json!(claim.objective);
    figures["ending"] = json!(claim.ending);
    figures["optimal"] = json!(claim.optimal);
    Ok(Some(Times {
        solver: own.as_secs_f64(),
        processor,
        model: model_seconds + measured.saturating_sub(own).as_secs_f64(),
    }))
}

/// Processor time of this process since a moment.
struct Processor(Option<f64>);

impl Processor {
    fn start() -> Self {
        Self(Self::so_far())
    }

    fn seconds(&self) -> Option<f64> {
        Some(Self::so_far()? - self.0?)
    }

    /// User and system time of all threads: Linux counts it in hundredths of a second.
    fn so_far() -> Option<f64> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        // The name of the program, in parentheses, may hold spaces.
        let (_, fields) = stat.rsplit_once(')')?;
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks: Vec<f64> = ticks.map(str::parse).collect::<Result<_, _>>().ok()?;
        (ticks.len() == 2).then(|| (ticks[0] + ticks[1]) / 100.0)
    }
}

/// The most memory that this process has had at once; `None` where the system does not tell.
fn peak_memory_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(round(kib / 1024.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Source = Source::Generated {
        size: Size {
            stations: 20,
            intervals: 4,
        },
        seed: 5,
    };

    #[test]
    fn solvers_agree_and_tell_their_figures() {
        let mut objectives = Vec::new();
        for &solver in Solver::ALL {
            let found = run(&SMALL, solver, Duration::from_secs(60), 0, false)
                .expect("runs")
                .expect("in time");
            assert_eq!(found["stations"], 20);
            assert!(found["seconds"].as_f64().expect("a number") > 0.0);
            assert!(
                found["peak_memory_mib"]
                    .as_f64()
                    .is_none_or(|mib| mib > 1.0)
            );
            objectives.push(found["objective"].as_f64().expect("a number"));
        }
        for other in &objectives {
            assert!(
                (other - objectives[0]).abs() <= 1e-6 * other.abs(),
                "{objectives:?}"
            );
        }
    }

    #[test]
    fn a_file_gives_the_problem_that_was_written() {
        let problem = SMALL.problem().expect("generated");
        let file = tempfile::NamedTempFile::new().expect("a file");
        serde_json::to_writer(&file, &problem).expect("written");
        let source = Source::File(file.path().to_path_buf());
        assert_eq!(source.problem().expect("read"), problem);
    }
}
