//! A case in a process of its own.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::Value;

use super::case::{Solver, Source};

/// What a child has beyond its solver's limit: making the instance, writing the program down, and looking at the clock.
const GRACE: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(20);

/// Runs a case and reads its figures; `None` when it ran out of time.
pub(super) fn run(
    source: &Source,
    solver: Solver,
    limit: Duration,
    stops: usize,
    warm: bool,
) -> anyhow::Result<Option<Value>> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("case").arg("--solver").arg(solver.to_string());
    command.arg("--limit").arg(limit.as_secs().to_string());
    command.arg("--stops").arg(stops.to_string());
    if warm {
        command.arg("--warm");
    }
    match source {
        Source::Generated { size, seed } => {
            let size = format!("{}x{}", size.stations, size.intervals);
            command.args(["--size", &size, "--seed", &seed.to_string()]);
        }
        Source::Pilot { stations } => {
            command.args(["--pilot", &stations.to_string()]);
        }
        Source::File(path) => {
            command.arg("--instance").arg(path);
        }
    }
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let deadline = Instant::now() + 2 * limit + GRACE;
    let status = loop {
        match child.try_wait()? {
            Some(status) => break status,
            None if Instant::now() < deadline => std::thread::sleep(LOOK),
            None => {
                child.kill()?;
                child.wait()?;
                return Ok(None);
            }
        }
    };
    let output = child.wait_with_output()?;
    if !status.success() {
        bail!("{solver} on {source}: {status}");
    }
    let text = String::from_utf8(output.stdout)?;
    let last = text.lines().last().context("a child that says nothing")?;
    let value: Value = serde_json::from_str(last).with_context(|| last.to_owned())?;
    Ok(Some(value).filter(|value| !value.is_null()))
}
