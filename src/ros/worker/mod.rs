//! The worker node: tries the candidates of an evolution on some threads, and may come and go at any time.

mod crew;
mod node;

pub use node::build;
