//! The city's pilot at the plan's full size, 2025 to 2027: what each year adds to the one before.
//!
//! The first year is a whole scenario; each later one includes the one before and adds its new stations below new feeders. So
//! the fleet of a year begins with the fleet of the year before, station by station.

mod plan;
mod write;

use std::path::Path;

use vpp_core::{AggregatorId, Invalid, Power, StationId};

use super::grid::{self, Grouping, Numbered};
use super::read::{self, HouseLoad, SourceStation};
use super::sample::{self, Draws};
use super::{ImportError, Stage};
use crate::build::Dealer;
use crate::format::{AggregatorRow, NodeRow, StationRow};
use plan::{
    CITY, EXPORTING_SWAP, Exports, Project, SCENES, SLOT_KW, SLOTS, SWAP, TRANCHES, Tranche,
};

/// Aggregators of the city; the plan wants five at least.
const AGGREGATORS: u32 = 6;
const SEED: u64 = 2025;
const AC_KW: f64 = 7.0;
/// Shares of the DC piles of 60 and 120 kW (assumption).
const DC_KW: [f64; 2] = [60.0, 120.0];
const DC_SHARES: [f64; 2] = [0.5, 0.5];

/// A year of the city's pilot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum City {
    /// The end of 2025 as the plan wants it, for a year.
    Guangzhou2025,
    /// 2026.
    Guangzhou2026,
    /// 2027.
    Guangzhou2027,
}

impl City {
    /// All, in their order: each is built on the ones before.
    pub const ALL: [City; 3] = [
        City::Guangzhou2025,
        City::Guangzhou2026,
        City::Guangzhou2027,
    ];

    /// Name of the scenario and, with `.toml`, of its file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            City::Guangzhou2025 => "guangzhou-2025",
            City::Guangzhou2026 => "guangzhou-2026",
            City::Guangzhou2027 => "guangzhou-2027",
        }
    }

    /// The one of a name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<City> {
        City::ALL.into_iter().find(|city| city.name() == name)
    }
}

/// What a year brings.
struct Growth {
    nodes: Vec<NodeRow>,
    stations: Vec<StationRow>,
}

/// Makes the text of a year's file from the data sets in `data_dir`. `progress` is told what begins.
///
/// # Errors
/// A data file that is missing or broken, with file and line.
pub fn import_city(
    data_dir: &Path,
    city: City,
    progress: &mut dyn FnMut(Stage),
) -> Result<String, ImportError> {
    progress(Stage::Stations);
    let known = read::stations(&data_dir.join("shenzhen-stations/stations.csv"))?;
    let houses = read::house_loads(&data_dir.join("loads-residential"))?;
    let aggregators = grid::aggregators(AGGREGATORS)?;
    progress(Stage::Grid);
    let mut dealer = Dealer::new(&DC_SHARES);
    let (mut before, mut numbered) = (Numbered::default(), 0);
    for (tranche, year) in TRANCHES.iter().zip(City::ALL) {
        let seed = SEED + u64::from(tranche.year.unsigned_abs());
        let mut made = Making {
            tranche,
            draws: Draws::new(seed),
            stations: numbered,
        };
        let (growth, after) = made.growth(&known, &houses, &aggregators, before, &mut dealer)?;
        (before, numbered) = (after, numbered + growth.stations.len());
        if year == city {
            progress(Stage::Sessions);
            return write::text(data_dir, tranche, &aggregators, &growth, progress);
        }
    }
    Err(Invalid::new("city", format!("{} is not planned", city.name())).into())
}

struct Making<'a> {
    tranche: &'a Tranche,
    draws: Draws,
    /// Stations of the years before.
    stations: usize,
}

/// A new station before it has a name and a place in the trees.
#[derive(Clone, Copy)]
struct Plot {
    source: SourceStation,
    /// Position in [`SCENES`]; none of a swap station.
    scene: Option<usize>,
    prefix: &'static str,
    exporting: u32,
}

