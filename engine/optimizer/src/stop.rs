//! The caller's word to stop: asked for often, and never taken back.

use std::sync::atomic::{AtomicBool, Ordering};

/// Asks the caller whether to stop, until told so once.
pub(crate) struct Stop<'a> {
    ask: &'a (dyn Fn() -> bool + Sync),
    said: AtomicBool,
}

impl<'a> Stop<'a> {
    pub(crate) fn new(ask: &'a (dyn Fn() -> bool + Sync)) -> Self {
        Self {
            ask,
            said: AtomicBool::new(false),
        }
    }

    /// For work that must come to its end.
    pub(crate) fn never() -> Stop<'static> {
        Stop::new(&|| false)
    }

    /// Asks.
    pub(crate) fn now(&self) -> bool {
        let now = self.said() || (self.ask)();
        if now {
            self.said.store(true, Ordering::Relaxed);
        }
        now
    }

    /// Asks at every 16th step of a loop: for steps too short to ask at each.
    pub(crate) fn now_at(&self, step: usize) -> bool {
        step.is_multiple_of(16) && self.now()
    }

    /// [`Self::go_on`] with [`Self::now_at`].
    pub(crate) fn go_on_at(&self, step: usize) -> Option<()> {
        (!self.now_at(step)).then_some(())
    }

    /// What is counted, up to the end or until somebody says stop. Asks every few hundred: for steps of some nanoseconds.
    pub(crate) fn until<'b, T>(&'b self, items: &'b [T]) -> impl Iterator<Item = (usize, &'b T)> {
        let counted = items.iter().enumerate();
        counted.take_while(|(at, _)| !(at.is_multiple_of(512) && self.now()))
    }

    /// Whether it has been said already.
    pub(crate) fn said(&self) -> bool {
        self.said.load(Ordering::Relaxed)
    }

    /// `Some` as long as nobody says stop: for `?` in long loops.
    pub(crate) fn go_on(&self) -> Option<()> {
        (!self.now()).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn what_was_said_once_stays() {
        let asked = AtomicUsize::new(0);
        let ask = || asked.fetch_add(1, Ordering::Relaxed) == 1;
        let stop = Stop::new(&ask);
        assert!(!stop.said());
        assert_eq!(stop.go_on(), Some(()));
        assert!(stop.now());
        assert!(stop.said() && stop.now());
        assert_eq!(stop.go_on(), None);
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }
}
