//! `vpp test-capability`.

mod live;
mod report;
mod simulated;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use vpp_market_adapters::capability::{CapabilityRules, Purpose, Step};
use vpp_market_adapters::regulation::Sample;

use crate::files::may_write;
use crate::plant;
use live::Live;
use report::{FILES, Report};
use simulated::Simulated;

/// Test what the stations enrolled in regulation can do: steps up and down, and what the meters show.
///
/// Without --engine the stations of a scenario are simulated on a virtual clock: an hour takes seconds. With it a running
/// engine is asked, in real time, over its regulation stream. Beware: real stations are moved.
///
/// Examples:
///
///   vpp test-capability --out report                    (the built-in pilot)
///
///   vpp test-capability scenarios/fleet-small.toml --repeats 1
///
///   vpp test-capability --engine 127.0.0.1:50051 --up-kw 2000 --down-kw 2000 --out report
///
/// Writes report.html, report.json and trace.csv (which `vpp score` reads) into --out.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The scenario file; without it the pilot that is built in.
    #[arg(conflicts_with = "engine")]
    scenario: Option<PathBuf>,
    /// Test the stations of the engine that listens here.
    #[arg(long, value_name = "HOST:PORT")]
    engine: Option<String>,
    /// Capacity to test up (drawing less), kW. Neither this nor --down-kw: the same up and down, together all that the
    /// engine promises.
    #[arg(long, value_parser = power)]
    up_kw: Option<f64>,
    /// Capacity to test down (drawing more), kW.
    #[arg(long, value_parser = power)]
    down_kw: Option<f64>,
    /// For how long the engine must be able to keep it, s.
    #[arg(long, default_value_t = 900, value_parser = clap::value_parser!(u32).range(60..=86_400))]
    sustain_s: u32,
    /// What it is for: how near is near enough.
    #[arg(long, value_enum, default_value = "regulation")]
    purpose: Near,
    /// How often each step is taken; by default as the rules say.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100))]
    repeats: Option<u32>,
    /// How long each step is kept, s; by default as the rules say.
    #[arg(long, value_parser = clap::value_parser!(u32).range(60..=86_400))]
    hold_s: Option<u32>,
    /// Tell the engine what was kept: from then on it calls and promises no more than that of every aggregator. What an
    /// earlier test showed is forgotten first.
    #[arg(long, requires = "engine")]
    apply: bool,
    /// A rule pack in place of the one that is built in.
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// A folder for the report; made if it is not there.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Overwrite files of these names that are there.
    #[arg(long)]
    force: bool,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Near {
    /// Following a regulation signal.
    Regulation,
    /// Demand response and peak shaving.
    DemandResponse,
}

fn power(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "is no number".to_owned())?;
    let fine = value.is_finite() && (0.0..=1e8).contains(&value);
    fine.then_some(value)
        .ok_or_else(|| "must be 0 to 100,000,000 kW".to_owned())
}

/// What the engine promised before the test.
#[derive(Clone, Copy, Debug)]
struct Promised {
    up_kw: f64,
    down_kw: f64,
    stations: usize,
    /// Rated power of all that is registered, kW.
    connected_kw: f64,
}

/// Stations that can be asked.
trait Tested {
    /// Opens regulation with at most so much.
    fn start(&mut self, up_kw: f64, down_kw: f64) -> anyhow::Result<Promised>;

    /// Asks for a share of the capacity (positive: draw less); a second passes. What is achieved at its end, kW.
    fn ask(&mut self, share: f64) -> anyhow::Result<f64>;

    /// Lets go.
    fn stop(&mut self) -> anyhow::Result<()>;

    /// Tells the engine how much of what it promised is kept; none: nobody knows.
    fn set_tested_share(&mut self, share: Option<f64>) -> anyhow::Result<()>;
}