impl Making<'_> {
    fn growth(
        &mut self,
        known: &[SourceStation],
        houses: &[HouseLoad],
        aggregators: &[AggregatorRow],
        before: Numbered,
        dealer: &mut Dealer,
    ) -> Result<(Growth, Numbered), Invalid> {
        let mut plots = self.plots(known);
        for project in self.tranche.projects {
            mark(&mut plots, project)?;
        }
        fill(&mut plots, self.tranche);
        let sources: Vec<SourceStation> = plots.iter().map(|plot| plot.source).collect();
        let grouping = grid::group(&sources, before, &mut self.draws);
        let operators = grid::operators(plots.len(), aggregators, &mut self.draws);
        let mut nodes = grid::nodes(&grouping, houses, &mut self.draws)?;
        let imports = self.connections(&plots, dealer);
        let mut stations = self.rows(&plots, &grouping, &operators, &imports)?;
        grid::limit(&mut nodes, &mut stations, &imports, &grouping);
        Ok((Growth { nodes, stations }, grouping.numbered()))
    }

    /// Sizes and places of the new stations: those of Shenzhen's, with the means of their scenes.
    fn plots(&mut self, known: &[SourceStation]) -> Vec<Plot> {
        let tranche = self.tranche;
        let with = |dc: bool| known.iter().copied().filter(move |s| (s.dc > 0) == dc);
        let (slow, fast): (Vec<_>, Vec<_>) = (with(false).collect(), with(true).collect());
        let mut plots: Vec<Plot> = Vec::new();
        // Homes last: they fill up to the plan's number of piles.
        let mut order: Vec<usize> = (0..SCENES.len()).collect();
        order.sort_by_key(|&scene| SCENES[scene].profile == "residential");
        for at in order {
            let (scene, wanted) = (&SCENES[at], tranche.stations[at]);
            let mut ac: Vec<u32> = self.draw(&slow, wanted).iter().map(|s| s.ac).collect();
            let mut dc: Vec<u32> = self.draw(&fast, wanted).iter().map(|s| s.dc).collect();
            self.draws.shuffle(&mut ac);
            let places = self.draw(known, wanted);
            let fixed: u32 = plots.iter().map(|p| p.source.ac + p.source.dc).sum();
            #[allow(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss
            )]
            // some ten thousand piles
            let sum = |mean: f64| (mean * tranche.scale * wanted as f64).round() as u32;
            let homes = tranche.piles.filter(|_| scene.profile == "residential");
            scale(&mut ac, homes.map_or(sum(scene.ac), |piles| piles - fixed));
            scale(&mut dc, sum(scene.dc));
            plots.extend((0..wanted).map(|i| Plot {
                source: SourceStation {
                    ac: ac[i],
                    dc: dc[i],
                    place: places[i].place,
                },
                scene: Some(at),
                prefix: CITY,
                exporting: 0,
            }));
        }
        let swaps = self.draw(&fast, tranche.swaps);
        plots.extend(swaps.into_iter().map(|station| Plot {
            source: SourceStation {
                ac: 0,
                // For its weight in the grid alone.
                dc: SLOTS / 2,
                place: station.place,
            },
            scene: None,
            prefix: CITY,
            exporting: 0,
        }));
        plots
    }

    /// A stratified sample; where the source is too small, several.
    fn draw(&mut self, from: &[SourceStation], wanted: usize) -> Vec<SourceStation> {
        let mut drawn = Vec::with_capacity(wanted);
        while drawn.len() < wanted {
            let next = (wanted - drawn.len()).min(from.len());
            drawn.extend(sample::by_size(from, next, &mut self.draws));
        }
        drawn
    }

    /// The connection of each station: the same share of the sum of its ratings, so that all add up to the plan's capacity. A
    /// kVA counts as a kW: piles draw at a power factor near 1.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // some kilowatts
    fn connections(&self, plots: &[Plot], dealer: &mut Dealer) -> Vec<Power> {
        let rated: Vec<f64> = plots.iter().map(|plot| plot.rated_kw(dealer)).collect();
        let target = self.tranche.capacity_mva * 1e3;
        let share = target / rated.iter().sum::<f64>();
        let mut limits: Vec<f64> = rated.iter().map(|kw| (kw * share).floor()).collect();
        let rest = target - limits.iter().sum::<f64>();
        // Whole kilowatts: what rounding leaves, one to each of the first.
        for limit in limits.iter_mut().take(rest.round().max(0.0) as usize) {
            *limit += 1.0;
        }
        limits.into_iter().map(Power::round_kilowatts).collect()
    }

    fn rows(
        &self,
        plots: &[Plot],
        grouping: &Grouping,
        operators: &[AggregatorId],
        imports: &[Power],
    ) -> Result<Vec<StationRow>, Invalid> {
        let row = |(i, plot): (usize, &Plot)| {
            let exports = plot.scene.map(|scene| SCENES[scene].exports);
            let of = |kind| (exports == Some(kind) && plot.exporting > 0).then_some(plot.exporting);
            let profile = match plot.scene {
                Some(scene) => SCENES[scene].profile,
                None if plot.exporting > 0 => EXPORTING_SWAP,
                None => SWAP,
            };
            let is_swap = plot.scene.is_none();
            Ok(StationRow {
                id: StationId::new(format!("{}-{:04}", plot.prefix, self.stations + i + 1))?,
                aggregator: operators[i].clone(),
                node: grouping.node_of(i)?,
                place: plot
                    .source
                    .place
                    .map(|degrees| (degrees * 1e3).round() / 1e3),
                ac: plot.source.ac,
                dc: if is_swap { 0 } else { plot.source.dc },
                slots: if is_swap { SLOTS } else { 0 },
                profile: (profile != "public").then(|| profile.to_string()),
                // They are set second by second and metered apart; rapid charging for all comers follows a signal badly.
                regulates: !is_swap && plot.exporting > 0,
                v2g_ac: of(Exports::Ac),
                v2g_dc: of(Exports::Dc),
                import_limit_kw: Some(imports[i].as_kilowatts()),
                default_setpoint_kw: None,
                exact: None,
            })
        };
        plots.iter().enumerate().map(row).collect()
    }
}

