//! Loops for the vector instructions that this CPU turns out to have.
//!
//! The crate is built for every CPU of its architecture. What runs through here is compiled once more
//! for AVX2 with FMA (NEON is always there on ARM), and the better one is taken when the program
//! runs.

use pulp::{Arch, Simd, WithSimd};

/// Runs work with the best vector instructions there are. All that it calls must be inlined: what
/// isn't is compiled for the oldest CPU.
pub(crate) fn vectorised<W: WithSimd>(work: W) -> W::Output {
    Arch::new().dispatch(work)
}

/// Runs loops with the best vector instructions there are. `for` is inlined, other than `for_each` and
/// `fold`.
macro_rules! vectorised_loop {
    ($work:block) => {
        crate::simd::vectorised(crate::simd::Loop(
            #[inline(always)]
            || $work,
        ))
    };
}
pub(crate) use vectorised_loop;

/// A closure as work.
pub(crate) struct Loop<F>(pub F);

impl<F: FnMut()> WithSimd for Loop<F> {
    type Output = ();

    // `FnOnce` wouldn't do: its way to the closure isn't always inlined.
    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _: S) {
        (self.0)();
    }
}

/// Numbers as vector registers hold them, for the loops that the compiler can't be trusted to
/// vectorise.
pub trait Lanes: Copy {
    /// A register full of them.
    type Vector<S: Simd>: Copy;

    /// Whole vectors of a slice whose length is a multiple of theirs.
    fn vectors<S: Simd>(numbers: &[Self]) -> &[Self::Vector<S>];
    /// As [`vectors`](Self::vectors), to write.
    fn vectors_mut<S: Simd>(numbers: &mut [Self]) -> &mut [Self::Vector<S>];
    /// The same number in every lane.
    fn splat<S: Simd>(simd: S, number: Self) -> Self::Vector<S>;
    /// a·b + c, rounded once where there is an instruction for it.
    fn mul_add<S: Simd>(
        simd: S,
        a: Self::Vector<S>,
        b: Self::Vector<S>,
        c: Self::Vector<S>,
    ) -> Self::Vector<S>;
}

macro_rules! impl_lanes {
    ($type:ident, $vector:ident, $as_simd:ident, $as_mut_simd:ident, $splat:ident, $mul_add:ident) => {
        impl Lanes for $type {
            type Vector<S: Simd> = S::$vector;

            #[inline(always)]
            fn vectors<S: Simd>(numbers: &[Self]) -> &[S::$vector] {
                S::$as_simd(numbers).0
            }
            #[inline(always)]
            fn vectors_mut<S: Simd>(numbers: &mut [Self]) -> &mut [S::$vector] {
                S::$as_mut_simd(numbers).0
            }
            #[inline(always)]
            fn splat<S: Simd>(simd: S, number: Self) -> S::$vector {
                simd.$splat(number)
            }
            #[inline(always)]
            fn mul_add<S: Simd>(
                simd: S,
                a: S::$vector,
                b: S::$vector,
                c: S::$vector,
            ) -> S::$vector {
                simd.$mul_add(a, b, c)
            }
        }
    };
}
impl_lanes!(f32, f32s, as_simd_f32s, as_mut_simd_f32s, splat_f32s, mul_add_e_f32s);
impl_lanes!(f64, f64s, as_simd_f64s, as_mut_simd_f64s, splat_f64s, mul_add_e_f64s);
