//! Which rows stand at which front, and which resources hang there.

use std::collections::BTreeMap;

use super::super::fronts::{Entry, Front, Fronts, Member, NO_PORT, Peak};
use super::resource::Chain;
use super::{Origin, Row, index};
use crate::frame::Frame;
use crate::problem::Requirement;
use crate::stop::Stop;

/// Resources that one front gathers alone; more are split among helpers that stand below it.
const CROWD: usize = 256;
const HELPERS: usize = 32;

/// A front and one of its maps.
pub(super) type Seat = (u32, u32);

/// What a port is: interval, quantity, and which requirements count it (an index into the sets of that interval).
type Port = (u32, u32, u32);

/// Puts rows and resources into fronts.
pub(super) struct FrontBuilder {
    /// For each node (and the top, last) the front where its rows, or else those next above, stand; `None` without any.
    front_of: Vec<Option<usize>>,
    /// Node of each front (or the top's index).
    nodes: Vec<usize>,
    fronts: Vec<Front>,
    /// For each front, interval and quantity: whether a row here or above counts it for everybody.
    counted: Vec<Vec<[bool; 3]>>,
    /// Requirements with a row in each interval, for net draw; whether up or down is asked for by any.
    asked: Vec<BTreeMap<usize, usize>>,
    /// Sets of requirements that count a resource's net draw, by interval.
    sets: Vec<BTreeMap<Vec<usize>, u32>>,
    /// Ports of each front.
    ports: Vec<Vec<Port>>,
    /// Distinct maps of each front: for each (class, regulation) its ports.
    maps: Vec<BTreeMap<(usize, u32), u32>>,
}

impl FrontBuilder {
    pub(super) fn new(frame: &Frame<'_>, rows: &[Vec<Row>]) -> Self {
        let problem = frame.problem;
        let (horizon, top) = (problem.horizon(), problem.nodes.len());
        let mut nodes: Vec<usize> = frame
            .forest
            .upwards
            .iter()
            .copied()
            .filter(|&node| !rows[node].is_empty())
            .collect();
        if !rows[top].is_empty() {
            nodes.push(top);
        }
        let mut front_at = vec![None; top + 1];
        for (front, &node) in nodes.iter().enumerate() {
            front_at[node] = Some(front);
        }
        let above = |start: Option<usize>| {
            std::iter::successors(start, |&n| problem.nodes[n].parent)
                .find_map(|node| front_at[node])
                .or(front_at[top])
        };
        let mut front_of: Vec<Option<usize>> = (0..top).map(|node| above(Some(node))).collect();
        front_of.push(front_at[top]);
        let mut fronts: Vec<Front> = (0..nodes.len()).map(|_| Front::default()).collect();
        for (front, &node) in nodes.iter().enumerate() {
            if node < top {
                fronts[front].parent = above(problem.nodes[node].parent).filter(|&p| p != front);
            }
        }
        let mut counted = vec![vec![[false; 3]; horizon]; fronts.len()];
        for front in (0..fronts.len()).rev() {
            if let Some(parent) = fronts[front].parent {
                counted[front] = counted[parent].clone();
            }
            // What requirements count at the top depends on who is a member.
            if nodes[front] < top {
                for row in &rows[nodes[front]] {
                    let here = &mut counted[front][row.interval];
                    for (counted, factor) in here.iter_mut().zip(row.factors) {
                        *counted |= factor.abs() > 0.0;
                    }
                }
            }
        }
        let mut asked = vec![BTreeMap::new(); horizon];
        for row in &rows[top] {
            match row.origin {
                Origin::Requirement(r) => _ = asked[row.interval].insert(2 * r, r),
                Origin::Down(r) => _ = asked[row.interval].insert(2 * r + 1, r),
                _ => {}
            }
        }
        let front_count = fronts.len();
        Self {
            front_of,
            nodes,
            fronts,
            counted,
            asked,
            sets: vec![BTreeMap::from([(Vec::new(), 0)]); horizon],
            ports: vec![Vec::new(); front_count],
            maps: vec![BTreeMap::new(); front_count],
        }
    }

