//! Layered feed-forward networks: sizes and activation.

mod activation;
mod shape;

pub use activation::tanh;
pub use shape::{Layer, Shape, ShapeError};
