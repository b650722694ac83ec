//! Development only.
use std::time::Instant;
fn main() {
    let path = std::env::args().nth(1).unwrap();
    let problem: vpp_optimizer::Problem =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for _ in 0..std::env::args().nth(2).map_or(3, |n| n.parse().unwrap()) {
        let start = Instant::now();
        let (cost, bound, end, iterations) = vpp_optimizer::fast::trial(&problem);
        println!(
            "fast {:.3} s {end} {iterations} cost {cost:.6} bound {bound:.6}",
            start.elapsed().as_secs_f64()
        );
    }
}
