use super::*;
use crate::grid::BaseLoad;
use crate::{InvalidKind, NodeId, NodeKind, Pile, PileKind, StationKind};

fn kilowatts(kw: i64) -> Power {
    Power::from_watts(kw * 1_000)
}

fn station(id: &str, default_setpoint: Power) -> Station {
    Station {
        id: StationId::new(id).unwrap(),
        aggregator: AggregatorId::new("a").unwrap(),
        node: NodeId::new("f").unwrap(),
        kind: StationKind::Charging,
        piles: vec![Pile {
            kind: PileKind::Ac,
            count: 10,
            rated_power: kilowatts(7),
            discharge_power: kilowatts(5),
        }],
        import_limit: kilowatts(60),
        export_limit: kilowatts(40),
        ramp_per_second: kilowatts(5),
        default_setpoint,
        charge_efficiency: 0.95,
        discharge_efficiency: 0.95,
        regulates: false,
    }
}

fn default_of(id: &str, kw: i64) -> StationChange {
    StationChange {
        id: StationId::new(id).unwrap(),
        kind: None,
        piles: None,
        import_limit: None,
        export_limit: None,
        ramp_per_second: None,
        default_setpoint: Some(kilowatts(kw)),
        charge_efficiency: None,
        discharge_efficiency: None,
        regulates: None,
    }
}

fn fleet() -> Fleet {
    let mut fleet = Fleet::default();
    let id = AggregatorId::new("a").unwrap();
    fleet
        .insert_aggregator(Aggregator {
            id,
            display_name: String::new(),
            tested_share: None,
        })
        .unwrap();
    let node = Node {
        id: NodeId::new("f").unwrap(),
        kind: NodeKind::Feeder,
        parent: None,
        import_limit: kilowatts(100),
        export_limit: kilowatts(50),
        agreement: None,
        base_load: BaseLoad::constant(kilowatts(20)),
    };
    fleet.insert_node(node).unwrap();
    fleet
}

#[test]
fn all_stations_silent_must_fit_every_limit() {
    let mut fleet = fleet();
    fleet.insert_station(station("s1", kilowatts(50))).unwrap();
    // 20 base + 50 + 31 is above 100.
    let refusal = fleet
        .insert_station(station("s2", kilowatts(31)))
        .unwrap_err();
    assert_eq!(refusal.field, "default_setpoint_kw");
    fleet.insert_station(station("s2", kilowatts(30))).unwrap();
    let limited = NodeChange {
        id: NodeId::new("f").unwrap(),
        import_limit: Some(kilowatts(99)),
        export_limit: None,
        agreement: None,
        base_load: None,
    };
    assert_eq!(
        fleet.update_node(&limited).unwrap_err().field,
        "import_limit_kw"
    );
    fleet.update_station(&default_of("s2", 10)).unwrap();
    fleet.insert_station(station("s3", kilowatts(20))).unwrap();
}

#[test]
fn stations_that_cannot_be_are_refused_with_the_field() {
    let mut fleet = fleet();
    let good = || station("s1", kilowatts(10));
    let refused = [
        (
            Station {
                import_limit: kilowatts(-1),
                ..good()
            },
            "import_limit_kw",
        ),
        (
            Station {
                import_limit: Power::ZERO,
                ..good()
            },
            "import_limit_kw",
        ),
        (
            Station {
                export_limit: kilowatts(-1),
                ..good()
            },
            "export_limit_kw",
        ),
        (
            Station {
                ramp_per_second: Power::ZERO,
                ..good()
            },
            "ramp_kw_per_second",
        ),
        (
            Station {
                default_setpoint: kilowatts(-1),
                ..good()
            },
            "default_setpoint_kw",
        ),
        (
            Station {
                default_setpoint: kilowatts(61),
                ..good()
            },
            "default_setpoint_kw",
        ),
        (
            Station {
                charge_efficiency: f64::NAN,
                ..good()
            },
            "charge_efficiency",
        ),
        (
            Station {
                discharge_efficiency: 1.5,
                ..good()
            },
            "discharge_efficiency",
        ),
        (
            Station {
                piles: Vec::new(),
                ..good()
            },
            "piles",
        ),
    ];
    for (bad, field) in refused {
        assert_eq!(fleet.insert_station(bad).unwrap_err().field, field);
    }
    let stranger = Station {
        aggregator: AggregatorId::new("b").unwrap(),
        ..good()
    };
    assert_eq!(
        fleet.insert_station(stranger).unwrap_err().kind,
        InvalidKind::Unknown
    );
    fleet.insert_station(good()).unwrap();
    assert_eq!(
        fleet.insert_station(good()).unwrap_err().kind,
        InvalidKind::Taken
    );
    assert_eq!(fleet.stations().len(), 1, "nothing that was refused stays");
}
