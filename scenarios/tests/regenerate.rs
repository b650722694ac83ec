use std::path::Path;
#[test]
fn gen_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let data = root.join("../../shared/data");
    let options = vpp_scenarios::import::ImportOptions::default();
    let text = vpp_scenarios::import::import(&data, &options, &mut |s| eprintln!("{s}"))
        .unwrap_or_else(|e| panic!("{e}"));
    std::fs::write("/tmp/pilot.toml", &text).unwrap();
    let s = vpp_scenarios::Scenario::parse(&text).unwrap();
    let f = s.fleet().unwrap();
    let e = s.estimate(s.start()).unwrap();
    eprintln!(
        "{} bytes, {} stations {} piles {} v2g, {:?}",
        text.len(),
        f.stations().len(),
        f.stations().iter().map(|s| s.pile_count()).sum::<u64>(),
        f.stations().iter().map(|s| s.v2g_pile_count()).sum::<u64>(),
        e
    );
    let reg: Vec<_> = f
        .stations()
        .iter()
        .filter(|s| s.regulates)
        .map(|s| {
            (
                s.pile_count(),
                s.v2g_pile_count(),
                s.import_limit.to_string(),
            )
        })
        .collect();
    eprintln!("{reg:?}");
    for h in 0..24 {
        let e = s.estimate(s.start() + chrono::TimeDelta::hours(h)).unwrap();
        eprintln!(
            "{} {:.1} ac {:.1} dc {:.1} plugged {:.0}",
            (16 + h) % 24,
            e.draw_kw() / 1e3,
            e.ac_kw / 1e3,
            e.dc_kw / 1e3,
            e.plugged
        );
    }
}
