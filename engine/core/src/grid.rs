//! The electric tree: substations, feeders and transformers with their limits.
//!
//! A forest: every node has at most one parent. It is *not* nested with the commercial tree (aggregators); the two meet
//! at the station.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{TimeDelta, Timelike};

use crate::{Interval, Invalid, NodeId, Power, Timestamp};

/// Level of a node. A parent is never of a lower level than its child.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum NodeKind {
    /// A part of the city, with the substations that feed it.
    District,
    /// High voltage to medium voltage.
    Substation,
    /// A medium-voltage line.
    Feeder,
    /// Medium voltage to low voltage.
    Transformer,
}

/// As it is written in files.
impl fmt::Display for NodeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NodeKind::District => "district",
            NodeKind::Substation => "substation",
            NodeKind::Feeder => "feeder",
            NodeKind::Transformer => "transformer",
        })
    }
}

/// The load of a node that is not ours (houses, industry), by hour of the UTC day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseLoad([Power; 24]);

impl BaseLoad {
    /// The same load at all hours.
    #[must_use]
    pub fn constant(power: Power) -> BaseLoad {
        BaseLoad([power; 24])
    }

    /// One value for each hour of the UTC day, beginning at 00:00.
    #[must_use]
    pub fn hourly(powers: [Power; 24]) -> BaseLoad {
        BaseLoad(powers)
    }

    /// The load in force at `at`.
    #[must_use]
    pub fn at(&self, at: Timestamp) -> Power {
        self.0[at.hour() as usize]
    }

    /// The smallest and the largest from one instant to another, both included.
    #[must_use]
    pub fn over(&self, from: Timestamp, to: Timestamp) -> (Power, Power) {
        let (mut low, mut high) = (self.at(from), self.at(from));
        let mut at = from;
        for _ in 0..self.0.len() {
            at += TimeDelta::seconds(3_600 - at.timestamp().rem_euclid(3_600));
            if at > to {
                break;
            }
            (low, high) = (low.min(self.at(at)), high.max(self.at(at)));
        }
        (low, high)
    }

    /// All 24 values.
    #[must_use]
    pub fn hours(&self) -> &[Power; 24] {
        &self.0
    }

    /// The largest of the day.
    #[must_use]
    pub fn peak(&self) -> Power {
        self.0.iter().copied().fold(self.0[0], Power::max)
    }
}

/// What the grid company has agreed beyond a node's limit: where the line has a margin in its valley, more may flow for as long
/// as charging there is orderly. It holds only while commands are heard: defaults keep to the limit itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// The most that may flow down then, base load included; where the node's own limit is higher, that holds.
    pub import_limit: Power,
    /// From when until when.
    pub interval: Interval,
}

/// A node of the electric tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub id: NodeId,
    /// Its level.
    pub kind: NodeKind,
    /// The node that feeds it; none for a root.
    pub parent: Option<NodeId>,
    /// The most that may flow down through it, base load included; not negative.
    pub import_limit: Power,
    /// What is agreed beyond that, if anything.
    pub agreement: Option<Agreement>,
    /// The most that may flow up through it, as a magnitude; not negative.
    pub export_limit: Power,
    /// Load directly at this node that is not ours. Loads of the nodes below are theirs, not counted again here.
    pub base_load: BaseLoad,
}

impl Node {
    /// The most that may flow down from one instant to another: what is agreed, if that holds throughout.
    #[must_use]
    pub fn import_limit_over(&self, from: Timestamp, to: Timestamp) -> Power {
        match &self.agreement {
            Some(Agreement {
                import_limit,
                interval,
            }) if interval.start() <= from && to < interval.end() => {
                self.import_limit.max(*import_limit)
            }
            _ => self.import_limit,
        }
    }

    fn check(&self) -> Result<(), Invalid> {
        for (field, limit) in [
            ("import_limit_kw", self.import_limit),
            ("export_limit_kw", self.export_limit),
        ] {
            if limit < Power::ZERO {
                return Err(Invalid::new(field, format!("{limit} is negative")));
            }
        }
        Ok(())
    }
}

/// All nodes, addressed by dense index. Parents come before their children.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ElectricTree {
    nodes: Vec<Node>,
    parents: Vec<Option<usize>>,
    index: BTreeMap<NodeId, usize>,
}

impl ElectricTree {
    /// Adds a node below one that is already there, so that no cycle can come to be.
    ///
    /// # Errors
    /// A negative limit, a parent that is unknown or of a lower level, a name that is taken.
    pub fn insert(&mut self, node: Node) -> Result<(), Invalid> {
        node.check()?;
        if self.index.contains_key(&node.id) {
            return Err(Invalid::taken("node_id", &node.id));
        }
        let parent = self.check_parent(&node)?;
        self.index.insert(node.id.clone(), self.nodes.len());
        self.nodes.push(node);
        self.parents.push(parent);
        Ok(())
    }

    /// Puts another node in the place of one; the caller keeps name, parent and level.
    pub(crate) fn replace(&mut self, index: usize, node: Node) -> Result<(), Invalid> {
        node.check()?;
        self.nodes[index] = node;
        Ok(())
    }

