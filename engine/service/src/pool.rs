//! Threads of one's own. Whoever shares work out among the threads that the whole process shares waits for what others put
//! there: a plan keeps them for seconds, and they have the priority of whoever was the first to use them.

use std::io;
use std::num::NonZero;

use rayon::{ThreadPool, ThreadPoolBuilder};

/// As many threads as there are processors, but for some that are left to others. Each begins with `begin`.
pub(crate) fn own(name: &'static str, left: usize, begin: fn()) -> io::Result<ThreadPool> {
    let all = std::thread::available_parallelism().map_or(1, NonZero::get);
    ThreadPoolBuilder::new()
        .num_threads(all.saturating_sub(left).max(1))
        .thread_name(move |_| name.to_owned())
        .start_handler(move |_| begin())
        .build()
        .map_err(io::Error::other)
}
