//! From a checked scenario to the words of the field: the fleet.

use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset, TimeDelta};
use vpp_aggregator::Bank;
use vpp_core::grid::BaseLoad;
use vpp_core::{
    Aggregator, Agreement, Fleet, Interval, Invalid, Node, NodeId, Pile, PileKind, Power, Station,
    StationKind, Timestamp,
};

use crate::format::{
    AgreementRow, Assumptions, Exact, NodeRow, PileGroup, Scenario, StationRow, SwapProfile,
};

/// `Asia/Shanghai` before UTC, h; without summer time since 1992.
const LOCAL_AHEAD_H: usize = 8;

impl Scenario {
    /// When it begins.
    #[must_use]
    pub fn start(&self) -> Timestamp {
        self.header.start.to_utc()
    }

    /// First instant after it.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        self.start() + TimeDelta::minutes(i64::from(self.header.duration_minutes))
    }

    /// Moves it to another start, with the stays that are recorded.
    pub fn move_to(&mut self, start: DateTime<FixedOffset>) {
        let by = start.to_utc() - self.start();
        for stay in &mut self.fleet.stays {
            stay.arrival += by;
            stay.session.departure += by;
        }
        self.header.start = start;
    }

    /// The fleet. Aggregators and stations keep the order of the file; nodes stand with parents first.
    ///
    /// # Errors
    /// What [`Fleet`] refuses; a scenario from [`Scenario::parse`] has nothing such.
    pub fn fleet(&self) -> Result<Fleet, Invalid> {
        let mut fleet = Fleet::default();
        for row in &self.aggregators {
            fleet.insert_aggregator(Aggregator {
                id: row.id.clone(),
                display_name: row.name.clone(),
                tested_share: None,
            })?;
        }
        for row in self.nodes_from_the_root() {
            fleet.insert_node(row.node(self.start())?)?;
        }
        for station in self.stations() {
            let id = station.id.to_string();
            let within = |invalid: Invalid| invalid.within(&format!("station {id}"));
            fleet.insert_station(station).map_err(within)?;
        }
        Ok(fleet)
    }

    /// Nodes ordered by depth; within a depth, in the order of the file.
    fn nodes_from_the_root(&self) -> Vec<&NodeRow> {
        let parents: BTreeMap<&NodeId, &NodeRow> =
            self.nodes.iter().map(|row| (&row.id, row)).collect();
        let depth = |row: &NodeRow| {
            let above = |row: &&NodeRow| parents.get(row.parent.as_ref()?).copied();
            std::iter::successors(parents.get(&row.id).copied(), above)
                .take(self.nodes.len())
                .count()
        };
        let mut rows: Vec<&NodeRow> = self.nodes.iter().collect();
        rows.sort_by_cached_key(|row| depth(row));
        rows
    }

    /// The stations, in the order of the file, unchecked.
    pub(crate) fn stations(&self) -> Vec<Station> {
        let mut dealers = Dealers::new(&self.assumptions);
        let rows = self.fleet.stations.iter();
        let station = |(at, row): (usize, &StationRow)| {
            row.station(&self.assumptions, self.swaps_of(at), &mut dealers)
        };
        rows.enumerate().map(station).collect()
    }
}

impl NodeRow {
    fn node(&self, start: Timestamp) -> Result<Node, Invalid> {
        let kilowatts = |kw: &f64| Power::from_kilowatts("base_load_kw", *kw);
        let loads: Vec<Power> = self
            .base_load_kw
            .iter()
            .map(kilowatts)
            .collect::<Result<_, _>>()?;
        let base_load = match (loads.first(), <[Power; 24]>::try_from(loads.as_slice())) {
            (_, Ok(hours)) => BaseLoad::hourly(hours),
            (Some(load), Err(_)) => BaseLoad::constant(*load),
            (None, Err(_)) => BaseLoad::constant(Power::ZERO),
        };
        Ok(Node {
            id: self.id.clone(),
            kind: self.kind,
            parent: self.parent.clone(),
            import_limit: Power::from_kilowatts("import_limit_kw", self.import_limit_kw)?,
            agreement: (self.agreement.as_ref())
                .map(|row| row.agreement(start))
                .transpose()?,
            export_limit: Power::from_kilowatts("export_limit_kw", self.export_limit_kw)?,
            base_load,
        })
    }
}

