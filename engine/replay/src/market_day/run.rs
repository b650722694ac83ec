//! The day itself: bids, every value of the signal, and what each interval comes to.

use vpp_market_adapters::regulation::performance::PerformanceRules;
use vpp_market_adapters::regulation::{Record, Sample};
use vpp_optimizer::bid::{BidProblem, BidResource, Offer, bid};
use vpp_optimizer::regulate::{Answer, Fleet, Penalties, Problem, Regulator};

use super::{Asset, DayError, DayResult, IntervalResult, MarketDay, Store};

impl MarketDay {
    /// Runs the day.
    ///
    /// # Errors
    /// A series of the wrong length, a number that cannot be, a bid without an end.
    pub fn run(&self, mut progress: impl FnMut(usize)) -> Result<DayResult, DayError> {
        self.check()?;
        let horizon = self.energy_price.len();
        let values = self.signal.len() / horizon;
        let mut run = Run::new(self, values)?;
        let first = run.bid(0, 0.0, None)?;
        let mut offers = first.offers.clone();
        let expected_profit = first.profit;
        run.value_by(&first);
        let mut intervals = Vec::with_capacity(horizon);
        for t in 0..horizon {
            progress(t);
            let mut under_way = Progress::new(offers[t]);
            let half = values / 2;
            for (part, from) in [(0.0, 0), (0.5, half)] {
                // What the rest of this interval and all later ones are worth, and new offers for those not begun.
                let renewed = run.bid(t, part, Some(offers[t]))?;
                run.value_by(&renewed);
                offers[t + 1..].copy_from_slice(&renewed.offers[1..]);
                let until = if from == 0 { half } else { values };
                run.follow(t, from..until, &mut under_way)?;
            }
            intervals.push(run.end(t, under_way));
        }
        Ok(DayResult {
            intervals,
            stored_kwh: run.stored_kwh,
            unmet_kwh: run.unmet_kwh,
            expected_profit,
        })
    }

    /// What the best bid at the start of the day expects to earn.
    ///
    /// # Errors
    /// As [`MarketDay::run`].
    pub fn expected_profit(&self) -> Result<f64, DayError> {
        self.check()?;
        Ok(Run::new(self, 2)?.bid(0, 0.0, None)?.profit)
    }

    fn check(&self) -> Result<(), DayError> {
        let horizon = self.energy_price.len();
        let length = |field: &str, found: usize, expected: usize| {
            if found == expected {
                return Ok(());
            }
            let field = field.to_owned();
            Err(DayError::Length {
                field,
                found,
                expected,
            })
        };
        if horizon == 0 {
            return length("energy_price", 0, 1);
        }
        length("capacity_price", self.capacity_price.len(), horizon)?;
        length("mileage_price", self.mileage_price.len(), horizon)?;
        length("expected_mileage", self.expected_mileage.len(), horizon)?;
        length("expected_shares", self.expected_shares.len(), horizon)?;
        let whole = (self.signal.len() / (2 * horizon)).max(1) * 2 * horizon;
        length("signal", self.signal.len(), whole)?;
        for (at, &value) in self.signal.iter().enumerate() {
            if !(-1.0..=1.0).contains(&value) {
                return Err(DayError::Signal { at, value });
            }
        }
        for (i, asset) in self.assets.iter().enumerate() {
            let name = |field: &str| format!("assets[{i}].{field}");
            length(&name("charge_max_kw"), asset.charge_max_kw.len(), horizon)?;
            length(
                &name("discharge_max_kw"),
                asset.discharge_max_kw.len(),
                horizon,
            )?;
        }
        Ok(())
    }
}

/// A day under way.
struct Run<'a> {
    day: &'a MarketDay,
    /// Hours of one value of the signal.
    step_h: f64,
    stored_kwh: Vec<f64>,
    unmet_kwh: f64,
    /// What a kWh in each store is worth now.
    energy_value: Vec<f64>,
    regulator: Regulator,
    problem: Problem,
    answer: Answer,
}

/// An interval under way.
struct Progress {
    result: IntervalResult,
    samples: Vec<Sample>,
    before_kw: Option<f64>,
}

impl Progress {
    fn new(offer: Offer) -> Progress {
        Progress {
            result: IntervalResult {
                offer,
                drawn_kwh: 0.0,
                mileage_kw: 0.0,
                worst_error_kw: 0.0,
                score: None,
                energy_income: 0.0,
                capacity_income: 0.0,
                mileage_income: 0.0,
                wear: 0.0,
            },
            samples: Vec::new(),
            before_kw: None,
        }
    }
}