impl Plot {
    /// Sum of the ratings, kW; DC ratings are dealt as the fleet deals them.
    fn rated_kw(&self, dealer: &mut Dealer) -> f64 {
        if self.scene.is_none() {
            return f64::from(SLOTS) * SLOT_KW;
        }
        let counts = dealer.deal(self.source.dc);
        let dc: f64 = (counts.iter().zip(DC_KW))
            .map(|(count, kw)| f64::from(*count) * kw)
            .sum();
        f64::from(self.source.ac) * AC_KW + dc
    }
}

/// Scales numbers so that they add up to `total`, none below 1; all to 0 where the total is.
fn scale(sizes: &mut [u32], total: u32) {
    let sum: u32 = sizes.iter().sum();
    if total == 0 || sum == 0 {
        sizes.fill(0);
        return;
    }
    let mut dealt = 0;
    for size in &mut *sizes {
        let share = u64::from(*size) * u64::from(total) / u64::from(sum);
        *size = u32::try_from(share).unwrap_or(u32::MAX).max(1);
        dealt += *size;
    }
    // What rounding gave too much or too little, one by one from the largest on.
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|&i| (std::cmp::Reverse(sizes[i]), i));
    for &i in order.iter().cycle() {
        match dealt.cmp(&total) {
            std::cmp::Ordering::Less => {
                sizes[i] += 1;
                dealt += 1;
            }
            std::cmp::Ordering::Greater if sizes[i] > 1 => {
                sizes[i] -= 1;
                dealt -= 1;
            }
            std::cmp::Ordering::Greater if total as usize >= sizes.len() => {}
            _ => break,
        }
    }
}

/// Gives the project its stations: of each scene those that are just large enough. They have exporting piles alone, so that
/// what they give is what their own gate meters; what they had besides is no longer there.
fn mark(plots: &mut [Plot], project: &Project) -> Result<(), Invalid> {
    let stations: usize = project.stations.iter().map(|(_, wanted)| wanted).sum();
    let each = project
        .piles
        .div_ceil(u32::try_from(stations).unwrap_or(u32::MAX).max(1));
    let mut members: Vec<(usize, u32)> = Vec::new();
    for (profile, wanted) in project.stations {
        let mut fitting: Vec<(usize, u32)> = (plots.iter().enumerate())
            .filter(|(_, plot)| plot.prefix == CITY)
            .filter_map(|(i, plot)| Some((i, plot, plot.scene?)))
            .filter(|(_, _, scene)| SCENES[*scene].profile == *profile)
            .map(|(i, plot, scene)| match SCENES[scene].exports {
                Exports::Ac => (i, plot.source.ac),
                Exports::Dc => (i, plot.source.dc),
            })
            .collect();
        fitting.sort_by_key(|&(i, count)| (count < each, count.abs_diff(each), i));
        members.extend(fitting.into_iter().take(*wanted));
    }
    let swaps: Vec<usize> = (0..plots.len())
        .filter(|&i| plots[i].scene.is_none())
        .take(project.exporting_swaps)
        .collect();
    for i in swaps {
        plots[i].prefix = project.prefix;
        plots[i].exporting = SLOTS;
    }
    // The smallest first, so that what they lack falls to those that can hold it.
    members.sort_by_key(|&(i, count)| (count, i));
    let mut left = project.piles;
    let mut waiting = u32::try_from(members.len()).unwrap_or(u32::MAX);
    for (i, count) in members {
        let piles = count.min(left.div_ceil(waiting.max(1)));
        let plot = &mut plots[i];
        (plot.prefix, plot.exporting) = (project.prefix, piles);
        let exports = plot.scene.map(|scene| SCENES[scene].exports);
        (plot.source.ac, plot.source.dc) = match exports {
            Some(Exports::Dc) => (0, piles),
            _ => (piles, 0),
        };
        left -= piles;
        waiting -= 1;
    }
    if left > 0 {
        let problem = format!("{left} exporting piles of {} find no place", project.prefix);
        return Err(Invalid::new("projects", problem));
    }
    Ok(())
}

/// Homes take what is left of the plan's number of piles.
fn fill(plots: &mut [Plot], tranche: &Tranche) {
    let Some(piles) = tranche.piles else { return };
    let there = plots.iter().filter(|plot| plot.scene.is_some());
    let there: u32 = there.map(|plot| plot.source.ac + plot.source.dc).sum();
    let homes: Vec<usize> = (0..plots.len())
        .filter(|&i| plots[i].prefix == CITY)
        .filter(|&i| {
            plots[i]
                .scene
                .is_some_and(|at| SCENES[at].profile == "residential")
        })
        .collect();
    let mut sizes: Vec<u32> = homes.iter().map(|&i| plots[i].source.ac).collect();
    let total = sizes.iter().sum::<u32>() + piles.saturating_sub(there);
    scale(&mut sizes, total);
    for (i, size) in homes.into_iter().zip(sizes) {
        plots[i].source.ac = size;
    }
}
