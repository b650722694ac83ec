//! A pilot community: houses and garages under shared transformers, orderly charging with an agreement on more at night, one
//! pile in five that answers nobody. Measured on the stations themselves, second by second.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod support;

use chrono::TimeDelta;
use vpp_aggregator::{Operator, Sites};
use vpp_core::{Node, NodeKind, Power, Timestamp};
use vpp_replay::Plant;
use vpp_scenarios::Scenario;
use vpp_scenarios::world::World;

use support::plant;

fn scenario(start: &str, disobeying: f64) -> Scenario {
    let text = include_str!("../../../scenarios/pilot-community.toml");
    let mut scenario = Scenario::parse(text).unwrap();
    let begin = scenario.header.start;
    scenario.header.start = start.parse().unwrap();
    scenario.assumptions.disobeying_pile_share = disobeying;
    // The agreement stays where it was on the clock.
    let later = u32::try_from((scenario.header.start - begin).num_seconds()).unwrap();
    for node in &mut scenario.nodes {
        let agreement = node.agreement.as_mut().unwrap();
        let end = agreement.start_offset_s + agreement.duration_s;
        agreement.start_offset_s = agreement.start_offset_s.saturating_sub(later);
        agreement.duration_s = end - later - agreement.start_offset_s;
    }
    scenario
}

/// What flows through each node, by the stations' own meters.
fn flows(plant: &Plant<World>, operator: &Operator<World>, now: Timestamp) -> Vec<Power> {
    let fleet = plant.engine().fleet();
    let tree = fleet.tree();
    let mut flows: Vec<Power> = tree
        .nodes()
        .iter()
        .map(|node| node.base_load.at(now))
        .collect();
    for (index, _) in fleet.stations().iter().enumerate() {
        flows[fleet.node_of(index)] += operator.sites().active_power(index);
    }
    tree.sum_upwards(&mut flows);
    flows
}

/// What a transformer carries: 1,000 kVA.
const RATING: Power = Power::from_watts(1_000_000);

/// What a limit is for: a transformer's heat. A second above counts, a minute's mean above is an overload.
#[derive(Debug, Default)]
struct Seen {
    /// Sums of the minute so far, watt-seconds for each node.
    minute: Vec<i64>,
    overloaded_minutes: u32,
    /// Seconds in which a transformer had more than it can carry.
    seconds_overloaded: u32,
    /// Seconds above a limit, and the most above as a share of it.
    seconds_above: u32,
    worst_share: f64,
    /// The most above a limit while an agreement allowed it.
    beyond: Power,
}

impl Seen {
    fn look(&mut self, nodes: &[Node], flows: &[Power], now: Timestamp) {
        self.minute.resize(nodes.len(), 0);
        for ((node, flow), sum) in nodes.iter().zip(flows).zip(&mut self.minute) {
            let limit = node.import_limit_over(now, now);
            self.seconds_overloaded +=
                u32::from(node.kind == NodeKind::Transformer && *flow > RATING);
            if *flow > limit {
                self.seconds_above += 1;
                let share = flow.as_kilowatts() / limit.as_kilowatts() - 1.0;
                self.worst_share = self.worst_share.max(share);
            }
            self.beyond = self.beyond.max(*flow - node.import_limit);
            *sum += flow.as_watts() - limit.as_watts();
            if now.timestamp() % 60 == 59 {
                self.overloaded_minutes += u32::from(*sum > 0);
                *sum = 0;
            }
        }
    }
}

fn live(plant: &mut Plant<World>, seconds: u32) -> Seen {
    let mut seen = Seen::default();
    for _ in 0..seconds {
        plant.advance();
        let flows = flows(plant, &plant.operators()[0], plant.now());
        seen.look(plant.engine().fleet().tree().nodes(), &flows, plant.now());
    }
    seen
}

/// The evening's peak, the agreement's begin, its end in the morning.
#[test]
fn no_transformer_is_overloaded_though_a_fifth_of_the_piles_answer_nobody() {
    for (start, seconds) in [
        ("2025-07-15T18:30:00+08:00", 3_600),
        ("2025-07-15T21:30:00+08:00", 3_600),
        ("2025-07-16T06:30:00+08:00", 2_400),
    ] {
        let mut plant = plant(&scenario(start, 0.2));
        let seen = live(&mut plant, seconds);
        assert_eq!(
            (seen.overloaded_minutes, seen.seconds_overloaded),
            (0, 0),
            "{start}: {seen:?}"
        );
        // A vehicle at a pile of which nobody knew yet that it answers nobody.
        assert!(seen.worst_share < 0.01, "{start}: {seen:?}");
    }
}

/// The whole night, from 18:00 to 08:00, with three draws of who comes and of which piles answer nobody: no transformer carries more
/// than its limit in the mean of any minute, nor more than it is built for in any second.
#[test]
fn a_whole_night_overloads_nothing_whoever_comes() {
    for seed in [18, 19, 20] {
        let mut scenario = scenario("2025-07-15T18:00:00+08:00", 0.2);
        scenario.header.seed = seed;
        let minutes = scenario.header.duration_minutes;
        assert_eq!(minutes, 840);
        let mut plant = plant(&scenario);
        let seen = live(&mut plant, minutes * 60);
        let tally = plant.operators()[0].sites().total();
        println!(
            "seed {seed}: {seen:?}; {} vehicles left, {} short of {:.1} kWh ({:?})",
            tally.departures,
            tally.short_departures,
            tally.energy_short.as_kilowatt_hours(),
            tally.unkept,
        );
        assert_eq!(
            (seen.overloaded_minutes, seen.seconds_overloaded),
            (0, 0),
            "seed {seed}: {seen:?}"
        );
        assert!(seen.worst_share < 0.01, "seed {seed}: {seen:?}");
    }
}

/// What was agreed beyond the limit is used, ends in time, and ends by itself where nobody is heard any more.
#[test]
fn an_agreement_is_used_and_not_outlived() {
    let mut scenario = scenario("2025-07-15T22:10:00+08:00", 0.0);
    for node in &mut scenario.nodes {
        node.agreement.as_mut().unwrap().duration_s = 1_200;
    }
    let mut plant_until_end = plant(&scenario);
    let seen = live(&mut plant_until_end, 1_140);
    assert!(seen.beyond > Power::from_watts(50_000), "{seen:?}");
    assert_eq!(
        (seen.overloaded_minutes, seen.seconds_above),
        (0, 0),
        "{seen:?}"
    );
    let end = live(&mut plant_until_end, 600);
    assert_eq!(
        (end.overloaded_minutes, end.seconds_above),
        (0, 0),
        "{end:?}"
    );
    // The same, but the engine falls silent in the middle.
    let mut plant = plant(&scenario);
    assert!(live(&mut plant, 600).beyond > Power::from_watts(50_000));
    let lifetime = plant.engine().config().command_lifetime;
    let mut now = plant.now();
    for second in 0..300 {
        now += TimeDelta::seconds(1);
        plant.operators_mut()[0].control(now);
        let flows = flows(&plant, &plant.operators()[0], now);
        // Its last command expires, and the piles react and ramp.
        if second > lifetime.num_seconds() + 10 {
            for (node, flow) in plant.engine().fleet().tree().nodes().iter().zip(flows) {
                assert!(
                    flow <= node.import_limit,
                    "{second} s: {flow} at {}",
                    node.id
                );
            }
        }
    }
}
