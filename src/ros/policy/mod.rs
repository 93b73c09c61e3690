//! The policy node: sensors in, joint targets out, and the weights on the way.

mod commanding;
mod commands;
mod control;
mod declarations;
mod diagnostics;
mod keeping;
mod node;
mod pace;
mod report;
mod requests;
mod sensors;
mod services;
mod session;
mod sources;
mod steps;
mod telemetry;
mod timing;

pub use node::build;
pub use requests::Unanswered;

/// What comes out of one policy, for the threads that publish it.
struct Outlets {
    /// Its commands.
    commands: commanding::Commands,
    /// Reports of its steps.
    reports: crate::ros::outbox::Inbox<report::StepReport>,
}

/// The threads that publish.
#[derive(Clone)]
struct Publishers {
    /// Commands.
    commands: std::thread::Thread,
    /// Everything else.
    reports: std::thread::Thread,
}
