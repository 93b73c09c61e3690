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

/// Values that are sent once and that a late subscriber still gets.
pub fn latched() -> QosProfile {
    QosProfile::default().keep_last(1).transient_local()
}

/// State that a node reports in every step.
pub fn telemetry() -> QosProfile {
    QosProfile::default().keep_last(50)
}

/// The `/clock` topic.
pub fn clock() -> QosProfile {
    QosProfile::default().keep_last(1)
}
