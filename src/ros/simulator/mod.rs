//! The simulator node: the world as a robot's driver would show it.

mod node;
mod pace;
mod sensors;
mod simulation;

pub use node::build;
