//! The recorder node: topics into a bag, where there is no `ros2 bag record`.
//!
//! The spin thread takes messages as bytes and queues them; a thread of its own writes them. A queue that is full, because the disk is
//! too slow, loses messages and counts them. Nobody waits for the recorder: publishers keep their own history and never block on it.

mod definitions;
mod discovery;
mod node;
mod queue;
mod streams;

pub use node::run;