    fn check_parent(&self, node: &Node) -> Result<Option<usize>, Invalid> {
        let Some(parent_id) = &node.parent else {
            return Ok(None);
        };
        if *parent_id == node.id {
            return Err(Invalid::new(
                "parent_node_id",
                format!("{parent_id} is the node itself"),
            ));
        }
        let parent = self
            .index_of(parent_id)
            .ok_or_else(|| Invalid::unknown("parent_node_id", parent_id))?;
        if self.nodes[parent].kind > node.kind {
            return Err(Invalid::new(
                "parent_node_id",
                format!("{parent_id} is of a lower level than {:?}", node.kind),
            ));
        }
        Ok(Some(parent))
    }

    /// Index of a node by name.
    #[must_use]
    pub fn index_of(&self, id: &NodeId) -> Option<usize> {
        self.index.get(id).copied()
    }

    /// Index of a node by name.
    ///
    /// # Errors
    /// When there is no such node.
    pub fn require(&self, id: &NodeId) -> Result<usize, Invalid> {
        self.index_of(id)
            .ok_or_else(|| Invalid::unknown("node_id", id))
    }

    /// All nodes; the position is the index.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Index of the node above.
    #[must_use]
    pub fn parent(&self, index: usize) -> Option<usize> {
        self.parents[index]
    }

    /// The node itself and all above it, upwards.
    pub fn path_to_root(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        std::iter::successors(Some(index), |&node| self.parents[node])
    }

    /// Sums values given at the nodes over each node's subtree, in place.
    pub fn sum_upwards(&self, values: &mut [Power]) {
        for index in (0..self.nodes.len()).rev() {
            if let Some(parent) = self.parents[index] {
                values[parent] += values[index];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: &str, kind: NodeKind, parent: Option<&str>) -> Node {
        Node {
            id: NodeId::new(id).unwrap(),
            kind,
            parent: parent.map(|p| NodeId::new(p).unwrap()),
            import_limit: Power::from_watts(1_000),
            agreement: None,
            export_limit: Power::ZERO,
            base_load: BaseLoad::constant(Power::from_watts(10)),
        }
    }

    #[test]
    fn trees_that_cannot_be_are_refused_with_the_field() {
        let mut tree = ElectricTree::default();
        tree.insert(node("s", NodeKind::Substation, None)).unwrap();
        tree.insert(node("f", NodeKind::Feeder, Some("s"))).unwrap();
        let refused = [
            (node("f", NodeKind::Feeder, Some("s")), "node_id"),
            (
                node("x", NodeKind::Feeder, Some("nowhere")),
                "parent_node_id",
            ),
            (node("x", NodeKind::Feeder, Some("x")), "parent_node_id"),
            (node("x", NodeKind::Substation, Some("f")), "parent_node_id"),
            (node("x", NodeKind::District, Some("s")), "parent_node_id"),
        ];
        for (bad, field) in refused {
            assert_eq!(tree.insert(bad).unwrap_err().field, field);
        }
        let negative = Node {
            import_limit: Power::from_watts(-1),
            ..node("n", NodeKind::Feeder, None)
        };
        assert_eq!(tree.insert(negative).unwrap_err().field, "import_limit_kw");
        assert_eq!(tree.nodes().len(), 2, "nothing that was refused stays");
    }

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_timestamp(minutes * 60, 0).unwrap()
    }

    /// By hand: agreed from 00:10 to 01:00, end not included.
    #[test]
    fn an_agreement_counts_where_it_holds_throughout() {
        let node = Node {
            agreement: Some(Agreement {
                import_limit: Power::from_watts(1_500),
                interval: Interval::new(at(10), at(60)).unwrap(),
            }),
            ..node("n", NodeKind::Feeder, None)
        };
        for (from, to, watts) in [
            (9, 20, 1_000),
            (10, 59, 1_500),
            (30, 60, 1_000),
            (60, 61, 1_000),
        ] {
            assert_eq!(
                node.import_limit_over(at(from), at(to)),
                Power::from_watts(watts),
                "{from} to {to}"
            );
        }
    }

    #[test]
    fn a_base_load_over_some_hours_is_its_least_and_most() {
        let mut hours = [Power::ZERO; 24];
        for (hour, power) in (0..).zip(&mut hours) {
            *power = Power::from_watts(hour * 10);
        }
        let base = BaseLoad::hourly(hours);
        let watts = |from, to| {
            let (low, high) = base.over(at(from), at(to));
            (low.as_watts(), high.as_watts())
        };
        assert_eq!(watts(0, 59), (0, 0));
        assert_eq!(watts(59, 60), (0, 10));
        assert_eq!(watts(22 * 60, 25 * 60), (0, 230));
        assert_eq!(watts(30, 24 * 60 + 30), (0, 230));
        assert_eq!(watts(5 * 60, 24 * 60 + 4 * 60), (0, 230));
        assert_eq!(watts(30, 24 * 60 + 10), (0, 230));
    }

    #[test]
    fn sums_run_up_the_tree() {
        let mut tree = ElectricTree::default();
        tree.insert(node("s", NodeKind::Substation, None)).unwrap();
        tree.insert(node("f", NodeKind::Feeder, Some("s"))).unwrap();
        tree.insert(node("t", NodeKind::Transformer, Some("f")))
            .unwrap();
        let mut values = [1, 2, 4].map(Power::from_watts);
        tree.sum_upwards(&mut values);
        assert_eq!(values, [7, 6, 4].map(Power::from_watts));
        assert_eq!(tree.path_to_root(2).collect::<Vec<_>>(), [2, 1, 0]);
    }
}
