//! Lines for whoever reads them. A reader that has gone (`vpp rules | head`) ends nothing: what a command writes to files
//! matters more than who watches.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write, stderr, stdout};

/// As `println!`, to a reader that may have gone.
macro_rules! say {
    ($($part:tt)*) => { $crate::say::out(format_args!("{}\n", format_args!($($part)*))) };
}

/// As `print!`, to a reader that may have gone.
macro_rules! say_as_it_is {
    ($($part:tt)*) => { $crate::say::out(format_args!($($part)*)) };
}

/// As `eprintln!`, to a reader that may have gone.
macro_rules! note {
    ($($part:tt)*) => { $crate::say::aside(format_args!("{}\n", format_args!($($part)*))) };
}

pub(crate) use {note, say, say_as_it_is};

/// Writes to standard output. Where that cannot take it (a full disk), the command has failed.
pub(crate) fn out(text: Arguments<'_>) {
    let mut out = stdout().lock();
    match out.write_fmt(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            aside(format_args!("standard output: {error}\n"));
            std::process::exit(1);
        }
        _ => {}
    }
}

/// Writes to standard error: if that fails there is nobody left to tell.
pub(crate) fn aside(text: Arguments<'_>) {
    let _ = stderr().lock().write_fmt(text);
}