pub(crate) fn main(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let out = arguments.out.as_ref();
    let files = out.map(|folder| FILES.map(|name| folder.join(name)));
    may_write(files.iter().flatten(), arguments.force)?;
    let own;
    let rules = match &arguments.rules {
        Some(path) => {
            let text =
                std::fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
            own = CapabilityRules::parse(&text).with_context(|| format!("{}", path.display()))?;
            &own
        }
        None => CapabilityRules::standard(),
    };
    if let Some(hold) = arguments.hold_s {
        anyhow::ensure!(
            f64::from(hold) >= rules.settle_s(),
            "--hold-s: {hold} s is shorter than the {} s that a step must stay to count",
            rules.settle_s()
        );
    }
    let (name, mut tested): (String, Box<dyn Tested>) = match &arguments.engine {
        Some(address) => (
            address.clone(),
            Box::new(Live::new(address, arguments.sustain_s)?),
        ),
        None => {
            let scenario = plant::scenario(arguments.scenario.as_deref())?;
            let name = format!("{} (simulated)", scenario.header.name);
            (
                name,
                Box::new(Simulated::new(&scenario, arguments.sustain_s)?),
            )
        }
    };
    // More than any plant has.
    let most = 1e8;
    if arguments.apply {
        tested.set_tested_share(None)?;
    }
    let (up_kw, down_kw) = match (arguments.up_kw, arguments.down_kw) {
        (None, None) => {
            let range = tested.start(most, most)?;
            tested.stop()?;
            let half = (range.up_kw + range.down_kw) / 2.0;
            (half, half)
        }
        (up, down) => (up.unwrap_or(0.0), down.unwrap_or(0.0)),
    };
    let promised = tested.start(up_kw, down_kw)?;
    let purpose = match arguments.purpose {
        Near::Regulation => Purpose::Regulation,
        Near::DemandResponse => Purpose::DemandResponse,
    };
    let (steps, trace) = take(tested.as_mut(), rules, arguments, promised)?;
    tested.stop()?;
    let results = steps.iter().map(|step| rules.measure(step, purpose));
    let results: Vec<_> = results.collect::<Result<_, _>>()?;
    let capability = rules.conclude(&results)?;
    if arguments.apply {
        tested.set_tested_share(Some(capability.kept_share()))?;
    }
    let report = Report {
        name,
        rules,
        purpose,
        promised,
        results,
        capability,
        trace,
    };
    if let Some(out) = &arguments.out {
        report
            .write(out)
            .with_context(|| format!("writing the report to {}", out.display()))?;
    }
    report.print(arguments.json);
    Ok(ExitCode::SUCCESS)
}

/// Takes all steps. What each showed, and the whole trace.
fn take(
    tested: &mut dyn Tested,
    rules: &CapabilityRules,
    arguments: &Arguments,
    promised: Promised,
) -> anyhow::Result<(Vec<Step>, Vec<Sample>)> {
    let hold_s = arguments.hold_s.map_or(rules.hold_s(), f64::from);
    let repeats = arguments.repeats.unwrap_or(rules.repeats());
    let mut shares = Vec::new();
    for share in rules.steps() {
        for (capacity, sign) in [(promised.up_kw, 1.0), (promised.down_kw, -1.0)] {
            if capacity > 0.0 {
                shares.push((sign * share, sign * share * capacity));
            }
        }
    }
    anyhow::ensure!(!shares.is_empty(), "the engine promises nothing to test");
    let count = u64::from(repeats) * shares.len() as u64;
    let bar = ProgressBar::new(count);
    if let Ok(style) =
        ProgressStyle::with_template("{bar:30.cyan/dim} step {pos} of {len}, {eta} left {msg}")
    {
        bar.set_style(style);
    }
    let mut steps = Vec::new();
    let mut trace: Vec<Sample> = Vec::new();
    let mut clock = Clock::default();
    for repetition in 1..=repeats {
        for &(share, target_kw) in &shares {
            bar.set_message(format!("({:+.0} %)", share * 100.0));
            let from = trace.len();
            clock.run(tested, 0.0, 0.0, rules.rest_s(), &mut trace)?;
            let ordered_at_s = clock.at_s;
            clock.run(tested, share, target_kw, hold_s, &mut trace)?;
            steps.push(Step {
                repetition,
                share,
                target_kw,
                ordered_at_s,
                samples: trace[from..].to_vec(),
            });
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    Ok((steps, trace))
}

/// Seconds since the first sample.
#[derive(Default)]
struct Clock {
    at_s: f64,
}

impl Clock {
    /// Keeps a share for some seconds.
    fn run(
        &mut self,
        tested: &mut dyn Tested,
        share: f64,
        asked_kw: f64,
        seconds: f64,
        trace: &mut Vec<Sample>,
    ) -> anyhow::Result<()> {
        let end = self.at_s + seconds;
        while self.at_s < end - 1e-9 {
            let got_kw = tested.ask(share)?;
            self.at_s += 1.0;
            trace.push(Sample {
                at_s: self.at_s,
                asked_kw,
                got_kw,
            });
        }
        Ok(())
    }
}