impl AgreementRow {
    fn agreement(&self, start: Timestamp) -> Result<Agreement, Invalid> {
        let begin = start + TimeDelta::seconds(i64::from(self.start_offset_s));
        Ok(Agreement {
            import_limit: Power::from_kilowatts("import_limit_kw", self.import_limit_kw)?,
            interval: Interval::new(
                begin,
                begin + TimeDelta::seconds(i64::from(self.duration_s)),
            )?,
        })
    }
}

impl SwapProfile {
    fn slots(&self, count: u32) -> Pile {
        Pile {
            kind: PileKind::Dc,
            count,
            rated_power: Power::round_kilowatts(self.slot_power_kw),
            discharge_power: Power::round_kilowatts(self.slot_discharge_kw),
        }
    }

    /// What an operator knows of a station with so many slots.
    #[must_use]
    pub fn bank(&self, slots: u32) -> Bank {
        let per_day = self.swaps_per_slot_day * f64::from(slots);
        let mut swaps_per_hour = [0.0; 24];
        for (hour, share) in self.swap_shape.iter().enumerate() {
            // From the local hour to that of the UTC day.
            swaps_per_hour[(hour + 24 - LOCAL_AHEAD_H) % 24] = per_day * share;
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a share of the slots
        let reserve = (self.reserve_share * f64::from(slots)).ceil() as u32;
        Bank {
            swaps_per_hour,
            deviations: self.deviations,
            reserve,
            #[allow(clippy::cast_possible_truncation)] // 8
            ready_hour: (self.ready_hour)
                .map(|hour| (hour + 24 - LOCAL_AHEAD_H as u32) % 24),
            charged_soc: self.charged_soc,
            floor_soc: self.floor_soc,
        }
    }
}

impl StationRow {
    fn station(
        &self,
        assumptions: &Assumptions,
        swaps: Option<&SwapProfile>,
        dealers: &mut Dealers,
    ) -> Station {
        if let Some(exact) = &self.exact {
            return self.as_registered(exact, assumptions);
        }
        let piles = match swaps {
            Some(swaps) => vec![swaps.slots(self.slots)],
            None => self.piles(assumptions, dealers),
        };
        let sum = |power: fn(&Pile) -> Power| -> f64 {
            let each = |pile: &Pile| power(pile).as_kilowatts() * f64::from(pile.count);
            piles.iter().map(each).sum()
        };
        let (rated_kw, exported_kw) = (sum(|pile| pile.rated_power), sum(|p| p.discharge_power));
        let import_kw = self
            .import_limit_kw
            .unwrap_or(rated_kw * assumptions.connection_factor);
        let default_kw = self
            .default_setpoint_kw
            .unwrap_or(import_kw * assumptions.default_setpoint_share);
        let ramp_kw = import_kw * assumptions.ramp_share_per_second;
        Station {
            id: self.id.clone(),
            aggregator: self.aggregator.clone(),
            node: self.node.clone(),
            kind: match swaps {
                Some(_) => StationKind::Swap,
                None => StationKind::Charging,
            },
            piles,
            import_limit: Power::floor_kilowatts(import_kw),
            export_limit: Power::floor_kilowatts(exported_kw.min(import_kw)),
            // A watt a second at least: a station that cannot move at all is not one.
            ramp_per_second: Power::floor_kilowatts(ramp_kw).max(Power::from_watts(1)),
            default_setpoint: Power::floor_kilowatts(default_kw),
            charge_efficiency: assumptions.charge_efficiency,
            discharge_efficiency: assumptions.discharge_efficiency,
            regulates: self.regulates,
        }
    }

    /// Figures of a row that has them all are whole watts, and are not rounded down.
    fn as_registered(&self, exact: &Exact, assumptions: &Assumptions) -> Station {
        let piles: Vec<Pile> = exact.piles.iter().map(PileGroup::pile).collect();
        let each = |pile: &Pile| pile.rated_power.as_kilowatts() * f64::from(pile.count);
        let rated_kw: f64 = piles.iter().map(each).sum();
        let import_kw = (self.import_limit_kw).unwrap_or(rated_kw * assumptions.connection_factor);
        let default_kw =
            (self.default_setpoint_kw).unwrap_or(import_kw * assumptions.default_setpoint_share);
        Station {
            id: self.id.clone(),
            aggregator: self.aggregator.clone(),
            node: self.node.clone(),
            kind: StationKind::Charging,
            piles,
            import_limit: Power::round_kilowatts(import_kw),
            export_limit: Power::round_kilowatts(exact.export_limit_kw),
            ramp_per_second: Power::round_kilowatts(exact.ramp_kw_per_second),
            default_setpoint: Power::round_kilowatts(default_kw),
            charge_efficiency: exact.charge_efficiency,
            discharge_efficiency: exact.discharge_efficiency,
            regulates: self.regulates,
        }
    }