impl<'a> Run<'a> {
    #[allow(clippy::cast_precision_loss)] // a count of values
    fn new(day: &'a MarketDay, values: usize) -> Result<Run<'a>, DayError> {
        let count = day.assets.len();
        let mut regulator = Regulator::new();
        regulator.set_fleet(&Fleet {
            resource_node: vec![None; count],
            resource_group: vec![None; count],
            ..Fleet::default()
        })?;
        let initial = |asset: &Asset| asset.store.as_ref().map_or(0.0, |store| store.initial_kwh);
        // Above every price, so that the signal comes first.
        let highest = (day.energy_price.iter().chain(&day.capacity_price))
            .fold(0.0_f64, |most, price| most.max(price.abs()));
        let wear = (day.assets.iter()).fold(0.0_f64, |most, asset| {
            most.max(asset.charge_wear.abs())
                .max(asset.discharge_wear.abs())
        });
        let tracking = 20.0 * (highest + wear).max(1e-6);
        Ok(Run {
            day,
            step_h: day.interval_h / values as f64,
            stored_kwh: day.assets.iter().map(initial).collect(),
            unmet_kwh: 0.0,
            energy_value: vec![0.0; count],
            regulator,
            problem: Problem {
                low_kw: vec![0.0; count],
                high_kw: vec![0.0; count],
                plan_kw: vec![0.0; count],
                rise_price: vec![0.0; count],
                fall_price: vec![0.0; count],
                penalties: Penalties {
                    tracking,
                    commitment: 10.0 * tracking,
                    overload: 100.0 * tracking,
                },
                ..Problem::default()
            },
            answer: Answer::default(),
        })
    }

    /// Offers from interval `t` on, of which a share has passed already.
    fn bid(
        &self,
        t: usize,
        passed: f64,
        agreed: Option<Offer>,
    ) -> Result<vpp_optimizer::bid::Bid, DayError> {
        let day = self.day;
        let horizon = day.energy_price.len();
        let mut intervals_h = vec![day.interval_h; horizon - t];
        intervals_h[0] *= 1.0 - passed;
        let price = |t: usize| {
            day.expected_score
                * (day.capacity_price[t] + day.mileage_price[t] * day.expected_mileage[t])
                / day.interval_h
        };
        let resources = day.assets.iter().zip(&self.stored_kwh);
        let problem = BidProblem {
            intervals_h,
            resources: resources
                .map(|(asset, stored)| asset.to_bid(t, day.interval_h, *stored))
                .collect(),
            energy_price: day.energy_price[t..].to_vec(),
            regulation_price: (t..horizon).map(price).collect(),
            levels: day.levels.clone(),
            shares: day.expected_shares[t..].to_vec(),
            sustain_h: day.sustain_h,
            agreed,
            unmet_energy: self.problem.penalties.overload,
            tracking: self.problem.penalties.tracking,
        };
        Ok(bid(&problem)?)
    }

    fn value_by(&mut self, bid: &vpp_optimizer::bid::Bid) {
        for (value, series) in self.energy_value.iter_mut().zip(&bid.energy_value) {
            // A lack that cannot be made good has no price: what must be charged is a limit then.
            let most = 0.4 * self.problem.penalties.tracking;
            *value = series[0].clamp(-most, most);
        }
    }

    /// Follows some values of the signal.
    fn follow(
        &mut self,
        t: usize,
        values: std::ops::Range<usize>,
        progress: &mut Progress,
    ) -> Result<(), DayError> {
        let day = self.day;
        let in_interval = day.signal.len() / day.energy_price.len();
        for k in values {
            let value = day.signal[t * in_interval + k];
            let offer = progress.result.offer;
            self.bound(t, k);
            self.problem.target_kw = offer.base_kw - offer.capacity_kw * value;
            self.regulator
                .solve(&self.problem, &mut self.answer, &|| false)?;
            let draw_kw: f64 = self.answer.draw_kw.iter().sum();
            let result = &mut progress.result;
            result.wear += self.live();
            result.drawn_kwh += draw_kw * self.step_h;
            if let Some(before) = progress.before_kw.replace(draw_kw) {
                result.mileage_kw += (draw_kw - before).abs();
            }
            let error = (draw_kw - self.problem.target_kw).abs();
            result.worst_error_kw = result.worst_error_kw.max(error);
            #[allow(clippy::cast_precision_loss)] // a count of values
            let at_s = k as f64 * self.step_h * 3600.0;
            progress.samples.push(Sample {
                at_s,
                asked_kw: offer.capacity_kw * value,
                got_kw: offer.base_kw - draw_kw,
            });
        }
        Ok(())
    }

    /// What each may draw for one value: what it has room for and, with a departure ahead, what it must.
    fn bound(&mut self, t: usize, k: usize) {
        let day = self.day;
        for (i, asset) in day.assets.iter().enumerate() {
            let (mut low, mut high) = (-asset.discharge_max_kw[t], asset.charge_max_kw[t]);
            if let Some(store) = &asset.store {
                let stored = self.stored_kwh[i];
                let charging = |room_kwh: f64| room_kwh / (store.charge_efficiency * self.step_h);
                let exporting = |kwh: f64| kwh * store.discharge_efficiency / self.step_h;
                high = high.min(charging(store.greatest_kwh - stored)).max(0.0);
                low = low.max(-exporting((stored - store.least_kwh).max(0.0)));
                if let Some(least) = self.least_after(asset, store, t, k) {
                    let spare = stored - least;
                    let must = if spare >= 0.0 {
                        -exporting(spare)
                    } else {
                        charging(-spare)
                    };
                    low = low.max(must).min(high);
                }
            }
            self.problem.low_kw[i] = low;
            self.problem.high_kw[i] = high;
            // Around no power at all: what charging and discharging cost beyond the price of energy, which is the same
            // for all.
            let value = self.energy_value[i];
            let (charge, discharge) = asset.efficiencies();
            self.problem.rise_price[i] = asset.charge_wear - charge * value;
            self.problem.fall_price[i] = asset.discharge_wear + value / discharge;
            let sum = self.problem.rise_price[i] + self.problem.fall_price[i];
            if sum < 0.0 {
                // A negative value of energy: burning it would pay. It is not done.
                self.problem.fall_price[i] -= sum;
            }
        }
    }

    /// What must be stored after this value so that the rest of the way to the departure is enough.
    #[allow(clippy::cast_precision_loss)] // a count of values
    fn least_after(&self, asset: &Asset, store: &Store, t: usize, k: usize) -> Option<f64> {
        let (due, kwh) = store.due?;
        if t > due {
            return None;
        }
        let interval_h = self.day.interval_h;
        let left_h = interval_h - (k + 1) as f64 * self.step_h;
        let mut to_come = asset.charge_max_kw[t] * left_h;
        to_come += asset.charge_max_kw[t + 1..=due].iter().sum::<f64>() * interval_h;
        Some(kwh - store.charge_efficiency * to_come)
    }

    /// Everybody draws what was decided; what that costs in wear.
    fn live(&mut self) -> f64 {
        let mut wear = 0.0;
        for (i, asset) in self.day.assets.iter().enumerate() {
            let draw_kwh = self.answer.draw_kw[i] * self.step_h;
            let (charge, discharge) = asset.efficiencies();
            if draw_kwh >= 0.0 {
                wear += draw_kwh * asset.charge_wear;
                self.stored_kwh[i] += draw_kwh * charge;
            } else {
                wear -= draw_kwh * asset.discharge_wear;
                self.stored_kwh[i] += draw_kwh / discharge;
            }
            if asset.store.is_none() {
                self.stored_kwh[i] = 0.0;
            }
        }
        wear
    }

    /// Settles an interval.
    fn end(&mut self, t: usize, progress: Progress) -> IntervalResult {
        let day = self.day;
        let Progress {
            mut result,
            samples,
            ..
        } = progress;
        for (asset, stored) in day.assets.iter().zip(&self.stored_kwh) {
            let due = asset.store.as_ref().and_then(|store| store.due);
            if let Some((_, kwh)) = due.filter(|(due, _)| *due == t) {
                self.unmet_kwh += (kwh - stored).max(0.0);
            }
        }
        let capacity = result.offer.capacity_kw;
        let scored = Record::new(capacity, samples)
            .and_then(|record| PerformanceRules::pjm().score(&record));
        result.score = scored.ok().map(|score| score.score);
        result.energy_income = -result.drawn_kwh * day.energy_price[t];
        result.capacity_income = capacity * day.capacity_price[t] * day.expected_score;
        result.mileage_income = result.mileage_kw * day.mileage_price[t] * day.expected_score;
        result
    }
}

impl Asset {
    fn efficiencies(&self) -> (f64, f64) {
        (self.store.as_ref()).map_or((1.0, 1.0), |s| {
            (s.charge_efficiency, s.discharge_efficiency)
        })
    }

