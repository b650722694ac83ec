//! Clearing: which offers are taken, how much of each, and at what price.
//!
//! The grid buys: cheaper offers first. Offers of one price share what is left at their turn in proportion to what they
//! offer, whole watts by largest remainders. An offer that may only be taken whole is passed over where less is left than it
//! offers; among those of one price such offers come first, the larger before the smaller, so that as much as possible is
//! taken. The clearing price is that of the dearest offer taken.

use rust_decimal::Decimal;
use vpp_core::{AggregatorId, Invalid, Power, Price};

use super::split;

/// How offers taken are paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pricing {
    /// Each at its own price.
    PayAsBid,
    /// All at the clearing price.
    Uniform,
}

/// What a market lets be offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Least price.
    pub floor: Price,
    /// Greatest price.
    pub cap: Price,
    /// Least power.
    pub least: Power,
}

/// What somebody offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Who.
    pub aggregator: AggregatorId,
    /// How much.
    pub power: Power,
    /// For each kWh.
    pub price: Price,
    /// Whether it may only be taken whole.
    pub whole: bool,
}

/// What is taken of an offer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Whose.
    pub aggregator: AggregatorId,
    /// How much; zero where it was not taken.
    pub power: Power,
    /// Paid for each kWh.
    pub price: Price,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clearing {
    /// One for each offer, in the order in which they came.
    pub taken: Vec<Taken>,
    /// Asked for and not covered.
    pub missing: Power,
    /// That of the dearest offer taken; none where none was.
    pub price: Option<Price>,
}

/// Checks an offer before it counts.
///
/// # Errors
/// A price outside the bounds, a power below the least or above what a test showed (`tested`), a second offer of the same
/// aggregator: an offer is withdrawn before another is made.
pub fn check(
    offer: &Offer,
    others: &[Offer],
    bounds: &Bounds,
    tested: Power,
) -> Result<(), Invalid> {
    let price = offer.price.as_cny_per_kwh();
    let (floor, cap) = (bounds.floor.as_cny_per_kwh(), bounds.cap.as_cny_per_kwh());
    if price < floor || price > cap {
        let problem = format!("{price} CNY/kWh is outside {floor} to {cap}");
        return Err(Invalid::new("price", problem));
    }
    if offer.power < bounds.least {
        let problem = format!("{} is below the least of {}", offer.power, bounds.least);
        return Err(Invalid::new("power_kw", problem));
    }
    if offer.power > tested {
        let problem = format!("{} is above the {tested} that a test showed", offer.power);
        return Err(Invalid::new("power_kw", problem));
    }
    if others
        .iter()
        .any(|other| other.aggregator == offer.aggregator)
    {
        let problem = format!("{} has declared already", offer.aggregator);
        return Err(Invalid::state("aggregator_id", problem));
    }
    Ok(())
}

