//! Memory given back by a thread of its own.
//!
//! Of a large problem that takes milliseconds, and nobody who said stop waits for it. Nor may whoever does it run at the
//! moment at which the answer is handed over: one that has just been woken keeps the processor from the caller until the
//! scheduler's next tick, 1 to 4 ms later. So it waits first. Measured: with a thread of the pool in its place, one stop
//! in fifteen took 1.1 to 3.3 ms (1,080 × 96 on two cores); see the bench's `--stops`.

use std::any::Any;
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

/// Longer than any way back to the caller.
const WAIT: Duration = Duration::from_millis(20);
/// No more is kept than so many values: where one search follows the other, there is always somebody on the way back.
const MOST: usize = 32;

/// Something to drop.
type Remains = Box<dyn Any + Send>;

static ASIDE: OnceLock<Option<Sender<Remains>>> = OnceLock::new();

/// Gives memory back, of a large problem later and elsewhere.
pub(crate) fn drop_aside<T: Send + 'static>(value: T, large: bool) {
    if !large {
        return;
    }
    if let Some(aside) = ASIDE.get_or_init(begin) {
        // Without that thread the value comes back and is dropped here.
        let _ = aside.send(Box::new(value));
    }
}

/// `None` where the system has no more threads.
fn begin() -> Option<Sender<Remains>> {
    let (sender, receiver) = channel::<Remains>();
    let work = move || {
        while let Ok(first) = receiver.recv() {
            let mut kept = vec![first];
            while kept.len() < MOST
                && let Ok(next) = receiver.recv_timeout(WAIT)
            {
                kept.push(next);
            }
            drop(kept);
        }
    };
    let thread = std::thread::Builder::new().name("vpp-aside".into());
    thread.spawn(work).ok().map(|_| sender)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Says when it is dropped, and by whom.
    struct Last(Sender<Option<String>>);

    impl Drop for Last {
        fn drop(&mut self) {
            let name = std::thread::current().name().map(str::to_owned);
            self.0.send(name).expect("the test waits");
        }
    }

    /// Counts how many there are.
    struct Counted<'a>(&'a AtomicUsize);

    impl Drop for Counted<'_> {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Found by a replay of a day that held 2.4 GiB: values came faster than they went.
    #[test]
    fn what_is_kept_does_not_grow() {
        static THERE: AtomicUsize = AtomicUsize::new(0);
        let mut most = 0;
        for _ in 0..400 {
            most = most.max(THERE.fetch_add(1, Ordering::Relaxed));
            drop_aside(Counted(&THERE), true);
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(most <= 3 * MOST, "{most} were kept");
    }

    #[test]
    fn large_things_are_dropped_elsewhere() {
        let (sender, receiver) = channel();
        drop_aside(Last(sender.clone()), true);
        assert!(receiver.try_recv().is_err(), "at once");
        assert_eq!(receiver.recv(), Ok(Some("vpp-aside".to_owned())));
        drop_aside(Last(sender), false);
        let own = std::thread::current().name().map(str::to_owned);
        assert_eq!(receiver.try_recv(), Ok(own));
    }
}
