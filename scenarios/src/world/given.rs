//! What the scenario says, and a saved world does not: its stations find it again when they are put back.

use std::ops::Deref;
use std::sync::Arc;

/// Something of the scenario, shared by stations.
#[derive(Debug)]
pub(super) struct Given<T: ?Sized>(Option<Arc<T>>);

impl<T: ?Sized> Given<T> {
    pub(super) fn new(given: Arc<T>) -> Given<T> {
        Given(Some(given))
    }
}

impl<T: ?Sized> Clone for Given<T> {
    fn clone(&self) -> Self {
        Given(self.0.clone())
    }
}

/// What is missing until it is put back.
impl<T: ?Sized> Default for Given<T> {
    fn default() -> Self {
        Given(None)
    }
}

impl<T: ?Sized> Deref for Given<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match &self.0 {
            Some(given) => given,
            None => unreachable!("a saved station lives before it is put back"),
        }
    }
}
