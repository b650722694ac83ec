//! Checks of the electric tree.

use std::collections::BTreeMap;

use vpp_core::Power;
use vpp_core::units::MAX_KILOWATTS;

use super::Findings;
use crate::format::Scenario;

impl Scenario {
    pub(super) fn check_tree(&self, findings: &mut Findings) {
        if self.nodes.is_empty() {
            findings.add("node", "no node; at least 1 is needed");
        }
        let names = self.nodes.iter().enumerate();
        findings.unique(
            "node",
            names.map(|(i, row)| (format!("node[{i}].id"), row.id.as_str())),
        );
        let rows = self.node_positions();
        for (i, row) in self.nodes.iter().enumerate() {
            let path = |key: &str| format!("node[{i}].{key}");
            findings.power(path("import_limit_kw"), row.import_limit_kw);
            findings.power(path("export_limit_kw"), row.export_limit_kw);
            if let Some(agreement) = &row.agreement {
                let (agreed, least) = (agreement.import_limit_kw, row.import_limit_kw);
                findings.within(
                    path("agreement.import_limit_kw"),
                    agreed,
                    least,
                    MAX_KILOWATTS,
                );
                if agreement.duration_s == 0 {
                    findings.add(path("agreement.duration_s"), "0 is not positive");
                }
            }
            check_base_load(findings, &path("base_load_kw"), &row.base_load_kw);
            let Some(parent) = &row.parent else { continue };
            match rows.get(parent.as_str()) {
                None => {
                    let known = rows.keys().copied();
                    findings.known(path("parent"), "node", parent.as_str(), known);
                }
                Some(&above) if self.nodes[above].kind > row.kind => {
                    let message = format!("{parent} is of a lower level than {:?}", row.kind);
                    findings.add_hint(
                        path("parent"),
                        message.to_lowercase(),
                        "substation, feeder, transformer from the top",
                    );
                }
                Some(_) => {}
            }
            if self.path_to_root(i, &rows).is_none() {
                let message = format!("{} lies below itself", row.id);
                findings.add_hint(path("parent"), message, "the tree must not have a cycle");
            }
        }
    }

    pub(super) fn node_positions(&self) -> BTreeMap<&str, usize> {
        let rows = self.nodes.iter().enumerate();
        rows.map(|(i, row)| (row.id.as_str(), i)).collect()
    }

    /// The node and all above it; none where the way up comes back to the node itself or never ends.
    fn path_to_root(&self, node: usize, rows: &BTreeMap<&str, usize>) -> Option<Vec<usize>> {
        let above = |&at: &usize| {
            let parent = self.nodes[at].parent.as_ref()?;
            rows.get(parent.as_str()).copied()
        };
        let most = self.nodes.len();
        let path: Vec<usize> = std::iter::successors(Some(node), above)
            .take(most + 1)
            .collect();
        (path.len() <= most).then_some(path)
    }

    /// With every station silent at its default setpoint, no node may be above its limit, even if the base loads
    /// underneath peak together.
    pub(super) fn check_defaults(&self, findings: &mut Findings) {
        let rows = self.node_positions();
        let mut defaults = vec![Power::ZERO; self.nodes.len()];
        let mut peaks = vec![0.0; self.nodes.len()];
        let stations = self.stations();
        for station in &stations {
            let node = rows[station.node.as_str()];
            for above in self.path_to_root(node, &rows).unwrap_or_default() {
                defaults[above] += station.default_setpoint;
            }
        }
        for (i, row) in self.nodes.iter().enumerate() {
            let peak = row.base_load_kw.iter().copied().fold(f64::MIN, f64::max);
            for above in self.path_to_root(i, &rows).unwrap_or_default() {
                peaks[above] += peak;
            }
        }
        for (i, row) in self.nodes.iter().enumerate() {
            let (ours, peak) = (defaults[i].as_kilowatts(), peaks[i]);
            // A limit below the base load alone is no fault of stations, unless there are some.
            // Sums of kilowatts are off by less than a milliwatt.
            if ours > 0.0 && ours + peak > row.import_limit_kw + 1e-6 {
                let message = format!(
                    "{} kW is below {:.3} kW, the default setpoints underneath ({ours:.3} kW) with the peaks of the base loads ({peak:.3} kW)",
                    row.import_limit_kw,
                    ours + peak,
                );
                findings.add_hint(
                    format!("node[{i}].import_limit_kw"),
                    message,
                    "raise the limit, or lower default_setpoint_share or default_setpoint_kw",
                );
            }
        }
        for (i, station) in stations.iter().enumerate() {
            if let Err(invalid) = station.check() {
                let path = format!("fleet.stations[{i}].{}", invalid.field);
                findings.add(path, invalid.problem);
            }
        }
    }
}

/// One value or 24.
pub(super) fn check_base_load(findings: &mut Findings, path: &str, base_load_kw: &[f64]) {
    let count = base_load_kw.len();
    if count != 1 && count != 24 {
        findings.add(path, format!("{count} values, neither 1 nor 24"));
    }
    for (hour, &kilowatts) in base_load_kw.iter().enumerate() {
        let path = format!("{path}[{hour}]");
        findings.within(path, kilowatts, -MAX_KILOWATTS, MAX_KILOWATTS);
    }
}
