//! Every figure that the README quotes, with the command that makes it:
//! `cargo run --release -p vpp-benches -- NAME [--json]`, one row (with `--json` one JSON object) a case.

mod cycle;
mod end_to_end;
mod ingest;
mod support;

use clap::Parser;

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
    EndToEnd {
        /// Use this broker instead of the embedded one.
        #[arg(long, value_name = "HOST:PORT")]
        kafka: Option<String>,
        /// Values of the signal, one every 2 s.
        #[arg(long, default_value_t = 60)]
        signals: u64,
    },
    /// The engine's process of `end-to-end`.
    #[command(hide = true)]
    Engine {
        #[arg(long)]
        kafka: String,
        #[arg(long)]
        create_topics: bool,
    },
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Runtime::new()?;
    let rows = match arguments.bench {
        Bench::Cycle { cycles } => cycle::measure(cycles)?,
        Bench::Ingest {
            kafka,
            messages,
            rounds,
        } => runtime.block_on(ingest::measure(kafka, messages, rounds))?,
        Bench::EndToEnd { kafka, signals } => {
            runtime.block_on(end_to_end::measure(kafka, signals))?
        }
        Bench::Engine {
            kafka,
            create_topics,
        } => {
            runtime.block_on(end_to_end::engine(&kafka, create_topics))?;
            Vec::new()
        }
    };
    for row in rows {
        println!(
            "{}",
            if arguments.json {
                row.to_string()
            } else {
                plain(&row)
            }
        );
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
