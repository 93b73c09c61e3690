//! The activation function.

/// Hyperbolic tangent. `libm` rather than the platform's C library: the same bits on every machine.
#[inline]
pub fn tanh(x: f32) -> f32 {
    libm::tanhf(x)
}
