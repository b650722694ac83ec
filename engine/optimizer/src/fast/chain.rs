//! Newton steps of single resources, eight at a time.
//!
//! A resource is a short chain in time: stored energy links an interval to the next. Its Newton system is that of a
//! linear-quadratic control problem, solved by a Riccati sweep backwards in time and a roll-out forwards; the inverse that
//! the coupling rows ask for is the covariance of the Gauss–Markov chain with the same precision, so it is read off a
//! Kalman-like sweep forwards ([`Ports`]). Everything costs time in proportion to the number of intervals.
//!
//! Source of the idea: C. V. Rao, S. J. Wright, J. B. Rawlings, *Application of interior-point methods to model
//! predictive control*, J. Optim. Theory Appl. 99 (1998).

mod dynamics;
mod factor;
mod pivots;
mod respond;
mod stand;
mod start;
mod step;

use super::lane::{Kernel, Lane, WIDTH, vectorized};
use super::rows::Gains;

/// Curvature of what cannot move.
const PINNED: f64 = 1e30;
/// A pivot below this share of what it came from is cancellation: nothing is known of it, so it is not moved.
const CANCELLED: f64 = 1e-15;
/// Added to the curvature of controls, and allowed between a row and its limit for each unit of its price's change: the
/// Newton system stays solvable where limits coincide. Both vanish as the direction does, so neither moves the optimum.
const RHO: f64 = 1e-8;
pub(super) const DELTA: f64 = 1e-7;
/// Slacks begin at this share of the resource's size, or more.
const FLOOR: f64 = 0.1;
/// Residuals below this share of the limit are rounding.
pub(super) const ROUNDING: f64 = 1e-13;

/// Which variables the chains of a batch have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shape {
    /// Charges only.
    Charges,
    /// Charges and discharges.
    Exports,
    /// Holds regulation too.
    Regulates,
    /// As before, under ramps or a warranty of throughput.
    Ramped,
}

impl Shape {
    pub(super) fn controls(self) -> usize {
        match self {
            Self::Charges => 1,
            Self::Exports => 2,
            Self::Regulates | Self::Ramped => 4,
        }
    }

    pub(super) fn states(self) -> usize {
        match self {
            Self::Ramped => 4,
            _ => 2,
        }
    }

    /// What coupling rows can see: net draw, or net draw, up and down.
    pub(super) fn ports(self) -> usize {
        if self.controls() > 2 { 3 } else { 1 }
    }
}

/// Calls a kernel for the shape of a batch.
macro_rules! shaped {
    ($batch:expr, $method:ident ( $($argument:expr),* )) => {
        match $batch.shape {
            Shape::Charges => $batch.$method::<2, 1>($($argument),*),
            Shape::Exports => $batch.$method::<2, 2>($($argument),*),
            Shape::Regulates => $batch.$method::<2, 4>($($argument),*),
            Shape::Ramped => $batch.$method::<4, 4>($($argument),*),
        }
    };
}

/// A vectorized kernel on a batch, under the name by which others call it.
macro_rules! kernels {
    ($($(#[$doc:meta])* $name:ident / $kernel:ident / $inner:ident ( $($argument:ident : $type:ty),* ) -> $output:ty;)*) => {
        $(
            struct $kernel<'a> { batch: &'a mut Batch, $($argument: $type),* }

            impl Kernel for $kernel<'_> {
                type Output = $output;
                #[inline(always)]
                fn run<const FUSED: bool>(self) -> $output {
                    shaped!(self.batch, $inner($(self.$argument),*))
                }
            }
        )*
        impl Batch {
            $(
                $(#[$doc])*
                pub(super) fn $name(&mut self, $($argument: $type),*) -> $output {
                    vectorized($kernel { batch: self, $($argument),* })
                }
            )*
        }
    };
}

kernels! {
    /// Starts all slacks and prices at a complementarity of `target`.
    start / Start / start_rows(target: f64) -> ();
    /// Factors the Newton system at the current slacks and prices, and finds the covariance.
    factor / Factor / factor_chain() -> ();
    /// Gathers the right-hand side that aims at the complementarities wanted.
    gather / Gather / gather_force() -> ();
    /// Solves for the direction: anew from the gathered force and the prices, or as a correction by the prices alone.
    respond / Respond / solve_chain(anew: bool) -> ();
    /// How far the direction may go, and what complementarity does along it.
    measure / Measure / measure_step() -> Reach;
    /// Wants every complementarity at `target`, less `weight` of what the direction just found adds to second order.
    aim / Aim / aim_rows(target: f64, weight: f64) -> ();
    /// Goes along the direction, and wants complementarities at nothing from there.
    advance / Advance / go(primal: f64, dual: f64) -> ();
    /// Where the point stands.
    stand / Stand / take_stand() -> Standing;
}

/// How far a direction may go until a slack or a price is zero (above 1: not within a full step), and sums over all
/// rows for the complementarity along it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reach {
    pub(super) primal: f64,
    pub(super) dual: f64,
    /// `Σ σz`, `Σ Δσ·z`, `Σ σ·Δz`, `Σ Δσ·Δz`
    pub(super) sums: [f64; 4],
}

