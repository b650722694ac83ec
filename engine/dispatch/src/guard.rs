//! The last check before a setpoint leaves. It knows nothing of prices, plans or programmes, only of limits, and checks
//! them with its own code and whole watts.
//!
//! Until a station answers it may be at its old setpoint or at its new one, and a setpoint is a ceiling. So each station
//! counts with the worse end of everything that it may be following. A setpoint that would raise that worse end is cut to
//! the room that every node above has left; one that lowers it always passes. Raising therefore waits until lowering has
//! been acknowledged. What a command may lead to must fit until it expires: the highest base load of that time counts, and what
//! was agreed beyond a limit only where it holds throughout.

use vpp_core::{Fleet, Power, Timestamp};

use crate::state::{Exposure, StationState};

/// What may flow through the nodes, at worst, while commands are in the air.
pub(crate) struct Guard<'a> {
    fleet: &'a Fleet,
    states: &'a [StationState],
    /// From now until the last command that is released now expires.
    span: (Timestamp, Timestamp),
    sums: Sums,
}

/// What the guard adds up, in buffers that outlive it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sums {
    /// For each station.
    exposures: Vec<Exposure>,
    /// For each node: the worst import and the worst export below it, base load included.
    high: Vec<Power>,
    low: Vec<Power>,
}

impl<'a> Guard<'a> {
    /// Adds up where every station may be now.
    pub(crate) fn new(
        fleet: &'a Fleet,
        states: &'a [StationState],
        span: (Timestamp, Timestamp),
        mut sums: Sums,
    ) -> Guard<'a> {
        let Sums {
            exposures,
            high,
            low,
        } = &mut sums;
        exposures.clear();
        let stations = fleet.station_limits().iter().zip(states);
        exposures.extend(stations.map(|(limits, state)| {
            // Any command may be the last that a station hears: what it falls back to must fit at all times, so room
            // that others leave below their default is never given away.
            let told = state
                .exposure(limits)
                .or(Exposure::of(limits.default_setpoint));
            if state.sampled_at.is_some() {
                told.or(Exposure::of(state.active_power))
            } else {
                told
            }
        }));
        let nodes = fleet.tree().nodes();
        high.clear();
        low.clear();
        for node in nodes {
            let (least, most) = node.base_load.over(span.0, span.1);
            high.push(most);
            low.push(least);
        }
        for (station, exposure) in exposures.iter().enumerate() {
            high[fleet.node_of(station)] += exposure.high;
            low[fleet.node_of(station)] += exposure.low;
        }
        fleet.tree().sum_upwards(high);
        fleet.tree().sum_upwards(low);
        Guard {
            fleet,
            states,
            span,
            sums,
        }
    }

    /// The buffers, for the next.
    pub(crate) fn into_sums(self) -> Sums {
        self.sums
    }

    /// The setpoint nearest to `wanted` that no limit forbids. It counts as sent from here on.
    pub(crate) fn release(&mut self, station: usize, wanted: Power) -> Power {
        let Self {
            fleet,
            states,
            span: (from, to),
            sums,
        } = self;
        let Sums {
            exposures,
            high: below_high,
            low: below_low,
        } = sums;
        let limits = &fleet.station_limits()[station];
        let now_at = exposures[station];
        let mut high = now_at.high;
        let mut low = now_at.low;
        let mut within = wanted.limited_to(-limits.rated_export, limits.rated_draw);
        if states[station].unknown_until.is_some() {
            // It counts with its whole range, which proves nothing. Up to its default it is safe: all defaults fit.
            within = within.limited_to(Power::ZERO, limits.default_setpoint);
        }
        if within > limits.default_setpoint {
            // Where an agreement ends before the command would, it is not renewed as it was.
            let over = largest(fleet, station, |node| {
                let at = &fleet.tree().nodes()[node];
                let falls = at.import_limit_over(*from, *from) > at.import_limit_over(*from, *to);
                if falls {
                    below_high[node] - at.import_limit_over(*from, *to)
                } else {
                    Power::ZERO
                }
            });
            within = limits.default_setpoint.max(within - over);
        }
        if within > high {
            let room = smallest(fleet, station, |node| {
                fleet.tree().nodes()[node].import_limit_over(*from, *to) - below_high[node]
            });
            high = within.min(high + room);
        }
        if within < low {
            let room = smallest(fleet, station, |node| {
                below_low[node] + fleet.tree().nodes()[node].export_limit
            });
            low = within.max(low - room);
        }
        let released = within.limited_to(low, high);
        for node in fleet.tree().path_to_root(fleet.node_of(station)) {
            below_high[node] += high - now_at.high;
            below_low[node] += low - now_at.low;
        }
        exposures[station] = Exposure { low, high };
        released
    }

    /// Nodes that could be overloaded with everything that is in force or in the air, at worst.
    pub(crate) fn exposed_nodes(&self) -> usize {
        let sums = self.sums.high.iter().zip(&self.sums.low);
        let nodes = self.fleet.tree().nodes().iter().zip(sums);
        let (from, to) = self.span;
        let exposed = |node: &vpp_core::Node, high: Power, low: Power| {
            high > node.import_limit_over(from, to) || -low > node.export_limit
        };
        nodes
            .filter(|(node, (high, low))| exposed(node, **high, **low))
            .count()
    }
}

/// The least room of any node above a station; not below zero.
fn smallest(fleet: &Fleet, station: usize, room: impl Fn(usize) -> Power) -> Power {
    let path = fleet.tree().path_to_root(fleet.node_of(station));
    let least = path
        .map(room)
        .min()
        .unwrap_or(Power::from_watts(i64::MAX / 4));
    least.max(Power::ZERO)
}

/// The largest of any node above a station; not below zero.
fn largest(fleet: &Fleet, station: usize, over: impl Fn(usize) -> Power) -> Power {
    let path = fleet.tree().path_to_root(fleet.node_of(station));
    path.map(over).max().unwrap_or(Power::ZERO).max(Power::ZERO)
}
