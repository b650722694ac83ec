//! Outside the loop: notices that the sequencer has stopped turning, says so, and says when it turns again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::statistics::Statistics;

/// The loop turns at least this often, also when nothing happens.
pub(crate) const TURN: Duration = Duration::from_millis(200);

/// When the loop last turned.
#[derive(Clone, Debug)]
pub(crate) struct Heartbeat {
    start: Instant,
    /// Milliseconds since the start.
    last: Arc<AtomicU64>,
}

impl Heartbeat {
    pub(crate) fn new() -> Heartbeat {
        Heartbeat {
            start: Instant::now(),
            last: Arc::default(),
        }
    }

    /// The loop turns.
    pub(crate) fn beat(&self) {
        self.last.store(self.now(), Ordering::Relaxed);
    }

    fn silence(&self) -> Duration {
        let last = self.last.load(Ordering::Relaxed);
        Duration::from_millis(self.now().saturating_sub(last))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// The thread that watches; it ends when this is dropped.
pub(crate) struct Watchdog {
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Watches for silences longer than `limit`. The channel says whether the loop turns.
    pub(crate) fn start(
        heartbeat: Heartbeat,
        limit: Duration,
        statistics: Arc<Statistics>,
    ) -> std::io::Result<(Watchdog, watch::Receiver<bool>)> {
        let (stop, stopped) = sync_channel::<()>(0);
        let (turns, receiver) = watch::channel(true);
        let thread = std::thread::Builder::new()
            .name("vpp-watchdog".into())
            .spawn(move || {
                let mut stuck: Option<Duration> = None;
                while stopped.recv_timeout(limit / 4) == Err(RecvTimeoutError::Timeout) {
                    let silence = heartbeat.silence();
                    match (silence > limit, stuck) {
                        (true, None) => {
                            statistics.stalls.add(1);
                            turns.send_replace(false);
                            tracing::error!(?silence, ?limit, "the control loop is stuck");
                            stuck = Some(silence);
                        }
                        (true, Some(_)) => stuck = Some(silence),
                        (false, Some(silence)) => {
                            turns.send_replace(true);
                            tracing::warn!(?silence, "the control loop turns again");
                            stuck = None;
                        }
                        (false, None) => {}
                    }
                }
            })?;
        let watchdog = Watchdog {
            stop: Some(stop),
            thread: Some(thread),
        };
        Ok((watchdog, receiver))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait_for(mut holds: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !holds() {
            assert!(Instant::now() < deadline, "not within 10 s");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_silent_loop_is_noticed_once_and_so_is_its_return() {
        let statistics = Arc::new(Statistics::default());
        let heartbeat = Heartbeat::new();
        let limit = Duration::from_millis(80);
        let started = Watchdog::start(heartbeat.clone(), limit, Arc::clone(&statistics));
        let (watchdog, turns) = started.expect("a thread");
        wait_for(|| !*turns.borrow());
        std::thread::sleep(limit * 2);
        assert_eq!(statistics.stalls.get(), 1, "one stall, however long");
        wait_for(|| {
            heartbeat.beat();
            *turns.borrow()
        });
        wait_for(|| !*turns.borrow());
        assert_eq!(statistics.stalls.get(), 2);
        drop(watchdog);
    }
}
