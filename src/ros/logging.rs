//! tracing events as ROS log messages, so that `--ros-args --log-level` and ROS's output format apply.

use std::fmt::Write;

use r2r::LogSeverity;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

/// Sends all events of this process to the ROS logger `name`.
pub fn to_ros(name: String) {
    // Fails only where a subscriber is set already, which then keeps the events.
    let _ = Registry::default().with(RosLayer { name }).try_init();
}

struct RosLayer {
    name: String,
}

impl<S: Subscriber> Layer<S> for RosLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        // Events of libraries below warnings are of no use to someone who runs a robot.
        let is_ours = metadata.target().starts_with(env!("CARGO_CRATE_NAME"));
        if !is_ours && *metadata.level() > Level::WARN {
            return;
        }
        let severity = match *metadata.level() {
            Level::ERROR => LogSeverity::Error,
            Level::WARN => LogSeverity::Warn,
            Level::INFO => LogSeverity::Info,
            Level::DEBUG | Level::TRACE => LogSeverity::Debug,
        };
        let mut text = Text::default();
        event.record(&mut text);
        r2r::log(&text.0, &self.name, metadata.file().unwrap_or_default(), metadata.line().unwrap_or_default(), severity);
    }
}

/// The message and fields of an event as one line.
#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}
