use super::*;

fn terms() -> v1::InvitationTerms {
    let at = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    v1::InvitationTerms {
        kind: v1::InvitationKind::DayAhead.into(),
        product: v1::InvitationProduct::Shaving.into(),
        scope: None,
        demand_kw: 20_000.0,
        start_time: at(1_800_007_200),
        end_time: at(1_800_010_800),
        declare_until: at(1_800_000_000),
        floor_cny_per_kwh: String::new(),
        cap_cny_per_kwh: "3.5".into(),
        least_kw: 100.0,
        pricing: v1::InvitationPricing::Uniform.into(),
    }
}

#[test]
fn terms_come_back_as_they_were() {
    let invitation = Invitation::try_from(terms()).expect("sound");
    let back = v1::InvitationTerms::from(&invitation);
    assert_eq!(Invitation::try_from(back), Ok(invitation));
}

#[test]
fn bad_terms_are_refused_by_field() {
    type Spoil = fn(&mut v1::InvitationTerms);
    let table: [(&str, Spoil); 11] = [
        ("kind", |t| t.kind = 0),
        ("kind", |t| t.kind = 77),
        ("product", |t| t.product = 0),
        ("pricing", |t| t.pricing = 0),
        ("demand_kw", |t| t.demand_kw = f64::NAN),
        ("least_kw", |t| t.least_kw = -1.0),
        ("cap_cny_per_kwh", |t| t.cap_cny_per_kwh = String::new()),
        ("cap_cny_per_kwh", |t| t.cap_cny_per_kwh = "1e400".into()),
        ("cap_cny_per_kwh", |t| t.floor_cny_per_kwh = "4".into()),
        ("floor_cny_per_kwh", |t| t.floor_cny_per_kwh = "-1".into()),
        ("start_time", |t| t.start_time = None),
    ];
    for (field, spoil) in table {
        let mut wire = terms();
        spoil(&mut wire);
        let refused = Invitation::try_from(wire).expect_err(field);
        assert_eq!(refused.field, field);
    }
}

/// All the way to its payment.
#[test]
fn an_invitation_comes_back_as_it_was() {
    let invitation = Invitation::try_from(terms()).expect("sound");
    let at = |seconds| vpp_core::Timestamp::from_timestamp(seconds, 5).expect("an instant");
    let mut process = Process::publish(at(1_799_999_000), invitation).expect("sound");
    let offer = |name: &str, whole: bool| {
        let offer = Offer {
            aggregator: AggregatorId::new(name).expect("an id"),
            power: Power::from_watts(12_000_001),
            price: price("", "1.50").expect("a price"),
            whole,
        };
        Action::Declare(offer, Power::from_watts(90_000_000))
    };
    let steps = [
        (1_799_999_100, offer("a", true)),
        (1_799_999_200, offer("b", false)),
        (1_799_999_300, offer("c", true)),
        (1_800_000_000, Action::Clear),
        (1_800_007_200, Action::Begin),
        (1_800_010_800, Action::End),
        (1_800_010_900, Action::Evaluate),
        (1_800_011_000, Action::Pay),
    ];
    let id = InvitationId::new("dr-1").expect("an id");
    for (seconds, action) in steps {
        process.apply(at(seconds), action).expect("in order");
        for event in [None, Some(EventId::new("event-000001").expect("an id"))] {
            let wire = invitation_to_wire(&id, &process, event.as_ref());
            let back = invitation_from_wire(wire).expect("as written");
            assert_eq!(back, (id.clone(), process.clone(), event));
        }
    }
}

#[test]
fn every_step_and_action_comes_back_as_it_was() {
    let aggregator = AggregatorId::new("agg-a").expect("an id");
    let id = InvitationId::new("dr-1").expect("an id");
    let invitation = Invitation::try_from(terms()).expect("sound");
    let cny = |text: &str| price("", text).expect("a price");
    let declaration = |power: Option<i64>, price: Option<&str>| {
        InvitationStep::Declare(Declaration {
            aggregator: aggregator.clone(),
            power: power.map(Power::from_watts),
            price: price.map(cny),
            whole: true,
        })
    };
    for step in [
        InvitationStep::Publish(Box::new(invitation)),
        declaration(Some(80_001), Some("1.250")),
        declaration(None, None),
        InvitationStep::Withdraw(aggregator.clone()),
        InvitationStep::Cancel("雷雨".into()),
        InvitationStep::Evaluate,
        InvitationStep::Pay,
    ] {
        let asked = asked_to_wire("r-1".into(), &id, &step);
        let (request, asking) = asked_from_wire(asked).expect("as written");
        assert_eq!((request.as_str(), asking), ("r-1", (id.clone(), step)));
    }
    let offer = Offer {
        aggregator: aggregator.clone(),
        power: Power::from_watts(1),
        price: cny("0.45"),
        whole: false,
    };
    for action in [
        Action::Declare(offer, Power::from_watts(7)),
        Action::Withdraw(aggregator),
        Action::Cancel(String::new()),
        Action::Clear,
        Action::Begin,
        Action::End,
        Action::Evaluate,
        Action::Pay,
    ] {
        let wire = v1::InvitationAction::from(&action);
        assert_eq!(Action::try_from(wire), Ok(action));
    }
    assert!(Action::try_from(v1::InvitationAction::default()).is_err());
}
