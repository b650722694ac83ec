//! The optimizer's thread. It works on the newest problem only: one that has not begun when a newer one comes is dropped.

use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use chrono::TimeDelta;
use vpp_dispatch::{SolveRequest, Solved};
use vpp_optimizer::{Backend, Options};

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
        backend: Backend,
        done: impl Fn(Solved) + Send + 'static,
    ) -> std::io::Result<Solver> {
        let slot = Arc::new(Slot::default());
        let theirs = Arc::clone(&slot);
        let thread = std::thread::Builder::new()
            .name("vpp-solver".into())
            .spawn(move || {
                while let Some(request) = theirs.take() {
                    done(solve(backend, *request));
                }
            })?;
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

/// Solves a problem within its budget.
fn solve(backend: Backend, request: SolveRequest) -> Solved {
    let started = Instant::now();
    let options = Options {
        backend,
        time_limit: request.budget.to_std().ok(),
    };
    // A panic in a solver is a failure of one cycle, not of the engine: the cycle then goes out without it.
    let attempt = std::panic::AssertUnwindSafe(|| vpp_optimizer::solve(&request.problem, &options));
    let result = match std::panic::catch_unwind(attempt) {
        Ok(Ok(solution)) => Ok(solution),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the solver panicked".to_owned()),
    };
    if let Err(reason) = &result {
        tracing::warn!(
            cycle = request.cycle,
            reason,
            "no allocation from the optimizer"
        );
    }
    let solve_time = TimeDelta::from_std(started.elapsed()).unwrap_or(TimeDelta::MAX);
    Solved {
        cycle: request.cycle,
        result,
        solve_time,
    }
}

/// Where results go when the sequencer listens on a channel.
pub(crate) fn into_channel<T: From<Solved>>(sender: SyncSender<T>) -> impl Fn(Solved) {
    move |solved| {
        // A sequencer that is too busy to take it decides without it.
        let _ = sender.try_send(T::from(solved));
    }
}
