//! Arithmetic on eight numbers at once.
//!
//! Plain arrays and loops of fixed length, always inlined: inside a function that is compiled for wider instructions (see
//! [`super::pass`]) each becomes one instruction, elsewhere two or four.

/// Numbers handled at once: one 256-bit register.
pub(in crate::plasticity) const LANES: usize = 8;

/// Numbers of eight neighbouring columns.
pub(in crate::plasticity) type Lanes = [f32; LANES];

/// In memory where no register's worth straddles two cache lines, which would cost a second access.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(32))]
pub(in crate::plasticity) struct Aligned<T>(pub T);

/// Weights from one input to eight neighbouring columns.
pub(in crate::plasticity) type Row = Aligned<Lanes>;

impl<T> std::ops::Deref for Aligned<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> std::ops::DerefMut for Aligned<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

/// `lanes!(|k| expression of k)`: the array of its values.
macro_rules! lanes {
    (|$k:ident| $value:expr) => {{
        let mut out: Lanes = [0.0; LANES];
        let mut $k = 0;
        while $k < LANES {
            out[$k] = $value;
            $k += 1;
        }
        out
    }};
}
pub(super) use lanes;

/// a b + c: fused where the machine does it in one instruction, else with two roundings (a fused one in software is slow).
#[inline(always)]
pub(super) fn multiply_add<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// Beyond this, tanh is 1 in single precision.
const SATURATION: f32 = 9.0;
/// tanh(x) = x P(x^2) / Q(x^2) on \[-9, 9\]: coefficients of P and Q from the constant term on.
///
/// Made for this file by iteratively reweighted least squares on 4000 Chebyshev points of (0, 9), to the smallest relative
/// error: 2.1e-8 in exact arithmetic; 3.6e-7 absolute with the rounding of single precision.
const NUMERATOR: [f32; 5] = [1.0, 0.133_810_24, 0.003_495_586_6, 2.060_905_9e-5, 1.335_463e-8];
const DENOMINATOR: [f32; 5] = [1.0, 0.467_143_4, 0.025_876_977, 0.000_328_563_24, 7.776_545e-7];

/// Hyperbolic tangent, within 4e-7.
#[inline(always)]
pub(super) fn tanh<const FUSED: bool>(x: Lanes) -> Lanes {
    let x: Lanes = lanes!(|k| x[k].clamp(-SATURATION, SATURATION));
    let z = lanes!(|k| x[k] * x[k]);
    let (p, q) = (polynomial::<FUSED>(&NUMERATOR, &z), polynomial::<FUSED>(&DENOMINATOR, &z));
    lanes!(|k| (x[k] * p[k] / q[k]).clamp(-1.0, 1.0))
}

// A function and not a closure, because closures are not always inlined.
#[inline(always)]
fn polynomial<const FUSED: bool>(coefficients: &[f32; 5], z: &Lanes) -> Lanes {
    let mut sum = [coefficients[4]; LANES];
    for &coefficient in coefficients[..4].iter().rev() {
        sum = lanes!(|k| multiply_add::<FUSED>(sum[k], z[k], coefficient));
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tanh_is_within_4e_7_and_never_beyond_one() {
        let mut worst = 0.0f64;
        for step in 0..4_000_000 {
            let x = (step - 2_000_000) as f32 * 1e-5;
            let [fused, plain] = [tanh::<true>([x; LANES])[3], tanh::<false>([x; LANES])[3]];
            for y in [fused, plain] {
                worst = worst.max((f64::from(y) - f64::from(x).tanh()).abs());
                assert!(y.abs() <= 1.0);
            }
        }
        assert!(worst < 4e-7, "{worst}");
    }

    #[test]
    fn tanh_is_odd_and_keeps_zeros_infinities_and_the_smallest_numbers() {
        for x in [0.0, 1e-45, 1e-38, 1e-20, 0.3, 5.0, 1e30, f32::MAX, f32::INFINITY] {
            let [plus, minus] = [tanh::<true>([x; LANES])[0], tanh::<true>([-x; LANES])[0]];
            assert_eq!(plus, -minus);
            assert!(plus.is_finite() && (x > 1e-3 || (plus - x).abs() <= x * 1e-6), "{x} {plus}");
        }
    }
}
