//! The clocks of a node: steady for periods and ages, of the day for logs, ROS's for what others compare with their own. Sensor values
//! keep the stamps of their messages.

use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use r2r::Clock;
use r2r::builtin_interfaces::msg::Time;

/// The clock that follows `/clock`, where the node takes its time from there. A program is one node.
static SIMULATED: OnceLock<Arc<Mutex<Clock>>> = OnceLock::new();

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

/// From now on [`ros_time`] is that of `clock`, which follows `/clock` (`use_sim_time`).
pub fn follow(clock: Arc<Mutex<Clock>>) {
    // Set once: a node's parameters are declared once.
    let _ = SIMULATED.set(clock);
}

/// ROS's time: that of `/clock` with `use_sim_time` \[ns; 0 until its first message\], else the time of day \[ns since 1970\].
pub fn ros_time() -> i64 {
    let Some(clock) = SIMULATED.get() else { return time_of_day() };
    let now = clock.lock().unwrap_or_else(PoisonError::into_inner).get_now();
    // r2r makes a time before 0, which no stamp can say, one that is far too long.
    now.ok().and_then(|since| i64::try_from(since.as_nanos()).ok()).unwrap_or(0)
}

/// [`ros_time`] as a message's stamp.
pub fn ros_stamp() -> Time {
    super::convert::time(ros_time())
}
