//! tracing events as ROS log messages, so that `--ros-args --log-level` and ROS's output format apply, and on `/rosout`.

use std::fmt::Write;
use std::sync::{Mutex, PoisonError};

use r2r::rcl_interfaces::msg::Log;
use r2r::{LogSeverity, Publisher};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use crate::robot::RobotWarning;

/// Distributions whose rcl sends log messages to `/rosout` by itself, without a call that r2r does not make.
const WITH_ROSOUT: [&str; 2] = ["humble", "iron"];

/// Whether log messages reach `/rosout` only by our own doing.
pub fn needs_rosout() -> bool {
    let distribution = std::env::var("ROS_DISTRO").unwrap_or_default();
    !WITH_ROSOUT.contains(&distribution.as_str())
}

/// Sends all events of this process to the ROS logger `name` and to `rosout`.
pub fn to_ros(name: String, rosout: Option<Publisher<Log>>) {
    // Fails only where a subscriber is set already, which then keeps the events.
    let _ = Registry::default().with(RosLayer { name, rosout: rosout.map(Mutex::new) }).try_init();
}

/// Says what was missing or wrong in the description of the robot `robot`.
pub fn robot_warnings(robot: &str, warnings: &[RobotWarning]) {
    for warning in warnings {
        tracing::warn!("robot `{robot}`: {warning}");
    }
}

struct RosLayer {
    name: String,
    rosout: Option<Mutex<Publisher<Log>>>,
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
        // Neither ROS's log nor a message can carry it, and r2r panics; names from files may have it.
        text.0.retain(|letter| letter != '\0');
        let (file, line) = (metadata.file().unwrap_or_default(), metadata.line().unwrap_or_default());
        r2r::log(&text.0, &self.name, file, line, severity);
        let (Some(rosout), true) = (&self.rosout, *metadata.level() <= Level::INFO) else { return };
        let message = Log {
            stamp: super::clock::stamp_of_day(),
            level: level(*metadata.level()),
            name: self.name.clone(),
            msg: text.0,
            file: file.to_owned(),
            function: metadata.target().to_owned(),
            line,
        };
        // There is nowhere else to say that it failed.
        let _ = rosout.lock().unwrap_or_else(PoisonError::into_inner).publish(&message);
    }
}

/// The level's number in rcl_interfaces/Log.
fn level(level: Level) -> u8 {
    match level {
        Level::ERROR => 40,
        Level::WARN => 30,
        Level::INFO => 20,
        Level::DEBUG | Level::TRACE => 10,
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