impl Reach {
    pub(super) const NONE: Self = Self {
        primal: f64::INFINITY,
        dual: f64::INFINITY,
        sums: [0.0; 4],
    };

    pub(super) fn join(self, other: Self) -> Self {
        Self {
            primal: self.primal.min(other.primal),
            dual: self.dual.min(other.dual),
            sums: std::array::from_fn(|k| self.sums[k] + other.sums[k]),
        }
    }

    /// Takes in one slack and its price.
    pub(super) fn see(&mut self, slack: f64, price: f64, slack_by: f64, price_by: f64) {
        if slack_by < 0.0 {
            self.primal = self.primal.min(-slack / slack_by);
        }
        if price_by < 0.0 {
            self.dual = self.dual.min(-price / price_by);
        }
        let parts = [
            slack * price,
            slack_by * price,
            slack * price_by,
            slack_by * price_by,
        ];
        for (sum, part) in self.sums.iter_mut().zip(parts) {
            *sum += part;
        }
    }
}

/// Where a point stands: its cost, its complementarity, how far it is off.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Standing {
    /// CNY, of own variables.
    pub(super) cost: f64,
    /// `Σ σz` over rows, CNY.
    pub(super) complementarity: f64,
    /// Number of rows.
    pub(super) rows: f64,
    /// Greatest `|g·w + σ − h|`, kW or kWh.
    pub(super) primal_off: f64,
    /// Greatest residual of a control's price, CNY per kW.
    pub(super) dual_off: f64,
    /// What those residuals can be worth at most over the ranges of the variables, CNY.
    pub(super) dual_slack: f64,
    /// `Σ (g·w + σ − h)·z`, CNY: what the primal residuals are worth at the prices.
    pub(super) primal_slack: f64,
}

impl Standing {
    pub(super) fn join(self, other: Self) -> Self {
        Self {
            cost: self.cost + other.cost,
            complementarity: self.complementarity + other.complementarity,
            rows: self.rows + other.rows,
            primal_off: self.primal_off.max(other.primal_off),
            dual_off: self.dual_off.max(other.dual_off),
            dual_slack: self.dual_slack + other.dual_slack,
            primal_slack: self.primal_slack + other.primal_slack,
        }
    }
}

/// Up to eight resources of one shape: their rows, their point, and their part of the Newton step.
///
/// Series have one entry (or `controls` entries, in the order `c, d, u, v`) for each interval.
pub(super) struct Batch {
    pub(super) shape: Shape,
    /// Index of each resource in the problem; `None` fills up.
    pub(super) resources: [Option<usize>; WIDTH],
    pub(super) hours: Vec<f64>,
    pub(super) charge_efficiency: Lane,
    pub(super) discharge_loss: Lane,
    /// Up and down: battery-side kWh that one kW of regulation moves. Empty where none is held.
    pub(super) sustain: Vec<[Lane; 2]>,
    /// Which rows each interval has (in any of the eight), and where they begin.
    pub(super) kinds: Vec<u16>,
    /// For each row its limit, and 1 where the resource has it.
    pub(super) limit: Vec<Lane>,
    pub(super) present: Vec<Lane>,
    /// CNY for each kW of charge and discharge, and for each kWh unmet.
    pub(super) cost: Vec<[Lane; 2]>,
    pub(super) unmet_cost: Lane,
    /// More than this cannot be unmet, kWh.
    pub(super) unmet_most: Lane,
    /// [`PINNED`] for controls that cannot move.
    pub(super) pinned: Vec<Lane>,
    pub(super) unmet_pinned: Lane,
    pub(super) size: Lane,
    /// What a row may be off its limit for each unit of its price's change: [`DELTA`] in the resource's own size.
    pub(super) softness: Lane,

    /// The point.
    pub(super) controls: Vec<Lane>,
    pub(super) unmet: Lane,
    pub(super) slack: Vec<Lane>,
    pub(super) price: Vec<Lane>,
    /// What each complementarity `σz` should become.
    pub(super) aim: Vec<Lane>,

    /// The direction.
    pub(super) by: Vec<Lane>,
    pub(super) unmet_by: Lane,

