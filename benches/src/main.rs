//! Every figure that the README quotes, with the command that makes it:
//! `cargo run --release -p vpp-benches -- NAME [--json]`, one row (with `--json` one JSON object) a case.

mod charging;
mod cycle;
mod decision;
mod end_to_end;
mod ingest;
mod instances;
mod optimizer;
mod regd_day;
mod regulate;
mod reliability;
mod save;
mod settle_month;
mod support;
mod tracking;

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use optimizer::{Size, Solver, Source};

/// Measures; prints one row a case.
#[derive(Parser)]
struct Arguments {
    /// What to measure.
    #[command(subcommand)]
    bench: Bench,
    /// One JSON object a row.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(clap::Subcommand)]
enum Bench {
    /// Control cycle, state in to commands ready, at 400 and 1,080 stations.
    Cycle {
        /// Cycles to measure at each size.
        #[arg(long, default_value_t = 1_000)]
        cycles: usize,
    },
    /// A garage's limit shared out over its vehicles: ours beside round robin, earliest deadline and least laxity first.
    Charging(charging::Arguments),
    /// One value of the regulation signal, state in to commands ready, at 1,080 and 100,000 stations.
    Decision(decision::Arguments),
    /// Telemetry through the engine's ingest, beside a bare consumer that only counts.
    Ingest {
        /// Use this broker, whose topic vpp.telemetry.v1 must be empty, instead of the embedded one.
        #[arg(long, value_name = "HOST:PORT")]
        kafka: Option<String>,
        /// Messages in the topic.
        #[arg(long, default_value_t = 30_000)]
        messages: u64,
        /// How often each reads all of them; the medians count.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
    },
    /// Regulation signal received to command on the broker, and the engine's memory.
    EndToEnd(end_to_end::Arguments),
    /// Following a signal: the fast solver of one instant beside a general one.
    Regulate(regulate::Arguments),
    /// A real regulation signal followed by stations that lag: the closed loop beside simpler ways.
    Tracking(tracking::Arguments),
    /// How often promises of a forecast are kept, beside how often they say they will be.
    Reliability(reliability::Arguments),
    /// A real day of regulation, from bid to score to money, beside what a study publishes for it.
    RegdDay(regd_day::Arguments),
    /// A month of a city's meter readings settled, beside `DuckDB`.
    SettleMonth(settle_month::Arguments),
    /// The plan's solver beside HiGHS (with the cargo feature `highs`) and Clarabel; then the exponents of growth.
    Optimizer(optimizer::Arguments),
    /// Writes an instance of `optimizer` to a file.
    Instance(save::Arguments),
    /// The engine's process of `end-to-end`.
    #[command(hide = true)]
    Engine {
        #[arg(long)]
        kafka: String,
        #[arg(long)]
        create_topics: bool,
        #[command(flatten)]
        asked: end_to_end::EngineArguments,
    },
    /// One solver on one instance, in this process: what `optimizer` starts.
    #[command(hide = true)]
    Case(Case),
}

#[derive(clap::Args)]
struct Case {
    #[arg(long)]
    solver: Solver,
    /// Seconds.
    #[arg(long)]
    limit: u64,
    #[arg(long, requires = "seed")]
    size: Option<Size>,
    #[arg(long)]
    seed: Option<u64>,
    #[arg(long)]
    pilot: Option<usize>,
    #[arg(long)]
    instance: Option<PathBuf>,
    #[arg(long, default_value_t = 0)]
    stops: usize,
    #[arg(long)]
    warm: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|_| "warn".into()))
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
    let print = |row: &serde_json::Value| {
        let text = if arguments.json {
            row.to_string()
        } else {
            plain(row)
        };
        println!("{text}");
    };
    let wait = tokio::runtime::Runtime::new()?;
    match arguments.bench {
        Bench::Cycle { cycles } => cycle::measure(cycles)?.iter().for_each(print),
        Bench::Ingest {
            kafka,
            messages,
            rounds,
        } => wait
            .block_on(ingest::measure(kafka, messages, rounds))?
            .iter()
            .for_each(print),
        Bench::EndToEnd(asked) => wait
            .block_on(end_to_end::measure(&asked))?
            .iter()
            .for_each(print),
        Bench::Engine {
            kafka,
            create_topics,
            asked,
        } => wait.block_on(end_to_end::engine(&kafka, create_topics, asked))?,
        Bench::Charging(asked) => charging::measure(&asked, print)?,
        Bench::Optimizer(asked) => optimizer::measure(&asked, print)?,
        Bench::Decision(asked) => decision::measure(&asked, print)?,
        Bench::RegdDay(asked) => regd_day::measure(&asked, print)?,
        Bench::Reliability(asked) => reliability::measure(&asked, print)?,
        Bench::SettleMonth(asked) => settle_month::measure(&asked, print)?,
        Bench::Tracking(asked) => tracking::measure(&asked, print)?,
        Bench::Regulate(asked) => regulate::measure(&asked, print)?,
        Bench::Instance(asked) => save::write(&asked)?,
        Bench::Case(case) => {
            let source = match (case.size, case.seed, case.pilot, case.instance) {
                (Some(size), Some(seed), None, None) => Source::Generated { size, seed },
                (None, None, Some(stations), None) => Source::Pilot { stations },
                (None, None, None, Some(path)) => Source::File(path),
                _ => anyhow::bail!("one of --size with --seed, --pilot and --instance"),
            };
            let limit = Duration::from_secs(case.limit);
            let found = optimizer::run_case(&source, case.solver, limit, case.stops, case.warm)?;
            println!("{}", found.unwrap_or_default());
        }
    }
    Ok(())
}

fn plain(row: &serde_json::Value) -> String {
    let fields = row.as_object().into_iter().flatten();
    fields
        .map(|(name, value)| format!("{name} {value}"))
        .collect::<Vec<_>>()
        .join("  ")
}
