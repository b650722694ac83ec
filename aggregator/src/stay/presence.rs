//! Who stands where: since when, and whether one vehicle shows at two piles.
//!
//! Whoever is where it was at the last look costs no search: vehicles are looked up by name only when one comes, and as long as
//! one is seen at two places.

use std::collections::HashMap;

use chrono::TimeDelta;
use foldhash::quality::RandomState;
use serde::{Deserialize, Serialize};
use vpp_core::time::since;
use vpp_core::{Timestamp, VehicleId};

use super::GONE_AFTER;

/// A vehicle that was seen elsewhere so shortly before is at two piles.
const SAME_TIME: TimeDelta = TimeDelta::seconds(10);
/// So long it is not trusted.
const DOUBTED: TimeDelta = TimeDelta::minutes(1);

/// Fewer are not looked through.
const SWEEP_FROM: usize = 64;

/// A station's number, and the pile's there.
pub(super) type At = (usize, u32);

/// Who stands at the piles of all stations of an aggregator.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(super) struct Presence {
    /// By station and pile.
    stands: Vec<Vec<Option<Stand>>>,
    /// Nothing depends on its order.
    places: HashMap<VehicleId, Place, RandomState>,
    /// With how many places known it is next worth to look for those of vehicles that left.
    sweep_at: usize,
}

#[derive(Debug, Deserialize, Serialize)]
struct Stand {
    since: Timestamp,
    seen_at: Timestamp,
    vehicle: Option<VehicleId>,
    /// The vehicle's place is known to be here, and nobody else claims it.
    settled: bool,
    /// It could be discharged at the last look, or was.
    gave: bool,
}

/// Where a vehicle was seen last.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
struct Place {
    at: At,
    /// As of when it came there; its stand may know better.
    seen_at: Timestamp,
    doubted_until: Timestamp,
}

/// What is seen at a pile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    /// Since when somebody stands there.
    pub(super) since: Timestamp,
    /// The vehicle shows at another pile as well.
    pub(super) doubled: bool,
    /// It can be discharged or is, or could be and was at the last look.
    pub(super) gives: bool,
}

impl Presence {
    /// Notes that somebody stands at a pile, and whether the vehicle can be discharged or is.
    pub(super) fn see(
        &mut self,
        at: At,
        vehicle: Option<&VehicleId>,
        gives: bool,
        now: Timestamp,
    ) -> Seen {
        let stand = stand(&mut self.stands, at);
        let known = stand.get_or_insert_with(|| Stand {
            since: now,
            seen_at: now,
            vehicle: vehicle.cloned(),
            settled: false,
            gave: false,
        });
        let same = match (&known.vehicle, vehicle) {
            // Mostly it is the very same text.
            (Some(one), Some(other)) => one.is_copy_of(other) || one == other,
            (one, other) => one.is_none() && other.is_none(),
        };
        let other = !same && vehicle.is_some() && known.vehicle.is_some();
        if other || since(known.seen_at, now) > GONE_AFTER {
            *known = Stand {
                since: now,
                seen_at: now,
                settled: same && known.settled,
                gave: same && known.gave,
                vehicle: if same {
                    known.vehicle.take()
                } else {
                    vehicle.cloned()
                },
            };
        }
        if known.vehicle.is_none() {
            // The pile can tell only now.
            known.vehicle = vehicle.cloned();
        }
        known.seen_at = now;
        let stands_since = known.since;
        let gave = std::mem::replace(&mut known.gave, gives);
        let doubled = match vehicle {
            Some(_) if known.settled && same => false,
            Some(vehicle) => self.place(vehicle, at, now),
            None => false,
        };
        Seen {
            since: stands_since,
            doubled,
            gives: gives || gave,
        }
    }

    /// Looks up where a vehicle was seen last; whether it is at two piles.
    fn place(&mut self, vehicle: &VehicleId, at: At, now: Timestamp) -> bool {
        let known = self.places.entry(vehicle.clone()).or_insert(Place {
            at,
            seen_at: now,
            doubted_until: now,
        });
        if known.at != at {
            let seen_at = match holder(&mut self.stands, known.at, vehicle) {
                Some(left) => {
                    left.settled = false;
                    left.seen_at.max(known.seen_at)
                }
                None => known.seen_at,
            };
            if now - seen_at < SAME_TIME {
                known.doubted_until = now + DOUBTED;
            }
        }
        (known.at, known.seen_at) = (at, now);
        let doubled = now < known.doubted_until;
        if let Some(stand) = holder(&mut self.stands, at, vehicle) {
            stand.settled = !doubled;
        }
        doubled
    }

