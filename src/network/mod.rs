//! Layered networks: sizes, activation, and the baselines to which the plastic network is compared.
//!
//! A baseline's parameters evolve as a rule does, but none changes in life: [`FeedForward`] has no memory, [`Lstm`] keeps states,
//! [`History`] reads its last observations. [`Baseline`] is what they have in common.

mod activation;
mod baseline;
mod dense;
mod error;
mod feed_forward;
mod genome;
mod history;
mod lstm;
mod shape;

pub use activation::tanh;
pub use baseline::Baseline;
pub use error::NetworkError;
pub(crate) use error::{check, check_finite};
pub use feed_forward::FeedForward;
pub use genome::GenomeBlock;
pub use history::History;
pub use lstm::Lstm;
pub use shape::{Layer, Shape, ShapeError};
