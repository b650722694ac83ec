use vpp_replay::folder::{self, Options};
fn main() {
    for f in ["/tmp/o_all.toml", "/tmp/o_agr.toml", "/tmp/o_sub.toml"] {
        let scenario = vpp_scenarios::Scenario::load(f).unwrap();
        let path = std::path::Path::new("/tmp/scratch-out");
        let _ = std::fs::remove_dir_all(path);
        let s = folder::replay(&scenario, path, Options::default(), |_| ()).unwrap();
        println!(
            "{f} {:.4} {:?} {:?} {:?} {:?} {:?}",
            s.money.energy_cost_cny / s.energy.import_kwh,
            s.energy,
            s.money,
            s.vehicles,
            s.limits,
            s.events
        );
    }
}