/// Clears a demand.
#[must_use]
pub fn clear(demand: Power, offers: &[Offer], pricing: Pricing) -> Clearing {
    let price_of = |at: usize| offers[at].price.as_cny_per_kwh();
    let mut order: Vec<usize> = (0..offers.len()).collect();
    // Stable: what comes first stays first among equals.
    order.sort_by_key(|&at| price_of(at));
    let mut taken = vec![Power::ZERO; offers.len()];
    let mut left = demand.max(Power::ZERO);
    let mut dearest = None;
    for tier in order.chunk_by(|&a, &b| price_of(a) == price_of(b)) {
        let before = left;
        let mut whole: Vec<usize> = tier
            .iter()
            .copied()
            .filter(|&at| offers[at].whole)
            .collect();
        whole.sort_by_key(|&at| std::cmp::Reverse(offers[at].power));
        for at in whole {
            if offers[at].power <= left {
                taken[at] = offers[at].power;
                left -= offers[at].power;
            }
        }
        let parts: Vec<usize> = tier
            .iter()
            .copied()
            .filter(|&at| !offers[at].whole)
            .collect();
        let weights: Vec<u64> = parts
            .iter()
            .map(|&at| offers[at].power.max(Power::ZERO).as_watts().unsigned_abs())
            .collect();
        let offered: u64 = weights.iter().sum();
        let share = left.as_watts().unsigned_abs().min(offered);
        let share = i64::try_from(share).unwrap_or(i64::MAX);
        if offered > 0 {
            for (&at, watts) in parts.iter().zip(split(share, &weights)) {
                taken[at] = Power::from_watts(watts);
            }
            left -= Power::from_watts(share);
        }
        if left < before {
            dearest = Some(offers[tier[0]].price);
        }
    }
    let paid = |at: usize| match pricing {
        Pricing::PayAsBid => offers[at].price,
        Pricing::Uniform => dearest.unwrap_or(Price::from_cny_per_kwh(Decimal::ZERO)),
    };
    Clearing {
        taken: (0..offers.len())
            .map(|at| Taken {
                aggregator: offers[at].aggregator.clone(),
                power: taken[at],
                price: paid(at),
            })
            .collect(),
        missing: left,
        price: dearest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn offer(name: &str, kw: i64, milli: i64, whole: bool) -> Offer {
        Offer {
            aggregator: AggregatorId::new(name).expect("an id"),
            power: Power::from_watts(1_000 * kw),
            price: Price::from_cny_per_kwh(Decimal::new(milli, 3)),
            whole,
        }
    }

    fn kilowatts(clearing: &Clearing) -> Vec<i64> {
        clearing
            .taken
            .iter()
            .map(|taken| taken.power.as_watts() / 1_000)
            .collect()
    }

    /// By hand.
    #[test]
    fn cheaper_offers_first_ties_in_proportion_and_whole_ones_whole() {
        /// Asked for, offered, taken of each, missing (kW) and the price in thousandths of a CNY.
        type Row = (i64, Vec<Offer>, Vec<i64>, i64, Option<i64>);
        let table: [Row; 5] = [
            // The cheapest whole, the next in part.
            (
                70,
                vec![offer("a", 50, 2_000, false), offer("b", 60, 1_000, false)],
                vec![10, 60],
                0,
                Some(2_000),
            ),
            // A tie: 40 over 30 : 50.
            (
                40,
                vec![offer("a", 30, 1_000, false), offer("b", 50, 1_000, false)],
                vec![15, 25],
                0,
                Some(1_000),
            ),
            // The whole one does not fit any more and is passed over for a dearer one.
            (
                50,
                vec![
                    offer("a", 40, 1_000, false),
                    offer("b", 20, 1_500, true),
                    offer("c", 30, 2_000, false),
                ],
                vec![40, 0, 10],
                0,
                Some(2_000),
            ),
            // Of one price the whole ones come first.
            (
                50,
                vec![offer("a", 40, 1_000, false), offer("b", 20, 1_000, true)],
                vec![30, 20],
                0,
                Some(1_000),
            ),
            // Too little for all.
            (
                90,
                vec![offer("a", 40, 1_000, false)],
                vec![40],
                50,
                Some(1_000),
            ),
        ];
        for (demand, offers, taken, missing, price) in table {
            let cleared = clear(
                Power::from_watts(1_000 * demand),
                &offers,
                Pricing::PayAsBid,
            );
            assert_eq!(kilowatts(&cleared), taken, "{offers:?}");
            assert_eq!(cleared.missing, Power::from_watts(1_000 * missing));
            let expected = price.map(|milli| Price::from_cny_per_kwh(Decimal::new(milli, 3)));
            assert_eq!(cleared.price, expected);
            let own = cleared
                .taken
                .iter()
                .zip(&offers)
                .all(|(taken, offer)| taken.price == offer.price);
            assert!(own);
            let uniform = clear(Power::from_watts(1_000 * demand), &offers, Pricing::Uniform);
            assert_eq!(kilowatts(&uniform), taken);
            assert!(
                uniform
                    .taken
                    .iter()
                    .all(|taken| Some(taken.price) == expected)
            );
        }
    }

    #[test]
    fn what_may_not_be_offered_is_refused_by_field() {
        let price = |milli| Price::from_cny_per_kwh(Decimal::new(milli, 3));
        let bounds = Bounds {
            floor: price(0),
            cap: price(3_500),
            least: Power::from_watts(5_000_000),
        };
        let tested = Power::from_watts(8_000_000);
        let good = offer("a", 6_000, 3_500, false);
        assert_eq!(check(&good, &[], &bounds, tested), Ok(()));
        let table = [
            (offer("a", 6_000, 3_501, false), "price"),
            (offer("a", 6_000, -1, false), "price"),
            (offer("a", 4_999, 1_000, false), "power_kw"),
            (offer("a", 8_001, 1_000, false), "power_kw"),
            (offer("b", 6_000, 1_000, false), "aggregator_id"),
        ];
        let others = [offer("b", 6_000, 1_000, false)];
        for (offer, field) in table {
            let refused = check(&offer, &others, &bounds, tested).expect_err("refused");
            assert_eq!(refused.field, field, "{refused}");
        }
    }

    proptest! {
        /// No more than is asked for and offered; nobody dearer while somebody cheaper could give more; no whole offer in
        /// part.
        #[test]
        fn the_merit_order_holds(
            demand in 0_i64..500_000,
            rows in prop::collection::vec((1_i64..100_000, 0_i64..6, any::<bool>()), 0..20),
        ) {
            let offers: Vec<Offer> = rows.iter().enumerate().map(|(at, (watts, price, whole))| Offer {
                aggregator: AggregatorId::new(format!("a-{at}")).expect("an id"),
                power: Power::from_watts(*watts),
                price: Price::from_cny_per_kwh(Decimal::from(*price)),
                whole: *whole,
            }).collect();
            let demand = Power::from_watts(demand);
            let cleared = clear(demand, &offers, Pricing::Uniform);
            let sum: Power = cleared.taken.iter().map(|taken| taken.power).sum();
            prop_assert_eq!(sum + cleared.missing, demand);
            for (taken, offer) in cleared.taken.iter().zip(&offers) {
                prop_assert!(Power::ZERO <= taken.power && taken.power <= offer.power);
                prop_assert!(!offer.whole || taken.power == Power::ZERO || taken.power == offer.power);
                let spare = !offer.whole && taken.power < offer.power;
                if spare {
                    prop_assert_eq!(cleared.missing, Power::ZERO);
                    let dearer = cleared.price.is_some_and(|price| {
                        price.as_cny_per_kwh() > offer.price.as_cny_per_kwh()
                    });
                    prop_assert!(!dearer, "{offer:?} had more to give");
                }
            }
        }
    }
}
