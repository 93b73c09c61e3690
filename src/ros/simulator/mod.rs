//! The simulator node: the world as a robot's driver would show it.

mod commands;
mod diagnostics;
mod node;
mod pace;
mod requests;
mod sensors;
mod simulation;

pub use node::build;
