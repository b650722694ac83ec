//! The price of the total, and from the top down that of every node that cuts.

use super::forest::Forced;
use super::market::{Market, Stopped};
use super::price::Price;

impl Market {
    /// Finds the price of the total and of every watched node, given those of the groups.
    pub(super) fn settle(&mut self, stop: &dyn Fn() -> bool) -> Result<(), Stopped> {
        let root = self.forest.root();
        self.pay();
        self.settle_root(root, stop)?;
        for k in (0..root).rev() {
            let node = self.forest.nodes[k];
            let above = self.price[node.parent];
            let flow = self.below(k).kw;
            self.own_price[k] = false;
            self.price[k] = match node.forced {
                Forced::Above => self.shift(k, above.shifted(-1.0), stop)?,
                Forced::Below => self.shift(k, above.shifted(1.0), stop)?,
                Forced::No if flow > node.upper => self.settle_full(k, above, flow, stop)?,
                Forced::No if flow < node.lower => self.settle_empty(k, above, flow, stop)?,
                Forced::No => above,
            };
        }
        Ok(())
    }

    /// Draws below a node at another price.
    fn shift(&mut self, k: usize, price: Price, stop: &dyn Fn() -> bool) -> Result<Price, Stopped> {
        self.flow(k, price, stop)?;
        Ok(price)
    }

    /// The price below a node that would draw more than its upper limit at the price above.
    fn settle_full(
        &mut self,
        k: usize,
        above: Price,
        flow: f64,
        stop: &dyn Fn() -> bool,
    ) -> Result<Price, Stopped> {
        let node = self.forest.nodes[k];
        let high = (above, flow);
        let mut low = (Price::at(self.steps.cheapest - 1.0), node.least);
        if self.forest.levels > 0 {
            let overloaded = above.shifted(-1.0);
            low = (overloaded, self.flow(k, overloaded, stop)?.kw);
            if low.1 >= node.upper {
                return Ok(overloaded);
            }
        }
        self.own_price[k] = true;
        let found = self.search(k, node.upper, low, high, stop)?;
        // Rounding must not make a full node dearer for those below than for those above.
        let dearer = found.less(above, self.units).value(self.units) > 0.0;
        Ok(if dearer { above } else { found })
    }

    /// The price below a node that would draw less than its lower limit at the price above.
    fn settle_empty(
        &mut self,
        k: usize,
        above: Price,
        flow: f64,
        stop: &dyn Fn() -> bool,
    ) -> Result<Price, Stopped> {
        let node = self.forest.nodes[k];
        let low = (above, flow);
        let mut high = (Price::at(self.highest_step() + 1.0), node.most);
        if self.forest.levels > 0 {
            let overloaded = above.shifted(1.0);
            high = (overloaded, self.flow(k, overloaded, stop)?.kw);
            if high.1 <= node.lower {
                return Ok(overloaded);
            }
        }
        self.own_price[k] = true;
        let found = self.search(k, node.lower, low, high, stop)?;
        let cheaper = found.less(above, self.units).value(self.units) < 0.0;
        Ok(if cheaper { above } else { found })
    }

    /// No step of any resource, with what its group pays, has a price above this.
    fn highest_step(&self) -> f64 {
        let paid = self.group_price.iter().map(|price| price.value(self.units));
        self.steps.dearest + self.units.epsilon + paid.fold(0.0, f64::max)
    }

    fn settle_root(&mut self, root: usize, stop: &dyn Fn() -> bool) -> Result<(), Stopped> {
        let top = self.penalties.tracking;
        self.off_target = true;
        self.own_price[root] = true;
        let known = self.forest.levels == 0;
        let node = self.forest.nodes[root];
        let high = if known && self.highest_step() < top {
            node.most
        } else {
            self.flow(root, Price::at(top), stop)?.kw
        };
        if high <= self.target {
            self.price[root] = Price::at(top);
            self.flow(root, self.price[root], stop)?;
            return Ok(());
        }
        let low = if known && self.steps.cheapest >= -top {
            node.least
        } else {
            self.flow(root, Price::at(-top), stop)?.kw
        };
        if low >= self.target {
            self.price[root] = Price::at(-top);
            self.flow(root, self.price[root], stop)?;
            return Ok(());
        }
        self.off_target = false;
        self.price[root] = self.search(
            root,
            self.target,
            (Price::at(-top), low),
            (Price::at(top), high),
            stop,
        )?;
        Ok(())
    }
}
