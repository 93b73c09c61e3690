//! The dense layer that all baselines are made of.
//!
//! Sums are f64: a product of two f32 stays below 2^256, so sums of finite weights and activities never reach infinity, and no
//! infinity - infinity becomes NaN. Cast back to f32 a sum saturates, and tanh of infinity is 1.

use super::tanh;

/// sums_j += sum_i x_i W_ij, W row-major \[inputs, outputs\].
pub(super) fn add_product(x: &[f32], weights: &[f32], sums: &mut [f64]) {
    for (&x, row) in x.iter().zip(weights.chunks_exact(sums.len())) {
        for (sum, &weight) in sums.iter_mut().zip(row) {
            *sum += f64::from(x) * f64::from(weight);
        }
    }
}

/// y = tanh(sums).
pub(super) fn squash(sums: &[f64], y: &mut [f32]) {
    for (y, &sum) in y.iter_mut().zip(sums) {
        *y = tanh(sum as f32);
    }
}

/// Copies `input` to `x`; missing values count as 0, surplus ones are left out.
pub(super) fn receive(input: &[f32], x: &mut [f32]) {
    for (index, x) in x.iter_mut().enumerate() {
        *x = input.get(index).copied().unwrap_or(0.0);
    }
}