    /// For each resource the front where it hangs and the map it uses there. `None` when the caller says stop.
    pub(super) fn seat(
        &mut self,
        frame: &Frame<'_>,
        chains: &[Chain],
        stop: &Stop<'_>,
    ) -> Option<Vec<Option<Seat>>> {
        let problem = frame.problem;
        let mut counts: Vec<Vec<usize>> = vec![Vec::new(); problem.resources.len()];
        for (r, requirement) in problem.requirements.iter().enumerate() {
            if let Requirement::DemandResponse { members, .. } = requirement {
                for &member in members {
                    counts[member].push(r);
                }
            }
        }
        let mut classes: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
        let mut kinds: Vec<Vec<usize>> = Vec::new();
        // For each class and interval the set of requirements that count it.
        let mut class_sets: Vec<Vec<u32>> = Vec::new();
        let mut seats = Vec::with_capacity(counts.len());
        for (i, counted_by) in counts.into_iter().enumerate() {
            stop.go_on()?;
            let class = match classes.get(&counted_by) {
                Some(&class) => class,
                None => {
                    let sets = self.sets_of(&counted_by);
                    class_sets.push(sets);
                    kinds.push(counted_by.clone());
                    classes.insert(counted_by, kinds.len() - 1);
                    kinds.len() - 1
                }
            };
            let front = match problem.resources[i].node {
                Some(node) => self.front_of[node],
                None => self.front_of[problem.nodes.len()],
            };
            let holding = frame.regulation[i].filter(|_| chains[i].shape.controls() > 2);
            let regulation = holding.map_or(0, |holding| index(holding.requirement) + 1);
            seats.push(front.map(|front| {
                let map = self.map(front, class, regulation, &class_sets[class]);
                (index(front), map)
            }));
        }
        Some(seats)
    }

    fn sets_of(&mut self, counted_by: &[usize]) -> Vec<u32> {
        let asked = self.asked.iter().zip(&mut self.sets);
        asked
            .map(|(asked, sets)| {
                let own: Vec<usize> = counted_by
                    .iter()
                    .copied()
                    .filter(|r| asked.contains_key(&(2 * r)))
                    .collect();
                let fresh = index(sets.len());
                *sets.entry(own).or_insert(fresh)
            })
            .collect()
    }

    /// The map of a class at a front: which ports its members have. Ports are numbered once all are known.
    fn map(&mut self, front: usize, class: usize, regulation: u32, sets: &[u32]) -> u32 {
        if let Some(&map) = self.maps[front].get(&(class, regulation)) {
            return map;
        }
        let mut entries = Vec::new();
        for (t, set) in sets.iter().enumerate() {
            let counted = self.counted[front][t];
            let asked = |down: usize| {
                regulation > 0
                    && self.asked[t].contains_key(&(2 * (regulation as usize - 1) + down))
            };
            if counted[0] || *set > 0 {
                entries.push((index(t), 0, *set));
            }
            for (quantity, down) in [(1, 0), (2, 1)] {
                if regulation > 0 && (counted[quantity as usize] || asked(down)) {
                    let owner = if asked(down) { regulation } else { 0 };
                    entries.push((index(t), quantity, owner));
                }
            }
        }
        let map = index(self.maps[front].len());
        self.maps[front].insert((class, regulation), map);
        self.ports[front].extend(&entries);
        let entries = entries.into_iter();
        self.fronts[front].maps.push(
            entries
                .map(|(interval, quantity, set)| Entry {
                    interval,
                    quantity,
                    // Its set for now.
                    port: set,
                })
                .collect(),
        );
        map
    }

    /// `None` when the caller says stop.
    pub(super) fn finish(
        &mut self,
        rows: &[Vec<Row>],
        seats: Vec<Option<Seat>>,
        places: &[(u32, u32)],
        parallel: bool,
        stop: &Stop<'_>,
    ) -> Option<(Fronts, Vec<Row>, Vec<Option<Seat>>)> {
        let mut ordered = Vec::new();
        for child in 0..self.fronts.len() {
            if let Some(parent) = self.fronts[child].parent {
                self.fronts[parent].children.push(child);
            }
        }
        for front in 0..self.fronts.len() {
            stop.go_on()?;
            self.number_ports(front);
            self.place_rows(front, &rows[self.nodes[front]], &mut ordered);
        }
        for (seat, &(batch, lane)) in seats.iter().zip(places) {
            if let Some((front, map)) = *seat {
                let front = &mut self.fronts[front as usize];
                if !front.maps[map as usize].is_empty() {
                    front.members.push(Member { batch, lane, map });
                }
            }
        }
        stop.go_on()?;
        self.split_crowds();
        stop.go_on()?;
        let (fronts, moved) = arrange(std::mem::take(&mut self.fronts), parallel);
        let seats = seats
            .into_iter()
            .map(|seat| seat.map(|(front, map)| (index(moved[front as usize]), map)))
            .collect();
        Some((fronts, ordered, seats))
    }

