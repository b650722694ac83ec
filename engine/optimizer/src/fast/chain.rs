//! Newton steps of single resources, eight at a time.
//!
//! A resource is a short chain in time: stored energy links an interval to the next. Its Newton system is that of a
//! linear-quadratic control problem, solved by a Riccati sweep backwards in time and a roll-out forwards; the inverse that
//! the coupling rows ask for is the covariance of the Gauss–Markov chain with the same precision, so it is read off a
//! Kalman-like sweep forwards ([`Ports`]). Everything costs time in proportion to the number of intervals.
//!
//! Source of the idea: C. V. Rao, S. J. Wright, J. B. Rawlings, *Application of interior-point methods to model
//! predictive control*, J. Optim. Theory Appl. 99 (1998).

use super::lane::{Kernel, Lane, WIDTH, vectorized};
use super::rows::{BEFORE, Curvature, ENERGY, EXPORTED, Force, Gains, Point, UNMET, kind, kinds};

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
                fn run(self) -> $output {
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

    /// Unmet energy begins as little as its price wants, or as the rows need.
    #[inline(always)]
    fn start_rows<const NX: usize, const NU: usize>(&mut self, target: f64) {
        let free = self
            .unmet_pinned
            .map(|pinned| if pinned > 0.0 { 0.0 } else { 1.0 });
        let least = Lane::splat(target) / self.unmet_cost.max(Lane::splat(1e-9));
        let mut lack = Lane::ZERO;
        let mut point = Point::<NU>::start(Lane::ZERO);
        let mut row = 0;
        for t in 0..self.hours.len() {
            let gains = self.gains(t);
            point.advance(read(&self.controls, t), &gains);
            for of in kinds(self.kinds[t]) {
                if of == kind::NEED || of == kind::SUSTAIN_UP {
                    let short = point.value(of, &gains) - self.limit[row];
                    lack = lack.max(short * self.present[row]);
                }
                row += 1;
            }
        }
        self.unmet = (lack + least) * free;
        let mut point = Point::<NU>::start(self.unmet);
        let mut row = 0;
        for t in 0..self.hours.len() {
            let gains = self.gains(t);
            point.advance(read(&self.controls, t), &gains);
            for of in kinds(self.kinds[t]) {
                let room = self.limit[row] - point.value(of, &gains);
                let present = self.present[row];
                let floor = if of == kind::UNMET { 0.0 } else { FLOOR };
                let least = self.size * floor;
                let slack = room.max(least);
                self.slack[row] = present * slack + (Lane::ONE - present);
                self.price[row] = present * Lane::splat(target) / self.slack[row];
                row += 1;
            }
        }
    }

    /// The Riccati sweep. With `Y` the curvature of the states after an interval, `R`, `N` and `M` those of its controls,
    /// of controls with later states and with `x′`, `y = A·x + B·w` the step of the chain:
    ///
    /// ```text
    /// Q  = R + N·B + (N·B)ᵀ + Bᵀ·Y·B
    /// K  = Q⁻¹·(N·A + Bᵀ·Y·A + M)            the controls answer the states with w = −K·x
    /// P′ = (A − B·K)ᵀ·Y·(A − B·K) + Kᵀ·R·K − …   a sum of squares: it stays positive where the textbook form cancels
    /// ```
    #[inline(always)]
    fn factor_chain<const NX: usize, const NU: usize>(&mut self) {
        let horizon = self.hours.len();
        let mut row = self.limit.len();
        let mut later = [[Lane::ZERO; NX]; NX];
        for t in (0..horizon).rev() {
            let gains = self.gains(t);
            let mut own = Curvature::<NX, NU>::zero();
            row -= self.kinds[t].count_ones() as usize;
            for (k, of) in kinds(self.kinds[t]).enumerate() {
                let (slack, price) = (self.slack[row + k], self.price[row + k]);
                let weight = price / (slack + price * DELTA);
                own.add(of, weight, &gains);
            }
            for j in 0..NU {
                own.controls[j][j] += self.pinned[t * NU + j] + Lane::splat(RHO);
            }
            let mut states = own.states;
            for a in 0..NX {
                for b in 0..NX {
                    states[a][b] += later[a][b];
                }
            }
            let moved: [[Lane; NU]; NX] =
                std::array::from_fn(|a| pull::<NX, NU>(&states[a], &gains));
            let mut square = own.controls;
            for i in 0..NU {
                let crossed = pull::<NX, NU>(&own.cross[i], &gains);
                for j in 0..NU {
                    square[i][j] += crossed[j];
                    square[j][i] += crossed[j];
                }
            }
            for j in 0..NU {
                let column: [Lane; NX] = std::array::from_fn(|a| moved[a][j]);
                let pulled = pull::<NX, NU>(&column, &gains);
                for i in 0..NU {
                    square[i][j] += pulled[i];
                }
            }
            let pivots = Pivots::<NU>::of(&square);
            let mut feedback = [[Lane::ZERO; NX]; NU];
            for q in 0..NX {
                let column: [Lane; NU] = std::array::from_fn(|i| {
                    if q == BEFORE {
                        own.before[i]
                    } else {
                        own.cross[i][q] + moved[q][i]
                    }
                });
                let solved = pivots.solve(column);
                for i in 0..NU {
                    feedback[i][q] = solved[i];
                }
            }
            let closed = closed_loop::<NX, NU>(&feedback, &gains);
            later = join::<NX, NU>(&states, &own, &feedback, &closed);
            pivots.write(&mut self.pivots, t);
            for i in 0..NU {
                for q in 0..NX {
                    self.feedback[(t * NU + i) * NX + q] = feedback[i][q];
                }
            }
        }
        self.unmet_weight = later[UNMET][UNMET] + self.unmet_pinned;
        self.spread::<NX, NU>();
    }

    #[inline(always)]
    fn read_feedback<const NX: usize, const NU: usize>(&self, t: usize) -> [[Lane; NX]; NU] {
        std::array::from_fn(|i| std::array::from_fn(|q| self.feedback[(t * NU + i) * NX + q]))
    }

    /// The covariance of the chain, forwards: what [`Ports`] lays out.
    #[inline(always)]
    fn spread<const NX: usize, const NU: usize>(&mut self) {
        let layout = Ports::of(self.shape);
        let stride = layout.stride();
        let mut states = [[Lane::ZERO; NX]; NX];
        states[UNMET][UNMET] = Lane::ONE / self.unmet_weight;
        for t in 0..self.hours.len() {
            let gains = self.gains(t);
            let feedback = self.read_feedback::<NX, NU>(t);
            let pivots = Pivots::<NU>::read(&self.pivots, t);
            let closed = closed_loop::<NX, NU>(&feedback, &gains);
            let out = &mut self.covariance[t * stride..(t + 1) * stride];
            let ports = if NU > 2 { 3 } else { 1 };
            let mut solved = [[Lane::ZERO; NU]; 3];
            let mut answers = [[Lane::ZERO; NX]; 3];
            for port in 0..ports {
                let mut unit = [Lane::ZERO; NU];
                if port == 0 {
                    unit[0] = Lane::ONE;
                    if NU > 1 {
                        unit[1] = -Lane::ONE;
                    }
                } else {
                    unit[(port + 1) % NU] = Lane::ONE;
                }
                solved[port] = pivots.solve(unit);
                answers[port] = std::array::from_fn(|q| {
                    let mut sum = Lane::ZERO;
                    for j in 0..NU {
                        sum += unit[j] * feedback[j][q];
                    }
                    sum
                });
                let mut with = [Lane::ZERO; NX];
                for (a, row) in states.iter().enumerate() {
                    for q in 0..NX {
                        with[a] += row[q] * answers[port][q];
                    }
                }
                let pushed = push::<NX, NU>(&solved[port], &gains);
                for a in 0..NX {
                    let mut sum = pushed[a];
                    for q in 0..NX {
                        sum -= closed[a][q] * with[q];
                    }
                    out[layout.answer(port, a)] = answers[port][a];
                    out[layout.with_state(port, a)] = sum;
                }
                for other in 0..=port {
                    let mut sum = Lane::ZERO;
                    for q in 0..NX {
                        sum += with[q] * answers[other][q];
                    }
                    for j in 0..NU {
                        sum += unit[j] * solved[other][j];
                    }
                    out[layout.own(port, other)] = sum;
                }
            }
            for to in 0..NX {
                for from in 0..NX {
                    out[layout.closed(to, from)] = closed[to][from];
                }
            }
            states = next_states::<NX, NU>(&states, &closed, &pivots, &gains);
        }
    }

    /// `−q − Gᵀ·(aim + z·(r + δ·z))/(σ + δ·z)`, with `r = G·w + σ − h`.
    #[inline(always)]
    fn gather_force<const NX: usize, const NU: usize>(&mut self) {
        let mut point = Point::<NU>::start(self.unmet);
        let mut row = 0;
        let mut unmet = -self.unmet_cost;
        let mut exported = Lane::ZERO;
        for t in 0..self.hours.len() {
            let gains = self.gains(t);
            point.advance(read(&self.controls, t), &gains);
            let mut force = Force::<NU>::zero();
            force.control(0, self.cost[t][0]);
            force.control(1, self.cost[t][1]);
            for of in kinds(self.kinds[t]) {
                let (slack, price) = (self.slack[row], self.price[row]);
                let off = excess(point.value(of, &gains), slack, self.limit[row]);
                let give = price * DELTA;
                let wanted = self.aim[row] + price * (off + give);
                force.add(of, wanted / (slack + give), &gains);
                row += 1;
            }
            let at = t * (NU + 2);
            for j in 0..NU {
                self.force[at + j] = -force.controls[j];
            }
            self.force[at + NU] = -force.energy;
            self.force[at + NU + 1] = -force.before;
            unmet -= force.unmet;
            exported -= force.exported;
        }
        self.force_unmet = unmet;
        self.force_exported = exported;
    }

    #[inline(always)]
    fn solve_chain<const NX: usize, const NU: usize>(&mut self, anew: bool) {
        let horizon = self.hours.len();
        let ports = if NU > 2 { 3 } else { 1 };
        let mut pull_on = [Lane::ZERO; NX];
        if anew && NX > EXPORTED {
            pull_on[EXPORTED % NX] = self.force_exported;
        }
        for t in (0..horizon).rev() {
            let gains = self.gains(t);
            let feedback = self.read_feedback::<NX, NU>(t);
            let at = t * (NU + 2);
            let mut on: [Lane; NU] = [Lane::ZERO; NU];
            if anew {
                on.copy_from_slice(&self.force[at..at + NU]);
                pull_on[ENERGY] += self.force[at + NU];
            }
            let price = self.port_prices[t * ports];
            on[0] -= price;
            if NU > 1 {
                on[1] += price;
            }
            if NU > 2 {
                on[2 % NU] -= self.port_prices[t * ports + 1];
                on[3 % NU] -= self.port_prices[t * ports + 2];
            }
            let pulled = pull::<NX, NU>(&pull_on, &gains);
            for j in 0..NU {
                on[j] += pulled[j];
            }
            let free = Pivots::<NU>::read(&self.pivots, t).solve(on);
            for j in 0..NU {
                self.scratch[t * NU + j] = free[j];
            }
            if NX > BEFORE {
                pull_on[BEFORE % NX] = if anew {
                    self.force[at + NU + 1]
                } else {
                    Lane::ZERO
                };
            }
            for q in 0..NX {
                for i in 0..NU {
                    pull_on[q] -= feedback[i][q] * on[i];
                }
            }
        }
        let mut unmet_by = pull_on[UNMET];
        if anew {
            unmet_by += self.force_unmet;
        }
        unmet_by = unmet_by / self.unmet_weight;
        self.unmet_by = if anew {
            unmet_by
        } else {
            self.unmet_by + unmet_by
        };
        let mut states = [Lane::ZERO; NX];
        states[UNMET] = unmet_by;
        for t in 0..horizon {
            let gains = self.gains(t);
            let feedback = self.read_feedback::<NX, NU>(t);
            let mut controls = [Lane::ZERO; NU];
            for j in 0..NU {
                let mut sum = self.scratch[t * NU + j];
                for q in 0..NX {
                    sum -= feedback[j][q] * states[q];
                }
                controls[j] = sum;
                let by = &mut self.by[t * NU + j];
                *by = if anew { sum } else { *by + sum };
            }
            let pushed = push::<NX, NU>(&controls, &gains);
            for q in 0..NX {
                states[q] = if q == BEFORE {
                    pushed[q]
                } else {
                    states[q] + pushed[q]
                };
            }
        }
    }

    /// Calls `see` for each row with its slack, price and aim, and how the first two change along the direction.
    #[inline(always)]
    fn along<const NU: usize>(
        &mut self,
        mut see: impl FnMut(&mut Lane, &mut Lane, &mut Lane, Lane, [Lane; 2]),
    ) {
        let mut point = Point::<NU>::start(self.unmet);
        let mut by = Point::<NU>::start(self.unmet_by);
        let mut row = 0;
        for t in 0..self.hours.len() {
            let gains = self.gains(t);
            point.advance(read(&self.controls, t), &gains);
            by.advance(read(&self.by, t), &gains);
            for of in kinds(self.kinds[t]) {
                let (slack, price) = (self.slack[row], self.price[row]);
                let present = self.present[row];
                let off = excess(point.value(of, &gains), slack, self.limit[row]);
                let gone = off + by.value(of, &gains);
                let wanted = self.aim[row] + price * (gone - slack);
                let price_by = wanted / (slack + price * DELTA);
                let slack_by = present * (price_by * DELTA - gone);
                see(
                    &mut self.slack[row],
                    &mut self.price[row],
                    &mut self.aim[row],
                    present,
                    [slack_by, price_by],
                );
                row += 1;
            }
        }
    }

    #[inline(always)]
    fn measure_step<const NX: usize, const NU: usize>(&mut self) -> Reach {
        // The greatest rate at which a slack or price runs towards zero.
        let mut primal = Lane::ZERO;
        let mut dual = Lane::ZERO;
        let mut sums = [Lane::ZERO; 4];
        let tiny = Lane::splat(f64::MIN_POSITIVE);
        self.along::<NU>(|slack, price, _, _, [slack_by, price_by]| {
            primal = primal.max(-slack_by / *slack);
            dual = dual.max(-price_by / price.max(tiny));
            sums[0] += *slack * *price;
            sums[1] += slack_by * *price;
            sums[2] += *slack * price_by;
            sums[3] += slack_by * price_by;
        });
        Reach {
            primal: 1.0 / primal.greatest().max(f64::MIN_POSITIVE),
            dual: 1.0 / dual.greatest().max(f64::MIN_POSITIVE),
            sums: sums.map(Lane::total),
        }
    }

    #[inline(always)]
    fn aim_rows<const NX: usize, const NU: usize>(&mut self, target: f64, weight: f64) {
        self.along::<NU>(|_, _, aim, present, [slack_by, price_by]| {
            *aim = present * target - slack_by * price_by * weight;
        });
    }

    #[inline(always)]
    fn go<const NX: usize, const NU: usize>(&mut self, primal: f64, dual: f64) {
        self.along::<NU>(|slack, price, aim, _, [slack_by, price_by]| {
            *slack += slack_by * primal;
            *price += price_by * dual;
            *aim = Lane::ZERO;
        });
        for (value, by) in self.controls.iter_mut().zip(&self.by) {
            *value += *by * primal;
        }
        self.unmet += self.unmet_by * primal;
    }

    #[inline(always)]
    fn take_stand<const NX: usize, const NU: usize>(&mut self) -> Standing {
        let mut point = Point::<NU>::start(self.unmet);
        let (mut cost, mut both, mut rows, mut off, mut worth) = (
            self.unmet_cost * self.unmet,
            Lane::ZERO,
            Lane::ZERO,
            Lane::ZERO,
            Lane::ZERO,
        );
        let horizon = self.hours.len();
        let mut row = 0;
        // Forwards: the rows' forces, kept for the sweep back.
        for t in 0..horizon {
            let gains = self.gains(t);
            point.advance(read(&self.controls, t), &gains);
            cost += self.cost[t][0] * point.control(0) + self.cost[t][1] * point.control(1);
            let mut force = Force::<NU>::zero();
            for of in kinds(self.kinds[t]) {
                let (slack, price) = (self.slack[row], self.price[row]);
                let present = self.present[row];
                let by = present * excess(point.value(of, &gains), slack, self.limit[row]);
                both += slack * price;
                rows += present;
                off = off.max(by.abs());
                worth += by * price;
                force.add(of, price, &gains);
                row += 1;
            }
            let at = t * (NU + 2);
            for j in 0..NU {
                self.force[at + j] = force.controls[j];
            }
            self.force[at + NU] = force.energy;
            self.force[at + NU + 1] = force.before;
            self.force_unmet = if t == 0 {
                force.unmet
            } else {
                self.force_unmet + force.unmet
            };
            self.force_exported = force.exported;
        }
        let (dual_off, dual_slack) = self.price_residuals::<NX, NU>();
        Standing {
            cost: cost.total(),
            complementarity: both.total(),
            rows: rows.total(),
            primal_off: off.greatest(),
            dual_off,
            dual_slack,
            primal_slack: worth.total(),
        }
    }

    /// Backwards: what is left of each control's price, from the forces that `take_stand` gathered.
    #[inline(always)]
    fn price_residuals<const NX: usize, const NU: usize>(&mut self) -> (f64, f64) {
        let ports = if NU > 2 { 3 } else { 1 };
        let mut energy = Lane::ZERO;
        let mut before = Lane::ZERO;
        let unmet = (self.unmet_cost + self.force_unmet).zip(self.unmet_pinned, |left, pinned| {
            if pinned > 0.0 { 0.0 } else { left }
        });
        let mut worst = unmet.abs();
        let mut total = (-unmet).max(Lane::ZERO) * self.unmet_most;
        let mut row = self.limit.len();
        for t in (0..self.hours.len()).rev() {
            row -= self.kinds[t].count_ones() as usize;
            let gains = self.gains(t);
            let at = t * (NU + 2);
            energy += self.force[at + NU];
            let price = self.port_prices[t * ports];
            let net = price + before;
            let mut residual = [Lane::ZERO; NU];
            residual[0] = self.force[at] + self.cost[t][0] + net + energy * gains.charge;
            if NU > 1 {
                residual[1] = self.force[at + 1] + self.cost[t][1] - net - energy * gains.discharge
                    + self.force_exported * gains.hours;
            }
            if NU > 2 {
                residual[2 % NU] = self.force[at + 2] + self.port_prices[t * ports + 1];
                residual[3 % NU] = self.force[at + 3] + self.port_prices[t * ports + 2];
            }
            before = self.force[at + NU + 1];
            let range = self.ranges::<NU>(t, row);
            for j in 0..NU {
                let free = self.pinned[t * NU + j].map(|p| if p > 0.0 { 0.0 } else { 1.0 });
                let left = residual[j].abs() * free;
                worst = worst.max(left);
                total += left * range[j];
            }
        }
        (worst.greatest(), total.total())
    }

    /// The width of each control's range, from its bounds; that of regulation from its headroom at the most.
    #[inline(always)]
    fn ranges<const NU: usize>(&self, t: usize, first: usize) -> [Lane; NU] {
        let mut range = [Lane::ZERO; NU];
        for (k, of) in kinds(self.kinds[t]).enumerate() {
            let limit = self.limit[first + k] * self.present[first + k];
            match of {
                kind::CHARGE_LEAST | kind::CHARGE_MOST => range[0] += limit,
                kind::DISCHARGE_LEAST | kind::DISCHARGE_MOST if NU > 1 => range[1 % NU] += limit,
                kind::HEADROOM_UP if NU > 2 => {
                    range[2 % NU] = limit + self.controls[t * NU] + range[0];
                }
                kind::HEADROOM_DOWN if NU > 2 => {
                    range[3 % NU] = limit + self.controls[t * NU + 1] + range[1 % NU];
                }
                _ => {}
            }
        }
        range
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

/// `Bᵀ·states`
#[inline(always)]
fn pull<const NX: usize, const NU: usize>(states: &[Lane; NX], gains: &Gains) -> [Lane; NU] {
    let mut controls = [Lane::ZERO; NU];
    controls[0] = gains.charge * states[ENERGY];
    if NX > BEFORE {
        controls[0] += states[BEFORE % NX];
    }
    if NU > 1 {
        controls[1] = -gains.discharge * states[ENERGY];
        if NX > EXPORTED {
            controls[1] += states[EXPORTED % NX] * gains.hours - states[BEFORE % NX];
        }
    }
    controls
}

/// `B·controls`
#[inline(always)]
fn push<const NX: usize, const NU: usize>(controls: &[Lane; NU], gains: &Gains) -> [Lane; NX] {
    let discharge = if NU > 1 { controls[1 % NU] } else { Lane::ZERO };
    let mut states = [Lane::ZERO; NX];
    states[ENERGY] = gains.charge * controls[0] - gains.discharge * discharge;
    if NX > EXPORTED {
        states[BEFORE % NX] = controls[0] - discharge;
        states[EXPORTED % NX] = discharge * gains.hours;
    }
    states
}

/// `A − B·K`
#[inline(always)]
fn closed_loop<const NX: usize, const NU: usize>(
    feedback: &[[Lane; NX]; NU],
    gains: &Gains,
) -> [[Lane; NX]; NX] {
    let mut closed = [[Lane::ZERO; NX]; NX];
    for q in 0..NX {
        let column: [Lane; NU] = std::array::from_fn(|j| feedback[j][q]);
        let pushed = push::<NX, NU>(&column, gains);
        for a in 0..NX {
            closed[a][q] = -pushed[a];
        }
        if q != BEFORE {
            closed[q][q] += Lane::ONE;
        }
    }
    closed
}

/// The curvature of the states before an interval, as a sum of squares.
#[inline(always)]
fn join<const NX: usize, const NU: usize>(
    states: &[[Lane; NX]; NX],
    own: &Curvature<NX, NU>,
    feedback: &[[Lane; NX]; NU],
    closed: &[[Lane; NX]; NX],
) -> [[Lane; NX]; NX] {
    // Y·(A − B·K), then R·K − N·(A − B·K), which meet (A − B·K) and K.
    let mut carried = [[Lane::ZERO; NX]; NX];
    let mut held = [[Lane::ZERO; NX]; NU];
    let mut crossed = [[Lane::ZERO; NX]; NU];
    for b in 0..NX {
        for a in 0..NX {
            for r in 0..NX {
                carried[a][b] += states[a][r] * closed[r][b];
            }
        }
        for i in 0..NU {
            for j in 0..NU {
                held[i][b] += own.controls[i][j] * feedback[j][b];
            }
            if NU > 2 {
                for r in 0..NX {
                    crossed[i][b] += own.cross[i][r] * closed[r][b];
                }
            }
        }
    }
    let mut joined = [[Lane::ZERO; NX]; NX];
    for a in 0..NX {
        for b in 0..=a {
            let mut sum = Lane::ZERO;
            for r in 0..NX {
                sum += closed[r][a] * carried[r][b];
            }
            for i in 0..NU {
                sum += feedback[i][a] * held[i][b];
                if NU > 2 {
                    sum -= feedback[i][a] * crossed[i][b] + feedback[i][b] * crossed[i][a];
                }
                if NX > BEFORE {
                    if a == BEFORE {
                        sum -= feedback[i][b] * own.before[i];
                    }
                    if b == BEFORE {
                        sum -= feedback[i][a] * own.before[i];
                    }
                }
            }
            if a == BEFORE && b == BEFORE {
                sum += own.before_itself;
            }
            joined[a][b] = sum;
            joined[b][a] = sum;
        }
        joined[a][a] = joined[a][a].max(Lane::ZERO);
    }
    joined
}

/// The states' covariance one interval on: `(A − B·K)·Σ·(A − B·K)ᵀ + B·Q⁻¹·Bᵀ`.
#[inline(always)]
fn next_states<const NX: usize, const NU: usize>(
    states: &[[Lane; NX]; NX],
    closed: &[[Lane; NX]; NX],
    pivots: &Pivots<NU>,
    gains: &Gains,
) -> [[Lane; NX]; NX] {
    let mut next = [[Lane::ZERO; NX]; NX];
    for a in 0..NX {
        let mut unit = [Lane::ZERO; NX];
        unit[a] = Lane::ONE;
        let mut fresh = [Lane::ZERO; NX];
        if a != UNMET {
            let solved = pivots.solve(pull::<NX, NU>(&unit, gains));
            fresh = push::<NX, NU>(&solved, gains);
        }
        let mut carried = [Lane::ZERO; NX];
        for q in 0..NX {
            for r in 0..NX {
                carried[q] += closed[a][r] * states[r][q];
            }
        }
        for b in 0..=a {
            let mut sum = fresh[b];
            for q in 0..NX {
                sum += carried[q] * closed[b][q];
            }
            next[a][b] = sum;
            next[b][a] = sum;
        }
    }
    next
}

/// `L·D·Lᵀ` of the controls' curvature: below the diagonal `L`, on it `1/D`.
#[derive(Clone, Copy)]
struct Pivots<const NU: usize>([[Lane; NU]; NU]);

impl<const NU: usize> Pivots<NU> {
    #[inline(always)]
    fn of(square: &[[Lane; NU]; NU]) -> Self {
        let mut factor = [[Lane::ZERO; NU]; NU];
        let mut pivot = [Lane::ZERO; NU];
        for j in 0..NU {
            let mut left = square[j][j];
            for k in 0..j {
                left -= factor[j][k] * factor[j][k] * pivot[k];
            }
            let least = square[j][j] * CANCELLED;
            pivot[j] = left.zip(
                least,
                |left, least| {
                    if left > least { left } else { PINNED }
                },
            );
            factor[j][j] = Lane::ONE / pivot[j];
            for i in j + 1..NU {
                let mut sum = square[i][j];
                for k in 0..j {
                    sum -= factor[i][k] * factor[j][k] * pivot[k];
                }
                factor[i][j] = sum * factor[j][j];
            }
        }
        Self(factor)
    }

    #[inline(always)]
    fn write(&self, series: &mut [Lane], t: usize) {
        let mut at = t * NU * (NU + 1) / 2;
        for j in 0..NU {
            for k in 0..=j {
                series[at] = self.0[j][k];
                at += 1;
            }
        }
    }

    #[inline(always)]
    fn read(series: &[Lane], t: usize) -> Self {
        let mut factor = [[Lane::ZERO; NU]; NU];
        let mut at = t * NU * (NU + 1) / 2;
        for j in 0..NU {
            for k in 0..=j {
                factor[j][k] = series[at];
                at += 1;
            }
        }
        Self(factor)
    }

    #[inline(always)]
    fn solve(&self, mut values: [Lane; NU]) -> [Lane; NU] {
        for j in 0..NU {
            for k in 0..j {
                let known = values[k];
                values[j] -= self.0[j][k] * known;
            }
        }
        for (j, value) in values.iter_mut().enumerate() {
            *value = *value * self.0[j][j];
        }
        for j in (0..NU).rev() {
            for k in j + 1..NU {
                let known = values[k];
                values[j] -= self.0[k][j] * known;
            }
        }
        values
    }
}
