//! The one home of QoS profiles (anchored on REP-2003 and on what ROS users expect).

use r2r::QosProfile;

/// What sensors and drivers publish with: reliable, so that any subscriber is compatible.
pub fn sensor_publisher() -> QosProfile {
    QosProfile::default().keep_last(5)
}

/// What subscribes to sensors: best effort, so that any publisher is compatible.
pub fn sensor_subscriber() -> QosProfile {
    QosProfile::sensor_data()
}

/// Commands, both ends: reliable, and only the latest counts.
pub fn command() -> QosProfile {
    QosProfile::default().keep_last(1)
}

/// A stop, which may come among messages that are none: the latest is not the one that counts.
pub fn stop() -> QosProfile {
    QosProfile::default().keep_last(100)
}

/// Values that are sent once and that a late subscriber still gets.
pub fn latched() -> QosProfile {
    QosProfile::default().keep_last(1).transient_local()
}

/// State that a node reports in every step, and of which a late subscriber still gets the last `depth`.
pub fn history(depth: usize) -> QosProfile {
    QosProfile::default().keep_last(depth).transient_local()
}

/// State that a node reports in every step.
pub fn telemetry() -> QosProfile {
    QosProfile::default().keep_last(50)
}

/// The `/clock` topic.
pub fn clock() -> QosProfile {
    QosProfile::default().keep_last(1)
}

/// What the evolution node and its workers tell each other: deep enough for the messages of many workers between two looks. What
/// is lost all the same is said again.
pub fn evolution() -> QosProfile {
    QosProfile::default().keep_last(200)
}

/// The `/rosout` topic, as rcl has it.
pub fn rosout() -> QosProfile {
    QosProfile { lifespan: std::time::Duration::from_secs(10), ..QosProfile::default().keep_last(1000).transient_local() }
}

/// The `~/transition_event` topic, of which each message counts, as rcl_lifecycle has it.
pub fn events() -> QosProfile {
    QosProfile::default().keep_last(10)
}

/// The `/parameter_events` topic, as rclcpp has it.
pub fn parameter_events() -> QosProfile {
    QosProfile::default().keep_last(1000)
}

/// The `/diagnostics` topic.
pub fn diagnostics() -> QosProfile {
    QosProfile::default().keep_last(10)
}
