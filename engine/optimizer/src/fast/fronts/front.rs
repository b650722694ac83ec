//! What one front does.

use super::super::chain::{Batch, Ports};
use super::super::lane::vectorized;
use super::gather::Gather;
use super::{Entry, Front, Live, Member, NO_PORT, Of};
use crate::stop::Stop;

impl Front {
    /// Makes room once all rows and ports are known.
    pub(in crate::fast) fn make_room(&mut self) {
        self.sums = vec![0.0; self.ports];
        self.prices = vec![0.0; self.ports];
    }

    /// Resources × intervals that hang here.
    pub(super) fn cells(&self) -> usize {
        let of = |member: &Member| self.maps[member.map as usize].len();
        self.members.iter().map(of).sum()
    }

    /// Price of a port, as last spread.
    pub(in crate::fast) fn port_price(&self, port: u32) -> f64 {
        self.prices[port as usize]
    }

    /// Finds the live rows, and the ports that they or live rows above count.
    pub(super) fn enliven(&mut self, weak: &[Option<f64>], parent: Option<&Front>) {
        let live = &mut self.live;
        let own = weak[self.rows.clone()].iter().enumerate();
        live.rows.clear();
        live.rows
            .extend(own.filter(|(_, weak)| weak.is_none()).map(|(row, _)| row));
        live.slots.clear();
        live.slots.extend(self.up.iter().map(|&port| match parent {
            Some(parent) if port != NO_PORT => parent.live.slots[port as usize],
            _ => NO_PORT,
        }));
        live.slots.resize(self.ports, NO_PORT);
        let above = live.slots.clone();
        for &row in &live.rows {
            for &(port, _) in &self.terms[row] {
                live.slots[port as usize] = 0;
            }
        }
        live.up.clear();
        for (slot, above) in live.slots.iter_mut().zip(above) {
            if *slot != NO_PORT {
                *slot = u32::try_from(live.up.len()).unwrap_or(NO_PORT);
                live.up.push(above);
            }
        }
        live.ports = live.up.len();
        let slots = &live.slots;
        live.terms.clear();
        live.terms.extend(live.rows.iter().map(|&row| {
            let terms = self.terms[row].iter();
            terms
                .map(|&(port, factor)| (slots[port as usize], factor))
                .collect()
        }));
        live.terms.extend(self.peaks.iter().map(|_| Vec::new()));
        live.maps.resize(self.maps.len(), Vec::new());
        for (live, map) in live.maps.iter_mut().zip(&self.maps) {
            live.clear();
            live.extend(map.iter().filter_map(|entry| {
                let port = slots[entry.port as usize];
                (port != NO_PORT).then_some(Entry { port, ..*entry })
            }));
        }
    }

    pub(super) fn gather(&mut self, batches: &[Batch], below: &[Front], stop: &Stop<'_>) {
        let mine = &mut self.live;
        mine.covariance.clear();
        mine.covariance.resize(mine.ports * mine.ports, 0.0);
        for &child in &self.children {
            let child = &below[child].live;
            for (i, &to) in child.up.iter().enumerate() {
                if stop.now_at(i) {
                    return;
                }
                if to == NO_PORT {
                    continue;
                }
                let row = &child.covariance[i * child.ports..i * child.ports + i + 1];
                for (&other, value) in child.up.iter().zip(row) {
                    if other != NO_PORT {
                        let (low, high) = (to.min(other) as usize, to.max(other) as usize);
                        mine.covariance[high * mine.ports + low] += value;
                    }
                }
            }
        }
        vectorized(Gather {
            members: &self.members,
            live: &mut self.live,
            batches,
            stop,
        });
    }

    /// Rows `W·C` beside `D + W·C·Wᵀ`, over the ports' covariance; a peak's height counts 1 in each of its rows.
    pub(super) fn assemble(&mut self, diagonal: &[f64], heights: &[f64], stop: &Stop<'_>) {
        let live = &mut self.live;
        let (rows, ports) = (live.terms.len(), live.ports);
        let size = rows + ports;
        live.matrix.clear();
        live.matrix.resize(rows * size, 0.0);
        for (row, terms) in live.terms.iter().enumerate() {
            if stop.now() {
                return;
            }
            for &(port, factor) in terms {
                let port = port as usize;
                let out = &mut live.matrix[row * size + rows..(row + 1) * size];
                let lower = &live.covariance[port * ports..port * ports + port + 1];
                for (value, cov) in out.iter_mut().zip(lower) {
                    *value += factor * cov;
                }
                for j in port + 1..ports {
                    out[j] += factor * live.covariance[j * ports + port];
                }
            }
            for other in row..rows {
                let sum: f64 = live.terms[other]
                    .iter()
                    .map(|&(port, factor)| factor * live.matrix[row * size + rows + port as usize])
                    .sum();
                live.matrix[row * size + other] = sum;
            }
            if let Some(&own) = live.rows.get(row) {
                live.matrix[row * size + row] += diagonal[own];
            }
        }
        for (k, peak) in self.peaks.iter().enumerate() {
            let column = live.rows.len() + k;
            live.matrix[column * size + column] = -heights[peak.index];
            for row in &peak.rows {
                if let Ok(row) = live.rows.binary_search(row) {
                    live.matrix[row * size + column] = 1.0;
                }
            }
        }
    }

