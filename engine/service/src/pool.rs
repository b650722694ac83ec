//! Threads of one's own. Whoever shares work out among the threads that the whole process shares waits for what others put
//! there: a plan keeps them for seconds, and they have the priority of whoever was the first to use them.

use std::io;

use rayon::{ThreadPool, ThreadPoolBuilder};

/// As many threads as there are processors. Each begins with `begin`.
pub(crate) fn own(name: &'static str, begin: fn()) -> io::Result<ThreadPool> {
    ThreadPoolBuilder::new()
        .thread_name(move |_| name.to_owned())
        .start_handler(move |_| begin())
        .build()
        .map_err(io::Error::other)
}