    /// As the bid sees it from interval `t` on.
    fn to_bid(&self, t: usize, interval_h: f64, stored_kwh: f64) -> BidResource {
        let count = self.charge_max_kw.len() - t;
        let (charge_efficiency, discharge_efficiency) = self.efficiencies();
        let (mut least, mut greatest) =
            (vec![f64::NEG_INFINITY; count], vec![f64::INFINITY; count]);
        if let Some(store) = &self.store {
            least.fill(store.least_kwh - stored_kwh);
            greatest.fill(store.greatest_kwh - stored_kwh);
            if let Some((due, kwh)) = store.due.filter(|(due, _)| *due >= t) {
                // Before the end the way there must be left: at full power, interval by interval.
                let mut need = kwh;
                for at in (t..=due).rev() {
                    least[at - t] = least[at - t].max(need - stored_kwh);
                    need -= self.charge_max_kw[at] * interval_h * charge_efficiency;
                }
            }
        }
        BidResource {
            charge_max_kw: self.charge_max_kw[t..].to_vec(),
            discharge_max_kw: self.discharge_max_kw[t..].to_vec(),
            energy_min_kwh: least,
            energy_max_kwh: greatest,
            charge_efficiency,
            discharge_efficiency,
            charge_wear: self.charge_wear,
            discharge_wear: self.discharge_wear,
        }
    }
}
