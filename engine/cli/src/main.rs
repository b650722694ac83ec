//! The `vpp` command: arguments, progress, exit codes. It wires the others together and decides nothing.

// A reader that has gone must not panic a command: see `say`.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod aggregator;
mod baselines;
mod capability;
mod check;
mod compare;
mod droop;
mod evaluate;
mod files;
mod import;
mod market_day;
mod new;
mod plant;
mod record;
mod register;
mod replay;
mod report;
mod rules;
mod run;
mod say;
mod schema;
mod score;
mod serve;
mod settle;
mod statements;
mod summary;
mod sweep;
mod table;
mod tariff;
mod view;

use crate::say::note;
use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tikv_jemallocator::Jemalloc;

// What one thread makes another drops all the time, reports above all: a replay takes a tenth less time with it than with the
// system's allocator.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

/// Virtual power plant for electric-vehicle charging: aggregates stations, dispatches them, shows what came of it.
#[derive(Parser)]
#[command(version, propagate_version = true, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(run::Arguments),
    Replay(replay::Arguments),
    Sweep(sweep::Arguments),
    Serve(serve::Arguments),
    Aggregator(aggregator::Arguments),
    Register(register::Arguments),
    Record(record::Arguments),
    Check(check::Arguments),
    New(new::Arguments),
    Schema(schema::Arguments),
    Import(import::Arguments),
    Evaluate(evaluate::Arguments),
    Score(score::Arguments),
    Droop(droop::Arguments),
    MarketDay(market_day::Arguments),
    Tariff(tariff::Arguments),
    Rules(rules::Arguments),
    Baselines(baselines::Arguments),
    Settle(settle::Arguments),
    SettleMonth(settle::month::Arguments),
    Statements(statements::Arguments),
    TestCapability(capability::Arguments),
    Report(report::Arguments),
    Compare(compare::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let log = tracing_subscriber::EnvFilter::try_from_env("VPP_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(log)
        .with_writer(std::io::stderr)
        // A file and a pipe take no colours.
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let outcome = match arguments.command {
        Command::Run(arguments) => run::main(arguments),
        Command::Replay(arguments) => replay::main(&arguments),
        Command::Sweep(arguments) => sweep::main(&arguments),
        Command::Serve(arguments) => serve::main(arguments),
        Command::Aggregator(arguments) => aggregator::main(&arguments),
        Command::Register(arguments) => register::main(&arguments),
        Command::Record(arguments) => record::main(&arguments),
        Command::Check(arguments) => check::main(&arguments),
        Command::New(arguments) => new::main(&arguments),
        Command::Schema(arguments) => schema::main(&arguments),
        Command::Import(arguments) => import::main(&arguments),
        Command::Evaluate(arguments) => evaluate::main(&arguments),
        Command::Score(arguments) => score::main(&arguments),
        Command::Droop(arguments) => droop::main(&arguments),
        Command::MarketDay(arguments) => market_day::main(&arguments),
        Command::Tariff(arguments) => tariff::main(&arguments),
        Command::Rules(arguments) => rules::main(&arguments),
        Command::Baselines(arguments) => baselines::main(&arguments),
        Command::Settle(arguments) => settle::main(&arguments),
        Command::SettleMonth(arguments) => settle::month::main(&arguments),
        Command::Statements(arguments) => statements::main(&arguments),
        Command::TestCapability(arguments) => capability::main(&arguments),
        Command::Report(arguments) => report::main(&arguments),
        Command::Compare(arguments) => compare::main(&arguments),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            note!("vpp: {error:#}");
            ExitCode::from(2)
        }
    }
}
