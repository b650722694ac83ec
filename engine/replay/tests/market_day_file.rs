//! A market day's file: what it says becomes the day, and what cannot be is told by file and line.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use vpp_replay::market_day::MarketDay;
use vpp_replay::market_day::file::MarketDayFile;

const FILE: &str = r#"
format = 1
name = "two hours"
currency = "CNY"
data = "data"
interval_h = 1.0
sustain_h = 0.25
expected_score = 0.9
energy_price = { file = "prices.csv", column = "energy_mwh", factor = 0.001 }
capacity_price = [0.1, 0.2]
mileage_price = 0.001
expected_mileage = 2.0
signal = [1.0, -1.0, 0.0, 0.0]

[[asset]]
name = "battery"
charge_max_kw = 100
discharge_max_kw = [100, 50]
store = { initial_kwh = 200, least_kwh = 0, greatest_kwh = 400, final_kwh = 200, charge_efficiency = 0.9, discharge_efficiency = 0.8 }

[[vehicles]]
name = "cars"
plugged_in = "cars.csv"
charge_max_kw = 10
discharge_max_kw = 5
initial_kwh = 20
least_kwh = 5
greatest_kwh = 50
departure_kwh = 30
charge_efficiency = 1.0
discharge_efficiency = 1.0
discharge_wear = 0.2
"#;
const PRICES: &str = "hour,energy_mwh\n0,500\n1,600\n";
const CARS: &str = "car,h0,h1\na,1,1\nb,1,0\nc,1,1\n";

struct Folder(tempfile::TempDir);

impl Folder {
    fn new(file: &str, prices: &str, cars: &str) -> Folder {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("data")).unwrap();
        for (name, text) in [
            ("day.toml", file),
            ("data/prices.csv", prices),
            ("data/cars.csv", cars),
        ] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        Folder(folder)
    }

    fn load(&self, only: &[String]) -> Result<MarketDay, String> {
        let path: PathBuf = self.0.path().join("day.toml");
        let day = MarketDayFile::read(&path).and_then(|file| file.load(only));
        day.map_err(|error| error.to_string())
    }
}

#[test]
fn a_day_is_what_its_file_says() {
    let day = Folder::new(FILE, PRICES, CARS).load(&[]).unwrap();
    assert_eq!(day.energy_price, [0.5, 0.6]);
    assert_eq!(
        (&day.capacity_price[..], &day.mileage_price[..]),
        (&[0.1, 0.2][..], &[0.001; 2][..])
    );
    // Two cars that stay and one that leaves after an hour.
    let found: Vec<_> = (day.assets.iter())
        .map(|a| {
            (
                a.name.as_str(),
                &a.charge_max_kw[..],
                a.store.as_ref().unwrap().due,
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("cars: 1", &[10.0, 0.0][..], Some((0, 30.0))),
            ("cars: 2", &[20.0, 20.0][..], Some((1, 60.0))),
            ("battery", &[100.0, 100.0][..], Some((1, 200.0))),
        ]
    );
    assert_eq!(day.assets[2].discharge_max_kw, [100.0, 50.0]);
    // Half of the time full, alike in both directions; half of the time nothing.
    for shares in &day.expected_shares {
        let full: Vec<f64> = (day.levels.iter().zip(shares))
            .filter(|(level, _)| level.abs() > 0.99)
            .map(|(_, share)| *share)
            .collect();
        assert_eq!(full, [0.25, 0.25]);
    }
    day.run(|_| {}).unwrap();
    let only = Folder::new(FILE, PRICES, CARS).load(&["battery".into()]);
    assert_eq!(only.unwrap().assets.len(), 1);
}

#[test]
fn a_packed_table_is_unpacked() {
    use std::io::Write as _;
    let folder = Folder::new(&FILE.replace("prices.csv", "prices.csv.gz"), "", CARS);
    let file = std::fs::File::create(folder.0.path().join("data/prices.csv.gz")).unwrap();
    let mut packed = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    packed.write_all(PRICES.as_bytes()).unwrap();
    packed.finish().unwrap();
    assert_eq!(folder.load(&[]).unwrap().energy_price, [0.5, 0.6]);
}

#[test]
fn what_cannot_be_is_told() {
    let file = |from: &str, to: &str| {
        (
            FILE.replacen(from, to, 1),
            PRICES.to_owned(),
            CARS.to_owned(),
        )
    };
    let prices = |text: &str| (FILE.to_owned(), text.to_owned(), CARS.to_owned());
    let cars = |text: &str| (FILE.to_owned(), PRICES.to_owned(), text.to_owned());
    let table = [
        (
            file("format = 1", "format = 2"),
            "day.toml: format: 2 is not known, 1 is",
        ),
        (file("currency", "curency"), "unknown field `curency`"),
        (
            file("[0.1, 0.2]", "[0.1]"),
            "capacity_price: 1 values for 2 intervals",
        ),
        (
            file("[100, 50]", "[1, 2, 3]"),
            "asset \"battery\": discharge_max_kw: 3 values for 2 intervals",
        ),
        (file("\"cars\"", "\"battery\""), "the same name"),
        (file("prices.csv", "price.csv"), "price.csv: No such file"),
        (
            file("energy_mwh", "energy"),
            "prices.csv: no column \"energy\"; there are hour, energy_mwh",
        ),
        (
            file("signal = [1.0, -1.0, 0.0, 0.0]", "signal = 1.0"),
            "signal: a list or a column",
        ),
        (
            prices("hour,energy_mwh\n0,500\n1,\n"),
            "prices.csv: line 3: energy_mwh: \"\" is no number",
        ),
        (
            prices("hour,energy_mwh\n0,nan\n1,3\n"),
            "prices.csv: line 2: energy_mwh: \"nan\" is no number",
        ),
        (prices("hour,energy_mwh\n0\n"), "prices.csv: CSV error"),
        (
            cars("car,h0,h1\na,1,2\n"),
            "cars.csv: line 2: not 2 times 0 or 1",
        ),
        (
            cars("car,h0\na,1\n"),
            "cars.csv: line 2: not 2 times 0 or 1",
        ),
    ];
    for ((file, prices, cars), expected) in table {
        let error = Folder::new(&file, &prices, &cars).load(&[]).unwrap_err();
        assert!(error.contains(expected), "{error}\nexpected: {expected}");
    }
    let unknown = Folder::new(FILE, PRICES, CARS)
        .load(&["bus".into()])
        .unwrap_err();
    assert!(
        unknown.contains("there is no \"bus\"; there are battery, cars"),
        "{unknown}"
    );
    let empty = FILE.replacen(
        r#"{ file = "prices.csv", column = "energy_mwh", factor = 0.001 }"#,
        "[]",
        1,
    );
    let empty = Folder::new(&empty, PRICES, CARS).load(&[]).unwrap_err();
    assert!(empty.contains("there is no interval"), "{empty}");
    // What the day itself refuses.
    let (file, ..) = file(
        "signal = [1.0, -1.0, 0.0, 0.0]",
        "signal = [2.0, 0.0, 0.0, 0.0]",
    );
    let day = Folder::new(&file, PRICES, CARS).load(&[]).unwrap();
    assert!(
        day.run(|_| {})
            .unwrap_err()
            .to_string()
            .contains("signal[0]")
    );
}