    /// Numbers the ports of a front, which has all those of its children that count further up.
    fn number_ports(&mut self, front: usize) {
        let mut ports = std::mem::take(&mut self.ports[front]);
        ports.sort_unstable();
        ports.dedup();
        let number = |port: &Port| ports.binary_search(port).map_or(NO_PORT, index);
        for map in &mut self.fronts[front].maps {
            for entry in map {
                entry.port = number(&(entry.interval, entry.quantity, entry.port));
            }
        }
        self.fronts[front].ports = ports.len();
        for child in self.fronts[front].children.clone() {
            self.fronts[child].up = self.ports[child].iter().map(number).collect();
        }
        if let Some(parent) = self.fronts[front].parent {
            let goes_on = ports.iter().filter(|(t, quantity, set)| {
                *set > 0 || self.counted[parent][*t as usize][*quantity as usize]
            });
            let goes_on: Vec<Port> = goes_on.copied().collect();
            self.ports[parent].extend(goes_on);
        }
        self.ports[front] = ports;
    }

    fn place_rows(&mut self, front: usize, rows: &[Row], ordered: &mut Vec<Row>) {
        let top = self.nodes[front] + 1 == self.front_of.len();
        let ports = &self.ports[front];
        let mut terms = Vec::new();
        let begin = ordered.len();
        for row in rows {
            let t = index(row.interval);
            let first = ports.partition_point(|port| port.0 < t);
            let mut own = Vec::new();
            for (k, (_, quantity, set)) in ports[first..]
                .iter()
                .take_while(|port| port.0 == t)
                .enumerate()
            {
                let factor = row.factors[*quantity as usize];
                let counts = !top
                    || match (row.origin, quantity) {
                        (Origin::Requirement(r) | Origin::Down(r), 1 | 2) => *set as usize == r + 1,
                        (Origin::Requirement(r), _) => self.sets[row.interval]
                            .iter()
                            .any(|(set_of, id)| id == set && set_of.contains(&r)),
                        _ => false,
                    };
                if counts && factor.abs() > 0.0 {
                    own.push((index(first + k), factor));
                }
            }
            terms.push(own);
            ordered.push(*row);
        }
        let mut peaks: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (own, row) in rows.iter().enumerate() {
            if let Some(peak) = row.peak() {
                peaks.entry(peak).or_default().push(own);
            }
        }
        let peaks = peaks.into_iter();
        self.fronts[front].peaks = peaks.map(|(index, rows)| Peak { index, rows }).collect();
        self.fronts[front].rows = begin..ordered.len();
        self.fronts[front].terms = terms;
    }

    /// Helpers below a front that gathers many resources itself, so that several threads can.
    fn split_crowds(&mut self) {
        for front in 0..self.fronts.len() {
            let members = std::mem::take(&mut self.fronts[front].members);
            if members.len() <= CROWD {
                self.fronts[front].members = members;
                continue;
            }
            let share = members.len().div_ceil(HELPERS).max(CROWD / 2);
            for members in members.chunks(share) {
                let mut helper = Front::default();
                helper.ports = self.fronts[front].ports;
                helper.parent = Some(front);
                helper.up = (0..index(self.fronts[front].ports)).collect();
                helper.maps = self.fronts[front].maps.clone();
                helper.members = members.to_vec();
                let number = self.fronts.len();
                self.fronts[front].children.push(number);
                self.fronts.push(helper);
            }
        }
    }
}

/// Orders fronts by depth, deepest first, and makes room in them. Also tells where each went.
fn arrange(fronts: Vec<Front>, parallel: bool) -> (Fronts, Vec<usize>) {
    let depth =
        |start: usize| std::iter::successors(Some(start), |&front| fronts[front].parent).count();
    let depths: Vec<usize> = (0..fronts.len()).map(depth).collect();
    let mut order: Vec<usize> = (0..fronts.len()).collect();
    order.sort_by_key(|&front| (std::cmp::Reverse(depths[front]), front));
    let mut moved = vec![0; order.len()];
    for (to, &from) in order.iter().enumerate() {
        moved[from] = to;
    }
    let mut levels = Vec::new();
    let mut begin = 0;
    for level in order.chunk_by(|&a, &b| depths[a] == depths[b]) {
        levels.push(begin..begin + level.len());
        begin += level.len();
    }
    let mut slots: Vec<Option<Front>> = fronts.into_iter().map(Some).collect();
    let fronts = order
        .iter()
        .filter_map(|&from| slots[from].take())
        .map(|mut front| {
            front.parent = front.parent.map(|parent| moved[parent]);
            front
                .children
                .iter_mut()
                .for_each(|child| *child = moved[*child]);
            front.make_room();
            front
        })
        .collect();
    let fronts = Fronts::new(fronts, levels, parallel);
    (fronts, moved)
}
