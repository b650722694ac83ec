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

#[derive(Default)]
struct Slot {
    state: Mutex<SlotState>,
    changed: Condvar,
}

#[derive(Default)]
struct SlotState {
    next: Option<Box<SolveRequest>>,
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
            while let Some(request) = theirs.take() {
                done(worker.answer(*request));
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

    /// Hands over a problem, in place of one that has not begun.
    pub(crate) fn submit(&self, request: Box<SolveRequest>) {
        self.slot.locked().next = Some(request);
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

    fn take(&self) -> Option<Box<SolveRequest>> {
        let mut state = self.locked();
        loop {
            if state.stopped {
                return None;
            }
            if let Some(request) = state.next.take() {
                return Some(request);
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
    /// Solves a problem within its budget.
    fn answer(&mut self, request: SolveRequest) -> Solved {
        let started = Instant::now();
        // A panic in a solver is a failure of one cycle, not of the engine: the cycle then goes out without it.
        let attempt = std::panic::AssertUnwindSafe(|| self.solve(&request, started));
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

    fn solve(&self, request: &SolveRequest, started: Instant) -> Result<Solution, SolveError> {
        let problem = &request.problem;
        let budget = request.budget.to_std().unwrap_or_default();
        let general = |backend| {
            let options = Options {
                backend,
                time_limit: Some(budget.saturating_sub(started.elapsed())),
            };
            reference::solve(problem, &options)
        };
        if let Method::Reference(backend) = self.method {
            return general(backend);
        }
        let fits = self.last.len() == problem.resources.len()
            && (self.last.iter()).all(|plan| plan.charge_kw.len() == problem.horizon());
        let warm_start = fits.then_some(self.last.as_slice());
        let solution = vpp_optimizer::solve(problem, warm_start, &|| started.elapsed() >= budget)?;
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
