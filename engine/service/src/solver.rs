//! The optimizer's thread. It works on the newest problem only: one that has not begun when a newer one comes is dropped.

use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use chrono::TimeDelta;
use vpp_dispatch::{SolveRequest, Solved};
use vpp_optimizer::{Backend, Options, ResourceSchedule, Solution, SolveError, Status, reference};

use crate::pool;
use crate::statistics::Statistics;

/// Of the solver's thread: below the others', above whatever runs in the background.
#[cfg(target_os = "linux")]
const PRIORITY: i32 = 5;

/// How problems are solved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// By the solver made for them; by Clarabel where that finds no end.
    Fast,
    /// By a general solver.
    Reference(Backend),
}

/// A problem, and when the cycle began that wants it solved.
type Asked = (Box<SolveRequest>, Instant);

#[derive(Default)]
struct Slot {
    state: Mutex<SlotState>,
    changed: Condvar,
}

#[derive(Default)]
struct SlotState {
    next: Option<Asked>,
    stopped: bool,
}

/// A handle to the thread.
pub(crate) struct Solver {
    slot: Arc<Slot>,
    thread: Option<JoinHandle<()>>,
}

impl Solver {
    /// Starts the thread. It hands each result to `done`.
    pub(crate) fn start(
        method: Method,
        statistics: Arc<Statistics>,
        done: impl Fn(Solved) + Send + 'static,
    ) -> std::io::Result<Solver> {
        let slot = Arc::new(Slot::default());
        let theirs = Arc::clone(&slot);
        // Threads that wait for each other lose most where others want the processors: one of them is not asked for.
        let pool = pool::own("vpp-solver", 1, stand_back)?;
        let work = move || {
            let mut worker = Worker {
                method,
                statistics,
                last: Vec::new(),
            };
            while let Some((request, began)) = theirs.take() {
                done(worker.answer(*request, began));
            }
        };
        let thread = std::thread::Builder::new()
            .name("vpp-solver".into())
            .spawn(move || pool.install(work))?;
        Ok(Solver {
            slot,
            thread: Some(thread),
        })
    }

    /// Hands over a problem of a cycle that began then, in place of one that has not begun.
    pub(crate) fn submit(&self, request: Box<SolveRequest>, began: Instant) {
        self.slot.locked().next = Some((request, began));
        self.slot.changed.notify_one();
    }
}

/// A plan may take its whole budget; a signal, a report and a command may not wait for it. Where the system refuses, or has
/// no priorities for threads, all are equal.
fn stand_back() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(None, PRIORITY);
}

impl Drop for Solver {
    fn drop(&mut self) {
        self.slot.locked().stopped = true;
        self.slot.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Slot {
    fn locked(&self) -> std::sync::MutexGuard<'_, SlotState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Asked> {
        let mut state = self.locked();
        loop {
            if state.stopped {
                return None;
            }
            if let Some(asked) = state.next.take() {
                return Some(asked);
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// What the thread keeps.
struct Worker {
    method: Method,
    statistics: Arc<Statistics>,
    /// The last schedule: the next problem is most often like the one before.
    last: Vec<ResourceSchedule>,
}

impl Worker {
    /// Solves a problem within its budget, which counts from when the cycle began.
    fn answer(&mut self, request: SolveRequest, began: Instant) -> Solved {
        let started = Instant::now();
        let budget = request.budget.to_std().unwrap_or_default();
        let ends = began + budget;
        // A panic in a solver is a failure of one cycle, not of the engine: the cycle then goes out without it.
        let attempt = std::panic::AssertUnwindSafe(|| self.solve(&request, ends));
        let result = match std::panic::catch_unwind(attempt) {
            Ok(Ok(solution)) => Ok(solution),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the solver panicked".to_owned()),
        };
        match &result {
            Ok(solution) => self.last.clone_from(&solution.schedule),
            Err(reason) => tracing::warn!(
                cycle = request.cycle,
                reason,
                "no allocation from the optimizer"
            ),
        }
        let solve_time = TimeDelta::from_std(started.elapsed()).unwrap_or(TimeDelta::MAX);
        Solved {
            cycle: request.cycle,
            result,
            solve_time,
        }
    }

    fn solve(&self, request: &SolveRequest, ends: Instant) -> Result<Solution, SolveError> {
        let problem = &request.problem;
        let general = |backend| {
            let options = Options {
                backend,
                time_limit: Some(ends.saturating_duration_since(Instant::now())),
            };
            reference::solve(problem, &options)
        };
        if let Method::Reference(backend) = self.method {
            return general(backend);
        }
        let fits = self.last.len() == problem.resources.len()
            && (self.last.iter()).all(|plan| plan.charge_kw.len() == problem.horizon());
        let warm_start = fits.then_some(self.last.as_slice());
        let solution = vpp_optimizer::solve(problem, warm_start, &|| Instant::now() >= ends)?;
        if solution.status != Status::Stalled {
            return Ok(solution);
        }
        self.statistics.stalled_solves.add(1);
        tracing::warn!(
            cycle = request.cycle,
            "the solver stalled; Clarabel takes over"
        );
        match general(Backend::Clarabel) {
            Ok(other) if other.objective < solution.objective => Ok(other),
            _ => Ok(solution),
        }
    }
}

/// Where results go when the sequencer listens on a channel.
pub(crate) fn into_channel<T: From<Solved>>(sender: SyncSender<T>) -> impl Fn(Solved) {
    move |solved| {
        // A sequencer that is too busy to take it decides without it.
        let _ = sender.try_send(T::from(solved));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A battery that may charge where that costs little and give where it pays.
    fn problem() -> vpp_optimizer::Problem {
        let all = |value: f64| vec![value; 4];
        vpp_optimizer::Problem {
            intervals_h: all(0.25),
            resources: vec![vpp_optimizer::Resource {
                node: None,
                charge_max_kw: all(10.0),
                discharge_max_kw: all(10.0),
                power_min_kw: all(-10.0),
                power_max_kw: all(10.0),
                energy_min_kwh: all(-5.0),
                energy_max_kwh: all(5.0),
                charge_efficiency: 0.95,
                discharge_efficiency: 0.95,
                initial_power_kw: 0.0,
                ramp_kw_per_h: f64::INFINITY,
                throughput_max_kwh: f64::INFINITY,
                energy_price: vec![0.2, 1.0, 0.3, 0.9],
                feed_in_price: vec![0.2, 1.0, 0.3, 0.9],
                wear: 0.05,
                terminal_value: 0.5,
                regulates: false,
            }],
            nodes: Vec::new(),
            requirements: Vec::new(),
            penalties: vpp_optimizer::Penalties::default(),
        }
    }

    /// What the cycle took before is no longer there for the optimizer.
    #[test]
    fn a_budget_counts_from_the_beginning_of_the_cycle() {
        let problem = problem();
        let request = |seconds| SolveRequest {
            cycle: 1,
            problem: problem.clone(),
            budget: TimeDelta::seconds(seconds),
        };
        let mut worker = Worker {
            method: Method::Fast,
            statistics: Arc::default(),
            last: Vec::new(),
        };
        let long_ago = Instant::now().checked_sub(Duration::from_secs(60));
        let began = long_ago.expect("a minute of uptime");
        let status = |solved: Solved| solved.result.expect("an allocation").status;
        assert_ne!(status(worker.answer(request(59), began)), Status::Optimal);
        assert_eq!(
            status(worker.answer(request(3_600), began)),
            Status::Optimal
        );
    }
}