    fn piles(&self, assumptions: &Assumptions, dealers: &mut Dealers) -> Vec<Pile> {
        let mut piles = Vec::new();
        let mut add = |kind, count, rated_kw: f64, discharge_kw: f64| {
            if count > 0 {
                piles.push(Pile {
                    kind,
                    count,
                    rated_power: Power::round_kilowatts(rated_kw),
                    discharge_power: Power::round_kilowatts(discharge_kw),
                });
            }
        };
        let v2g_ac = self
            .v2g_ac
            .unwrap_or_else(|| dealers.v2g_ac.deal(self.ac)[0]);
        let ac_kw = assumptions.ac_power_kw;
        add(PileKind::Ac, self.ac - v2g_ac, ac_kw, 0.0);
        add(PileKind::Ac, v2g_ac, ac_kw, assumptions.v2g_ac_discharge_kw);
        let mut v2g_dc = self
            .v2g_dc
            .unwrap_or_else(|| dealers.v2g_dc.deal(self.dc)[0]);
        let counts = dealers.dc_ratings.deal(self.dc);
        // The weakest piles export: bidirectional ones are built small.
        for (&count, &rated_kw) in counts.iter().zip(&assumptions.dc_powers_kw) {
            let exporting = count.min(v2g_dc);
            v2g_dc -= exporting;
            let discharge_kw = assumptions.v2g_dc_discharge_kw.min(rated_kw);
            add(PileKind::Dc, count - exporting, rated_kw, 0.0);
            add(PileKind::Dc, exporting, rated_kw, discharge_kw);
        }
        piles
    }
}

impl PileGroup {
    fn pile(&self) -> Pile {
        Pile {
            kind: self.kind,
            count: self.count,
            rated_power: Power::round_kilowatts(self.rated_power_kw),
            discharge_power: Power::round_kilowatts(self.discharge_power_kw),
        }
    }
}

/// Deals whole things to classes so that the fleet as a whole keeps the shares, however small its stations are.
pub(crate) struct Dealer {
    shares: Vec<f64>,
    dealt: Vec<u64>,
}

impl Dealer {
    pub(crate) fn new(shares: &[f64]) -> Dealer {
        Dealer {
            shares: shares.to_vec(),
            dealt: vec![0; shares.len()],
        }
    }

    /// How many of the next `count` piles belong to each class.
    pub(crate) fn deal(&mut self, count: u32) -> Vec<u32> {
        let mut counts = vec![0; self.shares.len()];
        for _ in 0..count {
            counts[self.next_class()] += 1;
        }
        counts
    }

    /// The class of the next item: the one that lacks most.
    pub(crate) fn next_class(&mut self) -> usize {
        let total = self.dealt.iter().sum::<u64>() + 1;
        #[allow(clippy::cast_precision_loss)] // counts of piles
        let lack = |class: usize| self.shares[class] * total as f64 - self.dealt[class] as f64;
        let classes = 0..self.shares.len();
        let most = classes.max_by(|&a, &b| lack(a).total_cmp(&lack(b)).then(b.cmp(&a)));
        let class = most.expect("there is at least one class");
        self.dealt[class] += 1;
        class
    }
}

struct Dealers {
    v2g_ac: Dealer,
    v2g_dc: Dealer,
    dc_ratings: Dealer,
}

impl Dealers {
    fn new(assumptions: &Assumptions) -> Dealers {
        let (ac, dc) = (assumptions.v2g_share_ac, assumptions.v2g_share_dc);
        Dealers {
            v2g_ac: Dealer::new(&[ac, 1.0 - ac]),
            v2g_dc: Dealer::new(&[dc, 1.0 - dc]),
            dc_ratings: Dealer::new(&assumptions.dc_shares),
        }
    }
}
