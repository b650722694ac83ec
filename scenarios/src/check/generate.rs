//! Checks of generated fleets: the rows before anything is made of them, and what is wrong with what was made.

use vpp_core::{NodeKind, StationId};

use super::fleet::MAX_PILES;
use super::{Finding, Findings, check_quantiles, check_shares};
use crate::format::{GenerateRow, GridRow, Scenario};
use crate::generate::Generated;

/// The most stations that a row makes: the charging stations of a province.
const MAX_STATIONS: u32 = 100_000;

impl Scenario {
    /// What is wrong with the rows themselves.
    pub(crate) fn check_rows_to_generate(&self) -> Vec<Finding> {
        let mut findings = Findings::default();
        let names = self.fleet.generate.iter().enumerate();
        findings.unique(
            "generated part",
            names.map(|(i, row)| (format!("fleet.generate[{i}].id"), row.id.as_str())),
        );
        for (i, row) in self.fleet.generate.iter().enumerate() {
            let at = format!("fleet.generate[{i}]");
            check_figures(&mut findings, &at, row);
            self.check_references(&mut findings, &at, row);
            self.check_grid(&mut findings, &format!("{at}.grid"), &row.grid);
        }
        findings.0
    }

    fn check_references(&self, findings: &mut Findings, at: &str, row: &GenerateRow) {
        for aggregator in row.aggregators.keys() {
            if !self.aggregators.iter().any(|known| known.id == *aggregator) {
                let known = self.aggregators.iter().map(|row| row.id.as_str());
                let path = format!("{at}.aggregators.{aggregator}");
                findings.known(path, "aggregator", aggregator.as_str(), known);
            }
        }
        let (what, known): (_, Vec<&str>) = match &row.slots {
            None => ("session profile", names(&self.sessions)),
            Some(_) => ("swap profile", names(&self.swaps)),
        };
        match row.profile.as_deref() {
            Some(profile) if !known.contains(&profile) => {
                findings.known(format!("{at}.profile"), what, profile, known);
            }
            None if row.slots.is_some() => {
                findings.add(at, "stations with slots need a swap profile");
            }
            _ => {}
        }
    }

    fn check_grid(&self, findings: &mut Findings, at: &str, grid: &GridRow) {
        for (key, count) in [
            ("stations_per_feeder", Some(grid.stations_per_feeder)),
            ("feeders_per_substation", grid.feeders_per_substation),
        ] {
            if count == Some(0) {
                findings.add(format!("{at}.{key}"), "0 is not positive");
            }
        }
        for (key, share) in [
            ("feeder_share", Some(grid.feeder_share)),
            ("substation_share", grid.substation_share),
        ] {
            if let Some(share) = share {
                findings.positive(format!("{at}.{key}"), share, 10.0);
            }
        }
        if grid.substation_share.is_some() && grid.feeders_per_substation.is_none() {
            let message = "is for substations; feeders_per_substation makes them";
            findings.add(format!("{at}.substation_share"), message);
        }
        findings.within(format!("{at}.export_share"), grid.export_share, 0.0, 1.0);
        super::tree::check_base_load(findings, &format!("{at}.base_load_kw"), &grid.base_load_kw);
        let Some(parent) = &grid.parent else { return };
        let lowest = match grid.feeders_per_substation {
            Some(_) => NodeKind::Substation,
            None => NodeKind::Feeder,
        };
        match self.nodes.iter().find(|node| node.id == *parent) {
            None => {
                let known = self.nodes.iter().map(|node| node.id.as_str());
                findings.known(format!("{at}.parent"), "node", parent.as_str(), known);
            }
            Some(node) if node.kind > lowest => {
                let message = format!("{parent} is of a lower level than {lowest:?}");
                findings.add(format!("{at}.parent"), message.to_lowercase());
            }
            Some(_) => {}
        }
    }

    /// Lays what was found in generated nodes and stations at the row that made them.
    pub(super) fn at_their_rows(&self, findings: &mut [Finding], generated: &[Generated]) {
        for finding in findings {
            for (i, made) in generated.iter().enumerate() {
                let at = format!("fleet.generate[{i}]");
                let (name, path) = if let Some((node, key)) = row_of(&finding.path, "node[")
                    && made.nodes.contains(&node)
                {
                    let node = &self.nodes[node];
                    let key = match (key, node.kind) {
                        (".import_limit_kw", NodeKind::Substation)
                            if self.fleet.generate[i].grid.substation_share.is_some() =>
                        {
                            ".grid.substation_share"
                        }
                        (".import_limit_kw", _) => ".grid.feeder_share",
                        _ => "",
                    };
                    (node.id.to_string(), format!("{at}{key}"))
                } else if let Some((station, _)) = row_of(&finding.path, "fleet.stations[")
                    && made.stations.contains(&station)
                {
                    (self.fleet.stations[station].id.to_string(), at)
                } else {
                    continue;
                };
                finding.path = path;
                finding.message = format!("{name}: {}", finding.message);
                break;
            }
        }
    }
}

/// The position in a path such as `node[3].parent`, and what follows.
fn row_of<'p>(path: &'p str, list: &str) -> Option<(usize, &'p str)> {
    let (position, key) = path.strip_prefix(list)?.split_once(']')?;
    Some((position.parse().ok()?, key))
}

fn names<T>(all: &std::collections::BTreeMap<String, T>) -> Vec<&str> {
    all.keys().map(String::as_str).collect()
}

fn check_figures(findings: &mut Findings, at: &str, row: &GenerateRow) {
    let path = |key: &str| format!("{at}.{key}");
    // The longest name that is made of it.
    if let Err(invalid) = StationId::new(row.station_name(MAX_STATIONS)) {
        findings.add(path("id"), invalid.problem);
    }
    if row.stations == 0 || row.stations > MAX_STATIONS {
        let message = format!("{} is outside 1 to {MAX_STATIONS}", row.stations);
        findings.add(path("stations"), message);
    }
    let counts = [("ac", &row.ac), ("dc", &row.dc), ("slots", &row.slots)];
    for (key, quantiles) in counts {
        if let Some(quantiles) = quantiles {
            #[allow(clippy::cast_precision_loss)] // a count of piles
            check_quantiles(findings, &path(key), quantiles, (MAX_PILES / 2) as f64);
        }
    }
    match (row.ac.is_some() || row.dc.is_some(), row.slots.is_some()) {
        (true, true) => findings.add(path("slots"), "piles and slots at one station; make it two"),
        (false, false) => findings.add(at, "neither ac nor dc nor slots; no station has piles"),
        _ => {}
    }
    for (key, share) in [
        ("v2g_share_ac", row.v2g_share_ac),
        ("v2g_share_dc", row.v2g_share_dc),
        ("regulates_share", Some(row.regulates_share)),
        ("default_setpoint_share", row.default_setpoint_share),
    ] {
        if let Some(share) = share {
            findings.within(path(key), share, 0.0, 1.0);
        }
    }
    let shares: Vec<f64> = row.aggregators.values().copied().collect();
    check_shares(findings, &path("aggregators"), &shares);
    let [low, high] = row.place;
    for (corner, place) in [low, high].into_iter().enumerate() {
        findings.within(
            path(&format!("place[{corner}][0]")),
            place[0],
            -180.0,
            180.0,
        );
        findings.within(path(&format!("place[{corner}][1]")), place[1], -90.0, 90.0);
    }
    if low[0] > high[0] || low[1] > high[1] {
        let message = "the first corner is not south-west of the second";
        findings.add_hint(path("place"), message, "[[west, south], [east, north]]");
    }
}
