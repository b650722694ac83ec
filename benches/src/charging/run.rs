//! One way of sharing on one set of sessions, period by period, and what came of it.

use serde_json::{Value, json};

use super::garage::{Case, Limits, TOLERANCE_KW};
use super::policies::{Controller, Policy, Vehicle};
use super::sessions::Session;

/// What came of a policy.
#[derive(Default)]
struct Outcome {
    asked_kwh: f64,
    delivered_kwh: f64,
    /// Vehicles that left with less than 99 % of what they asked for.
    short: usize,
    /// The worst share that a vehicle left with, of those in the worst twentieth: their mean.
    worst_twentieth: f64,
    peak_kw: f64,
    peak_fed_in_kw: f64,
    /// Times that a pile was switched on or off in a session, without the first and the last.
    switches: usize,
    bill_cny: f64,
    /// Paid for what was fed in.
    revenue_cny: f64,
    fed_in_kwh: f64,
    /// Periods in which a connector, the transformer or the feeder had more than it may.
    over: [usize; 3],
    worst_excess_kw: f64,
}

pub(super) fn run(policy: Policy, case: &Case, limits: Limits<'_>) -> anyhow::Result<Value> {
    let (garage, sessions) = (&case.garage, &case.sessions);
    let mut controller = Controller::new(policy, case, limits);
    let mut outcome = Outcome {
        asked_kwh: sessions.iter().map(|session| session.kwh).sum(),
        ..Outcome::default()
    };
    let hours = garage.period_h();
    // A vehicle stops by itself when it has what it wants, unless it is to feed in later.
    let spare: Vec<f64> = match policy.feeds_in() {
        true => sessions.iter().map(|session| session.spare_kwh).collect(),
        false => vec![0.0; sessions.len()],
    };
    let mut left: Vec<f64> = sessions.iter().map(|session| session.kwh).collect();
    let mut available: Vec<f64> = sessions.iter().map(Session::available_kwh).collect();
    let mut drew = vec![0.0; sessions.len()];
    let mut here: Vec<usize> = Vec::new();
    for period in 0..case.prices.drawn.len() {
        // In the order of their piles, as a station reads them.
        here.clear();
        here.extend(
            (0..sessions.len())
                .filter(|at| (sessions[*at].arrival..sessions[*at].departure).contains(&period)),
        );
        here.sort_by_key(|at| sessions[*at].pile);
        let vehicles: Vec<Vehicle> = (here.iter())
            .map(|&at| Vehicle {
                pile: sessions[at].pile,
                arrival: sessions[at].arrival,
                stays: sessions[at].departure - period,
                wants_kwh: left[at].max(0.0),
                left_kwh: left[at],
                spare_kwh: (spare[at] + left[at].min(0.0)).max(0.0),
                available_kwh: available[at],
                discharge_kw: sessions[at].discharge_kw,
                drew_kw: drew[at],
            })
            .collect();
        let shares = controller.share(period, &vehicles)?;
        let mut total = 0.0;
        let mut over_connector = false;
        for ((&at, vehicle), share) in here.iter().zip(&vehicles).zip(shares) {
            let fed_in = garage.most_fed_in_kw(vehicle.discharge_kw, available[at]);
            let most = garage.most_kw(left[at] + spare[at]);
            let draws = share.min(most).max(-fed_in);
            over_connector |= draws.abs() > garage.pile_kw() + TOLERANCE_KW;
            let was_on = drew[at] > 0.0;
            // A watt-hour is not worth a session.
            let wants = left[at] > 1e-3;
            outcome.switches +=
                usize::from(period > sessions[at].arrival && wants && was_on != (draws > 0.0));
            drew[at] = draws;
            let stored = if draws > 0.0 {
                outcome.bill_cny += draws * hours * case.prices.drawn[period];
                draws * hours * garage.efficiency
            } else {
                outcome.fed_in_kwh -= draws * hours;
                outcome.revenue_cny -= draws * hours * case.prices.fed_in[period];
                draws * hours / garage.efficiency
            };
            left[at] -= stored;
            available[at] += stored;
            total += draws;
        }
        outcome.peak_kw = outcome.peak_kw.max(total);
        outcome.peak_fed_in_kw = outcome.peak_fed_in_kw.max(-total);
        let excess = limits.excess(period, total);
        let over = [
            over_connector,
            excess[0] > TOLERANCE_KW,
            excess[1] > TOLERANCE_KW,
        ];
        for (count, over) in outcome.over.iter_mut().zip(over) {
            *count += usize::from(over);
        }
        outcome.worst_excess_kw = outcome.worst_excess_kw.max(excess[0]).max(excess[1]);
    }
    anyhow::ensure!(
        !policy.is_ours() || outcome.over == [0; 3],
        "{} broke a limit in {:?} periods (connector, transformer, feeder) at {} kW",
        policy.name(),
        outcome.over,
        limits.transformer_kw,
    );
    // More than it wanted is of no use to it.
    left.iter_mut().for_each(|left| *left = left.max(0.0));
    let mut shares: Vec<f64> = (sessions.iter().zip(&left))
        .map(|(session, left)| 1.0 - left / session.kwh.max(1e-9))
        .collect();
    shares.sort_by(f64::total_cmp);
    outcome.delivered_kwh = outcome.asked_kwh - left.iter().sum::<f64>();
    let lacking =
        (sessions.iter().zip(&left)).filter(|(session, left)| **left > 0.01 * session.kwh + 1e-3);
    outcome.short = lacking.count();
    let worst = (shares.len() / 20).max(1);
    outcome.worst_twentieth = shares.iter().take(worst).sum::<f64>() / worst as f64;
    Ok(outcome.row(policy, case, limits))
}

impl Outcome {
    fn row(&self, policy: Policy, case: &Case, limits: Limits<'_>) -> Value {
        let count = case.sessions.len() as f64;
        let cost = self.bill_cny - self.revenue_cny;
        json!({
            "case": case.name,
            "policy": policy.name(),
            "limit_kw": limits.transformer_kw,
            "sessions": case.sessions.len(),
            "delivered_share": self.delivered_kwh / self.asked_kwh,
            "short_share": self.short as f64 / count,
            "worst_twentieth": self.worst_twentieth,
            "peak_kw": self.peak_kw,
            "peak_fed_in_kw": self.peak_fed_in_kw,
            "switches_a_session": self.switches as f64 / count,
            "cost_cny": cost,
            "cost_cny_per_kwh": cost / self.delivered_kwh,
            "fed_in_kwh": self.fed_in_kwh,
            "v2g_revenue_cny": self.revenue_cny,
            "periods": case.prices.drawn.len(),
            "over_connector": self.over[0],
            "over_transformer": self.over[1],
            "over_feeder": self.over[2],
            "worst_excess_kw": self.worst_excess_kw.max(0.0),
        })
    }
}
