//! Every figure that the README quotes, with the command that makes it:
//! `cargo run --release -p vpp-benches -- NAME [--json]`, one row (with `--json` one JSON object) a case.

mod cycle;
mod regulate;

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
    /// Following a signal: the fast solver of one instant beside a general one.
    Regulate(regulate::Arguments),
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let rows = match arguments.bench {
        Bench::Cycle { cycles } => cycle::measure(cycles)?,
        Bench::Regulate(asked) => regulate::measure(&asked)?,
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
