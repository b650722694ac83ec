//! What people see while it runs.

use crate::say::note;
use chrono::TimeDelta;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use vpp_core::Timestamp;
use vpp_proto::v1;

/// A progress bar with the figures of the last cycle; plain lines where there is no terminal.
pub(crate) struct View {
    bar: ProgressBar,
    terminal: bool,
}

impl View {
    /// Everything goes to the standard error, so that the summary alone is on the standard output.
    pub(crate) fn new(quiet: bool) -> View {
        let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{bar:30.cyan/dim} {msg}") {
            bar.set_style(style);
        }
        let terminal = !bar.is_hidden();
        if quiet {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        View { bar, terminal }
    }

    pub(crate) fn say(&self, text: &str) {
        self.bar.suspend(|| note!("{text}"));
    }

    pub(crate) fn waiting(&self, fresh: u32, all: u32) {
        self.bar.set_length(u64::from(all));
        self.bar.set_position(u64::from(fresh));
        self.bar
            .set_message(format!("{fresh} of {all} stations report"));
    }

    pub(crate) fn capability(&self, capability: Option<&v1::Capability>) {
        let Some(capability) = capability else { return };
        let mw = |kw: f64| kw / 1e3;
        let direction = |d: &Option<v1::CapabilityDirection>| d.unwrap_or_default();
        let (up, down) = (direction(&capability.up), direction(&capability.down));
        self.say(&format!(
            "capability: {:.1} MW drawn now; connected {:.1} MW, declared {:.1} MW, callable for 15 min: \
             {:.1} MW up, {:.1} MW down",
            mw(capability.active_power_kw),
            mw(up.connected_kw),
            mw(up.declared_kw),
            mw(up.callable_kw),
            mw(down.callable_kw)
        ));
    }

    pub(crate) fn event(&self, event: &v1::Event) {
        let why = if event.refusal_reason.is_empty() {
            String::new()
        } else {
            format!(" ({})", event.refusal_reason)
        };
        self.say(&format!(
            "{}: {:.2} MW promised by {} aggregators{why}",
            event.event_id,
            event.accepted_kw / 1e3,
            event.commitments.len()
        ));
    }

    pub(crate) fn cycle(
        &self,
        cycle: &v1::WatchDispatchResponse,
        start: Timestamp,
        now: Timestamp,
        end: Timestamp,
    ) {
        let seconds = |length: TimeDelta| u64::try_from(length.num_seconds()).unwrap_or(0);
        let text = format!(
            "{:>3} s of {} s | ordered {:5.2} MW, acknowledged {:5.2}, delivered {:5.2} of {:5.2} | {:>4} commands | \
             {:>4.0} ms {} | violations {}",
            seconds(now - start),
            seconds(end - start),
            cycle.ordered_kw / 1e3,
            cycle.acknowledged_kw / 1e3,
            cycle.delivered_kw / 1e3,
            cycle.committed_kw / 1e3,
            cycle.command_count,
            cycle.cycle_ms,
            decision(cycle.decision()),
            cycle.limit_violation_count
        );
        self.bar.set_length(seconds(end - start));
        self.bar.set_position(seconds(now - start));
        if self.terminal {
            self.bar.set_message(text);
        } else {
            note!("{text}");
        }
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn decision(decision: v1::Decision) -> &'static str {
    match decision {
        v1::Decision::Unspecified => "idle",
        v1::Decision::Optimal => "optimal",
        v1::Decision::Incumbent => "incumbent",
        v1::Decision::Fallback => "fallback",
        v1::Decision::Hold => "hold",
    }
}