    /// Forgets who was not seen for long, once they may be as many as those who are there.
    pub(super) fn sweep(&mut self, now: Timestamp) {
        if self.places.len() < self.sweep_at {
            return;
        }
        let stands = &mut self.stands;
        self.places.retain(|vehicle, place| {
            let stand = holder(stands, place.at, vehicle);
            let seen_at = stand
                .as_ref()
                .map_or(place.seen_at, |stand| stand.seen_at.max(place.seen_at));
            let keeps = now - seen_at < DOUBTED || now < place.doubted_until;
            if let Some(stand) = stand {
                stand.settled &= keeps;
            }
            keeps
        });
        self.sweep_at = 2 * self.places.len() + SWEEP_FROM;
    }
}

fn stand(stands: &mut Vec<Vec<Option<Stand>>>, (station, pile): At) -> &mut Option<Stand> {
    if stands.len() <= station {
        stands.resize_with(station + 1, Vec::new);
    }
    let (stands, pile) = (&mut stands[station], pile as usize);
    if stands.len() <= pile {
        stands.resize_with(pile + 1, || None);
    }
    &mut stands[pile]
}

/// The stand at a place, if it is this vehicle's.
fn holder<'a>(
    stands: &'a mut [Vec<Option<Stand>>],
    (station, pile): At,
    vehicle: &VehicleId,
) -> Option<&'a mut Stand> {
    let stand = stands.get_mut(station)?.get_mut(pile as usize)?.as_mut()?;
    (stand.vehicle.as_ref() == Some(vehicle)).then_some(stand)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(1_800_000_000 + seconds, 0).expect("in the calendar")
    }

    fn car(name: &str) -> VehicleId {
        VehicleId::new(name).expect("a name")
    }

    #[test]
    fn a_vehicle_at_two_piles_is_doubted_at_both_and_for_a_minute_after() {
        let (mut presence, car) = (Presence::default(), car("a"));
        let mut doubled = |pile, seconds| {
            presence
                .see((0, pile), Some(&car), false, at(seconds))
                .doubled
        };
        assert!(!doubled(0, 0));
        assert!(!doubled(0, 1));
        assert!(doubled(1, 1));
        assert!(doubled(0, 2) && doubled(1, 2));
        // It stays at one.
        assert!(doubled(0, 61));
        assert!(!doubled(0, 62) && !doubled(0, 63));
        assert!(doubled(1, 64));
    }

    #[test]
    fn who_drives_from_one_to_another_is_not_doubted_but_who_comes_back_at_once_is() {
        let (mut presence, car) = (Presence::default(), car("a"));
        let mut doubled = |pile, seconds| {
            presence
                .see((0, pile), Some(&car), false, at(seconds))
                .doubled
        };
        assert!(!doubled(0, 0));
        assert!(!doubled(1, 20));
        assert!(!doubled(1, 25));
        assert!(doubled(0, 26));
    }

    #[test]
    fn since_when_it_stands_begins_anew_with_another_vehicle_or_after_a_gap() {
        let (mut presence, one, other) = (Presence::default(), car("a"), car("b"));
        let mut since = |vehicle, seconds| presence.see((3, 2), vehicle, false, at(seconds)).since;
        assert_eq!(since(None, 0), at(0));
        assert_eq!(since(Some(&one), 5), at(0));
        assert_eq!(since(Some(&other), 6), at(6));
        assert_eq!(since(Some(&other), 16), at(6));
        assert_eq!(since(Some(&other), 27), at(27));
    }

    #[test]
    fn what_was_not_seen_for_a_minute_is_forgotten() {
        let (mut presence, car) = (Presence::default(), car("a"));
        presence.see((0, 0), Some(&car), false, at(0));
        presence.see((0, 0), Some(&car), false, at(55));
        presence.sweep(at(60));
        assert_eq!(presence.places.len(), 1);
        // Nobody looks as long as there are few.
        presence.sweep(at(120));
        assert_eq!(presence.places.len(), 1);
        for pile in 1..70 {
            let other = VehicleId::new(format!("b-{pile}")).expect("a name");
            presence.see((1, pile), Some(&other), false, at(120));
        }
        presence.sweep(at(120));
        assert_eq!(presence.places.len(), 69);
        // It never left, and is known again where it is.
        assert!(!presence.see((0, 0), Some(&car), false, at(121)).doubled);
        assert!(presence.see((0, 1), Some(&car), false, at(122)).doubled);
    }
}
