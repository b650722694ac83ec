//! The order in which resources and nodes lie in memory: nodes in post-order (children before parents, subtrees
//! together), resources sorted by that order, so that everything below a node is one contiguous range.

use super::problem::Fleet;
use super::validate::{RegulateError, fleet as check};

/// Positions of a fleet's resources and ranks of its nodes.
#[derive(Debug, Clone, Default)]
pub(super) struct Layout {
    /// Resource at each position.
    pub(super) order: Vec<u32>,
    /// Group at each position; [`Layout::groups`] for none.
    pub(super) group: Vec<u32>,
    /// Node of each rank.
    pub(super) node: Vec<u32>,
    /// Rank of the node above each rank; [`Layout::nodes`] for none. Always greater.
    pub(super) parent: Vec<usize>,
    /// First position below each rank.
    pub(super) start: Vec<usize>,
    /// First of the positions that hang under each rank itself; one entry more than nodes.
    pub(super) own: Vec<usize>,
    /// Number of groups.
    pub(super) groups: usize,
}

impl Layout {
    pub(super) fn new(fleet: &Fleet) -> Result<Self, RegulateError> {
        check(fleet)?;
        let nodes = fleet.node_parent.len();
        let (node, parent, first) = post_order(&fleet.node_parent)?;
        let mut rank = vec![nodes; nodes];
        for (r, &n) in node.iter().enumerate() {
            rank[n as usize] = r;
        }
        let ranks: Vec<usize> = fleet
            .resource_node
            .iter()
            .map(|node| node.map_or(nodes, |n| rank[n]))
            .collect();
        let (order, own) = sorted_by(&ranks, nodes + 1);
        let group_at = |&i: &u32| fleet.resource_group[i as usize].unwrap_or(fleet.group_count);
        Ok(Self {
            group: order.iter().map(group_at).map(narrow).collect(),
            start: first.iter().map(|&r| own[r]).collect(),
            order,
            node,
            parent,
            own,
            groups: fleet.group_count,
        })
    }

    pub(super) fn nodes(&self) -> usize {
        self.node.len()
    }

    pub(super) fn resources(&self) -> usize {
        self.order.len()
    }
}

/// Indices fit: the fleet was checked.
fn narrow(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// Indices sorted by key, stable, and where each key starts.
fn sorted_by(keys: &[usize], key_count: usize) -> (Vec<u32>, Vec<usize>) {
    let mut starts = vec![0; key_count + 1];
    for &key in keys {
        starts[key + 1] += 1;
    }
    for key in 0..key_count {
        starts[key + 1] += starts[key];
    }
    let mut next = starts.clone();
    let mut order = vec![0; keys.len()];
    for (index, &key) in keys.iter().enumerate() {
        order[next[key]] = narrow(index);
        next[key] += 1;
    }
    (order, starts)
}

type Ordered = (Vec<u32>, Vec<usize>, Vec<usize>);

/// For each rank in post-order: its node, the rank above, and the first rank of its subtree.
fn post_order(parent: &[Option<usize>]) -> Result<Ordered, RegulateError> {
    let count = parent.len();
    let above: Vec<usize> = parent.iter().map(|p| p.unwrap_or(count)).collect();
    let (children, starts) = sorted_by(&above, count + 1);
    let mut rank = vec![count; count];
    let (mut node, mut first) = (Vec::with_capacity(count), Vec::with_capacity(count));
    // Each entry: a node, how many of its children are done, and the rank its subtree starts at.
    let mut path: Vec<(usize, usize, usize)> = Vec::new();
    for &root in &children[starts[count]..] {
        path.push((root as usize, 0, node.len()));
        while let Some((n, done, begun)) = path.last_mut() {
            let below = &children[starts[*n]..starts[*n + 1]];
            if let Some(&child) = below.get(*done) {
                *done += 1;
                let begins = node.len();
                path.push((child as usize, 0, begins));
            } else {
                rank[*n] = node.len();
                node.push(narrow(*n));
                first.push(*begun);
                path.pop();
            }
        }
    }
    // What no root leads to hangs in or below a cycle; enough steps up lead onto it.
    if let Some(lost) = rank.iter().position(|&r| r == count) {
        let on_cycle = (0..count).fold(lost, |n, _| parent[n].unwrap_or(n));
        return Err(RegulateError::Cycle { node: on_cycle });
    }
    let up = |&n: &u32| parent[n as usize].map_or(count, |p| rank[p]);
    let parents = node.iter().map(up).collect();
    Ok((node, parents, first))
}
