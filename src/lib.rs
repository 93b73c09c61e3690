//! Legged locomotion by networks that rewire themselves while the robot walks.
//!
//! A network starts each episode from random weights. At every control step each synapse changes by a local rule with five evolved
//! numbers, and the layer is normalised (arXiv 2503.12406, after Najarro & Risi 2020). Evolution finds the rule, life finds
//! the weights.
//!
//! Data flows one way: sensors → [`policy`] → command, and genome → [`episode`] → fitness → [`evolution`]. Nothing outside
//! `ros` and the node executables knows ROS, reads a clock, logs, or draws a random number that no seed determines.

pub mod bringup;
pub mod config;
pub mod durable;
pub mod episode;
pub mod evidence;
pub mod evolution;
pub mod network;
pub mod plasticity;
pub mod policy;
pub mod random;
pub mod recording;
pub mod robot;
#[cfg(feature = "ros")]
pub mod ros;
pub mod safety;
pub mod simulation;
pub mod tensors;
#[cfg(feature = "viewer")]
pub mod viewer;
