//! How fast a scenario is replayed: `cargo run --release -p vpp-replay --example speed -- FILE`.

use std::time::Instant;

use vpp_replay::run::Run;
use vpp_scenarios::Scenario;

fn main() {
    let Some(file) = std::env::args().nth(1) else {
        eprintln!("usage: speed FILE");
        std::process::exit(2);
    };
    let scenario = match Scenario::load(&file) {
        Ok(scenario) => scenario,
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(2);
        }
    };
    #[allow(clippy::disallowed_methods)] // it measures
    let clock = Instant::now;
    let began = clock();
    let mut run = Run::new(&scenario).expect("a checked scenario");
    println!("built in {:.2?}", began.elapsed());
    let began = clock();
    run.begin();
    while !run.is_over() {
        run.advance();
    }
    let (spent, length) = (began.elapsed(), run.end() - scenario.start());
    let counts = run.plant().counts();
    println!("{counts:?}");
    let mut total = vpp_scenarios::world::Tally::default();
    for operator in run.plant().operators() {
        total.add(&operator.sites().total());
    }
    println!("{total:#?}");
    for event in run.plant().engine().events().values() {
        println!("{event:#?}");
    }
    println!(
        "{spent:.2?}, {:.0} times real time, {:.1} ms a cycle",
        length.as_seconds_f64() / spent.as_secs_f64(),
        spent.as_secs_f64() * 1e3 / counts.cycles as f64
    );
}
