//! Steps with what their groups pay already added: one price for all again, so that ranges are added up as fast as
//! without groups. Adding rounds, so this is for ramps that are wide beside rounding.

use std::ops::Range;

use super::curve::{Flow, Price, Steps, Units, rise};
use super::layout::Layout;

/// Ramps at least this wide take no harm, CNY/kWh.
const WIDE: f64 = 1e-4;

/// Prices of the steps of all resources, by position, as they look from above their groups.
#[derive(Debug, Clone, Default)]
pub(super) struct Paid {
    down_price: Vec<f64>,
    up_price: Vec<f64>,
    values: Vec<f64>,
}

impl Paid {
    pub(super) fn reserve(&mut self, layout: &Layout) {
        if layout.groups > 0 {
            self.down_price.resize(layout.resources(), 0.0);
            self.up_price.resize(layout.resources(), 0.0);
            self.values.resize(layout.groups + 1, 0.0);
        }
    }

    pub(super) fn load(&mut self, layout: &Layout, steps: &Steps, paid: &[Price], units: Units) {
        if !Self::is_fit(units) {
            return;
        }
        for (value, price) in self.values.iter_mut().zip(paid) {
            *value = price.value(units);
        }
        let columns = self.down_price.iter_mut().zip(&mut self.up_price);
        let from = steps
            .down_price
            .iter()
            .zip(&steps.up_price)
            .zip(&layout.group);
        for ((down, up), ((&down_step, &up_step), &group)) in columns.zip(from) {
            let value = self.values[group as usize];
            (*down, *up) = (down_step + value, up_step + value);
        }
    }

    /// Whether ramps are wide enough.
    pub(super) fn is_fit(units: Units) -> bool {
        units.epsilon >= WIDE
    }

    pub(super) fn risen(
        &self,
        steps: &Steps,
        range: Range<usize>,
        price: Price,
        steepness: f64,
    ) -> Flow {
        let (down, up) = (
            &self.down_price[range.clone()],
            &self.up_price[range.clone()],
        );
        let mut flow = rise(down, &steps.down_kw[range.clone()], price, steepness);
        flow += rise(up, &steps.up_kw[range], price, steepness);
        flow
    }
}