    /// Prices of net draw, up and down, from the coupling rows.
    pub(super) port_prices: Vec<Lane>,
    /// Right-hand side: controls, then energy, then net draw before.
    force: Vec<Lane>,
    force_unmet: Lane,
    force_exported: Lane,

    /// Factor: feedback `K`, pivots of the controls, curvature of unmet energy.
    feedback: Vec<Lane>,
    pivots: Vec<Lane>,
    unmet_weight: Lane,
    /// For each interval: `Ports` in the order of its fields.
    pub(super) covariance: Vec<Lane>,
    scratch: Vec<Lane>,
}

/// The value that pins a control.
pub(super) fn pinned(is: bool) -> f64 {
    if is { PINNED } else { 0.0 }
}

/// How [`Batch::covariance`] is laid out: for each interval and port the response to states, the states' covariance
/// with it; the ports' own covariance (lower triangle); the closed loop.
#[derive(Clone, Copy)]
pub(super) struct Ports {
    pub(super) states: usize,
    pub(super) ports: usize,
}

impl Ports {
    pub(super) fn of(shape: Shape) -> Self {
        Self {
            states: shape.states(),
            ports: shape.ports(),
        }
    }

    pub(super) fn stride(self) -> usize {
        let Self { states, ports } = self;
        2 * ports * states + ports * (ports + 1) / 2 + states * states
    }

    pub(super) fn answer(self, port: usize, state: usize) -> usize {
        port * self.states + state
    }

    pub(super) fn with_state(self, port: usize, state: usize) -> usize {
        (self.ports + port) * self.states + state
    }

    /// For `other ≤ port`.
    pub(super) fn own(self, port: usize, other: usize) -> usize {
        2 * self.ports * self.states + port * (port + 1) / 2 + other
    }

    pub(super) fn closed(self, to: usize, from: usize) -> usize {
        2 * self.ports * self.states + self.ports * (self.ports + 1) / 2 + to * self.states + from
    }
}

impl Batch {
    pub(super) fn new(shape: Shape, hours: &[f64]) -> Self {
        let horizon = hours.len();
        let (nx, nu) = (shape.states(), shape.controls());
        Self {
            shape,
            resources: [None; WIDTH],
            hours: hours.to_vec(),
            charge_efficiency: Lane::ONE,
            discharge_loss: Lane::ONE,
            sustain: Vec::new(),
            kinds: vec![0; horizon],
            limit: Vec::new(),
            present: Vec::new(),
            cost: vec![[Lane::ZERO; 2]; horizon],
            unmet_cost: Lane::ZERO,
            unmet_most: Lane::ZERO,
            pinned: vec![Lane::splat(PINNED); horizon * nu],
            unmet_pinned: Lane::splat(PINNED),
            size: Lane::ONE,
            softness: Lane::splat(DELTA),
            controls: vec![Lane::ZERO; horizon * nu],
            unmet: Lane::ZERO,
            slack: Vec::new(),
            price: Vec::new(),
            aim: Vec::new(),
            by: vec![Lane::ZERO; horizon * nu],
            unmet_by: Lane::ZERO,
            port_prices: vec![Lane::ZERO; horizon * shape.ports()],
            force: vec![Lane::ZERO; horizon * (nu + 2)],
            force_unmet: Lane::ZERO,
            force_exported: Lane::ZERO,
            feedback: vec![Lane::ZERO; horizon * nu * nx],
            pivots: vec![Lane::ZERO; horizon * nu * (nu + 1) / 2],
            unmet_weight: Lane::ONE,
            covariance: vec![Lane::ZERO; horizon * Ports::of(shape).stride()],
            scratch: vec![Lane::ZERO; horizon * nu],
        }
    }

    #[inline(always)]
    fn gains(&self, t: usize) -> Gains {
        let hours = self.hours[t];
        let [up, down] = self.sustain.get(t).copied().unwrap_or([Lane::ZERO; 2]);
        Gains {
            charge: self.charge_efficiency * hours,
            discharge: self.discharge_loss * hours,
            up,
            down,
            hours,
        }
    }
}

/// `value + slack − limit`, or nothing where that is no more than rounding: a price over a tiny slack would blow it up.
#[inline(always)]
fn excess(value: Lane, slack: Lane, limit: Lane) -> Lane {
    let noise = (limit.abs() + Lane::ONE) * ROUNDING;
    (value + slack - limit).zip(
        noise,
        |off, noise| if off.abs() > noise { off } else { 0.0 },
    )
}

#[inline(always)]
fn read<const NU: usize>(series: &[Lane], t: usize) -> [Lane; NU] {
    std::array::from_fn(|j| series[t * NU + j])
}
