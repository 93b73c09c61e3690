//! How busy the threads of a worker are.

use std::time::Duration;

/// Over windows of a second.
#[derive(Debug, Default)]
pub(super) struct Load {
    since: Duration,
    last: Duration,
    busy: f64,
    share: f32,
}

impl Load {
    const WINDOW: Duration = Duration::from_secs(1);

    /// Lets time pass in which `running` of `threads` were busy.
    pub(super) fn pass(&mut self, now: Duration, running: usize, threads: u16) {
        self.busy += now.saturating_sub(self.last).as_secs_f64() * running as f64;
        self.last = now;
        let window = now.saturating_sub(self.since);
        if window >= Self::WINDOW {
            self.share = (self.busy / (window.as_secs_f64() * f64::from(threads.max(1)))).min(1.0) as f32;
            self.since = now;
            self.busy = 0.0;
        }
    }

    /// Share of the threads' time in which they were busy, in the last window.
    pub(super) fn share(&self) -> f32 {
        self.share
    }
}
