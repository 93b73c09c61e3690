//! The policy node: sensors in, joint targets out, and the weights on the way.

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
mod steps;
mod telemetry;
mod timing;

pub use node::build;
pub use requests::Unanswered;

/// The reports of one policy.
type Reports = crate::ros::outbox::Inbox<report::StepReport>;
