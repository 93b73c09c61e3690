//! The clocks of a node: steady for periods and ages, of the day for logs. Sensor values keep the stamps of their messages.

use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use r2r::builtin_interfaces::msg::Time;

/// Steady time since the program started \[ns\].
pub fn steady_now() -> i64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed().as_nanos() as i64
}

/// The time of day \[ns since 1970\].
pub fn time_of_day() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i64)
}

/// The time of day as a message's stamp.
pub fn stamp_of_day() -> Time {
    super::convert::time(time_of_day())
}
