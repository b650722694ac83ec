//! The city's pilot at the plan's full size, from the data sets that stand beside the project in `../shared/data`.

#![allow(clippy::unwrap_used)] // a test that cannot go on shall fail

use std::path::{Path, PathBuf};

use vpp_scenarios::import::{City, import_city};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

#[test]
fn the_years_are_what_the_import_makes() {
    let data = folder().join("../../shared/data");
    for city in City::ALL {
        let text = import_city(&data, city, &mut |_| ()).unwrap_or_else(|error| panic!("{error}"));
        let path = folder().join(format!("{}.toml", city.name()));
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let stored = std::fs::read_to_string(&path).unwrap();
        assert!(
            stored == text,
            "{} differs; UPDATE_EXPECT=1 writes it anew",
            path.display()
        );
        assert!(text.len() < 200_000, "{} bytes", text.len());
    }
}