    pub(super) fn sum(&mut self, batches: &[Batch], of: Of, below: &[Front], stop: &Stop<'_>) {
        self.sums.fill(0.0);
        for (at, &child) in self.children.iter().enumerate() {
            if stop.now_at(at) {
                return;
            }
            let child = &below[child];
            for (&to, value) in child.up.iter().zip(&child.sums) {
                if to != NO_PORT {
                    self.sums[to as usize] += value;
                }
            }
        }
        for (at, member) in self.members.iter().enumerate() {
            if stop.now_at(at) {
                return;
            }
            let batch = &batches[member.batch as usize];
            let lane = member.lane as usize;
            let map = &self.maps[member.map as usize];
            if of == Of::Variance {
                let layout = Ports::of(batch.shape);
                for entry in map {
                    let quantity = entry.quantity as usize;
                    let at =
                        entry.interval as usize * layout.stride() + layout.own(quantity, quantity);
                    self.sums[entry.port as usize] += batch.covariance[at].0[lane];
                }
                continue;
            }
            let controls = batch.shape.controls();
            let values = if of == Of::Point {
                &batch.controls
            } else {
                &batch.by
            };
            for entry in map {
                let at = entry.interval as usize * controls;
                let value = if entry.quantity > 0 {
                    values[at + 1 + entry.quantity as usize].0[lane]
                } else if controls > 1 {
                    values[at].0[lane] - values[at + 1].0[lane]
                } else {
                    values[at].0[lane]
                };
                self.sums[entry.port as usize] += value;
            }
        }
    }

    pub(super) fn solve_upwards(&mut self, below: &[Front], stop: &Stop<'_>) {
        let Live {
            rows: positive,
            left,
            solved,
            terms,
            matrix,
            ports,
            ..
        } = &mut self.live;
        left.clear();
        left.resize(*ports, 0.0);
        for &child in &self.children {
            let child = &below[child].live;
            for (&to, value) in child.up.iter().zip(&child.left) {
                if to != NO_PORT {
                    left[to as usize] += value;
                }
            }
        }
        let (rows, size) = (terms.len(), terms.len() + *ports);
        for (value, terms) in solved.iter_mut().zip(terms) {
            for &(port, factor) in terms.iter() {
                *value -= factor * left[port as usize];
            }
        }
        for row in 0..rows {
            if stop.now_at(row) {
                return;
            }
            let factor = &matrix[row * size..(row + 1) * size];
            let value = solved[row] / factor[row];
            solved[row] = value;
            for (later, factor) in solved[row + 1..].iter_mut().zip(&factor[row + 1..]) {
                *later -= factor * value;
            }
            for (left, factor) in left.iter_mut().zip(&factor[rows..]) {
                *left += factor * value;
            }
        }
        for value in &mut solved[positive.len()..] {
            *value = -*value;
        }
    }

    pub(super) fn solve_downwards(&mut self, parent: Option<&Front>, stop: &Stop<'_>) {
        let Live {
            prices,
            solved,
            terms,
            matrix,
            ports,
            up,
            ..
        } = &mut self.live;
        prices.clear();
        prices.extend(up.iter().map(|&port| match parent {
            Some(parent) if port != NO_PORT => parent.live.prices[port as usize],
            _ => 0.0,
        }));
        let (rows, size) = (terms.len(), terms.len() + *ports);
        for row in (0..rows).rev() {
            if stop.now_at(row) {
                return;
            }
            let factor = &matrix[row * size..(row + 1) * size];
            let later = dot(&solved[row + 1..], &factor[row + 1..rows]);
            let above = dot(prices, &factor[rows..]);
            solved[row] = (solved[row] - later - above) / factor[row];
        }
        for (value, terms) in solved.iter().zip(terms) {
            for &(port, factor) in terms.iter() {
                prices[port as usize] += factor * value;
            }
        }
    }

    pub(super) fn take_prices(&mut self, parent: Option<&Front>) {
        match parent {
            Some(parent) => {
                for (price, &port) in self.prices.iter_mut().zip(&self.up) {
                    *price = if port == NO_PORT {
                        0.0
                    } else {
                        parent.prices[port as usize]
                    };
                }
            }
            None => self.prices.fill(0.0),
        }
    }
}

/// In four sums, so that they need not wait for each other.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 4];
    let (a, b) = (a.chunks_exact(4), b.chunks_exact(4));
    let rest: f64 = a
        .remainder()
        .iter()
        .zip(b.remainder())
        .map(|(a, b)| a * b)
        .sum();
    for (a, b) in a.zip(b) {
        for k in 0..4 {
            sums[k] += a[k] * b[k];
        }
    }
    sums[0] + sums[1] + sums[2] + sums[3] + rest
}
