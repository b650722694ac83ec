//! A pile for each stay: reports do not say which.

use chrono::{DateTime, Utc};
use vpp_core::{Pile, Power};

use crate::stays::Stay;

/// Gives each of a station's stays, which are in the order of arrival, a pile: of those that are free the first of the weakest
/// that bear its powers; where none does, the strongest.
pub(super) fn assign(stays: &mut [Stay], groups: &[Pile]) {
    let each = |group: &Pile| {
        let powers = (group.rated_power, group.discharge_power);
        std::iter::repeat_n(powers, group.count as usize)
    };
    let powers: Vec<(Power, Power)> = groups.iter().flat_map(each).collect();
    let mut free_from = vec![DateTime::<Utc>::MIN_UTC; powers.len()];
    for stay in stays {
        let session = &stay.session;
        let bears = |pile: usize| {
            powers[pile].0 >= session.max_charge && powers[pile].1 >= session.max_discharge
        };
        let is_free = |pile: &usize| free_from[*pile] <= stay.arrival;
        let free = (0..powers.len()).filter(is_free);
        let fitting = free.clone().filter(|pile| bears(*pile));
        let chosen = fitting.min_by_key(|pile| (powers[*pile], *pile));
        let strongest = || free.max_by_key(|pile| (powers[*pile], std::cmp::Reverse(*pile)));
        // There is one: no report had more vehicles than there are piles, and who has left had left when the next came.
        if let Some(pile) = chosen.or_else(strongest) {
            free_from[pile] = session.departure;
            stay.pile = u32::try_from(pile).unwrap_or(u32::MAX);
        }
    }
}
