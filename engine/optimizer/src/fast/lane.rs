//! Eight numbers side by side: one for each resource of a batch.
//!
//! Plain arrays and loops. Compiled under [`vectorized`] they become the widest vector instructions that the processor
//! has, without code for any one processor here.

use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub, SubAssign};

/// Resources in a batch.
pub(super) const WIDTH: usize = 8;

/// One number for each resource of a batch.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(super) struct Lane(pub(super) [f64; WIDTH]);

impl Lane {
    pub(super) const ZERO: Self = Self([0.0; WIDTH]);
    pub(super) const ONE: Self = Self([1.0; WIDTH]);

    #[inline(always)]
    pub(super) fn splat(value: f64) -> Self {
        Self([value; WIDTH])
    }

    #[inline(always)]
    pub(super) fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    pub(super) fn abs(self) -> Self {
        self.map(f64::abs)
    }

    /// Sum over the batch.
    #[inline(always)]
    pub(super) fn total(self) -> f64 {
        let [a, b, c, d, e, f, g, h] = self.0;
        ((a + b) + (c + d)) + ((e + f) + (g + h))
    }

    #[inline(always)]
    pub(super) fn greatest(self) -> f64 {
        self.0.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    #[inline(always)]
    pub(super) fn map(self, f: impl Fn(f64) -> f64) -> Self {
        let mut out = [0.0; WIDTH];
        for k in 0..WIDTH {
            out[k] = f(self.0[k]);
        }
        Self(out)
    }

    #[inline(always)]
    pub(super) fn zip(self, other: Self, f: impl Fn(f64, f64) -> f64) -> Self {
        let mut out = [0.0; WIDTH];
        for k in 0..WIDTH {
            out[k] = f(self.0[k], other.0[k]);
        }
        Self(out)
    }
}

macro_rules! operator {
    ($trait:ident, $method:ident, $symbol:tt) => {
        impl $trait for Lane {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                self.zip(other, |a, b| a $symbol b)
            }
        }
    };
}

operator!(Add, add, +);
operator!(Sub, sub, -);
operator!(Mul, mul, *);
operator!(Div, div, /);

impl Mul<f64> for Lane {
    type Output = Self;
    #[inline(always)]
    fn mul(self, factor: f64) -> Self {
        self.map(|a| a * factor)
    }
}

impl Neg for Lane {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        self.map(|a| -a)
    }
}

impl AddAssign for Lane {
    #[inline(always)]
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Lane {
    #[inline(always)]
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

/// A piece of work whose inner loops are worth vector instructions.
pub(super) trait Kernel {
    type Output;
    /// Must be `#[inline(always)]`, and all that it calls in its loops too: only then is it compiled anew for each kind
    /// of processor. `FUSED` where the processor multiplies and adds in one instruction.
    fn run<const FUSED: bool>(self) -> Self::Output;
}

struct Wide<K>(K);

impl<K: Kernel> pulp::WithSimd for Wide<K> {
    type Output = K::Output;
    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) -> K::Output {
        // All of pulp's vector instruction sets have it.
        if size_of::<S::f64s>() > size_of::<f64>() {
            self.0.run::<true>()
        } else {
            self.0.run::<false>()
        }
    }
}

/// `a·b + c`, in one instruction where there is one. Without, the library would work out its exact digits, slowly.
#[inline(always)]
pub(super) fn multiply_add<const FUSED: bool>(a: f64, b: f64, c: f64) -> f64 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// Runs a kernel with the widest vector instructions that the processor has.
pub(super) fn vectorized<K: Kernel>(kernel: K) -> K::Output {
    pulp::Arch::new().dispatch(Wide(kernel))
}
