//! The end of a node: one flag that every thread looks at, set by SIGINT, SIGTERM or SIGHUP.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};

/// Tells all threads of a node to end.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Whether the node should end.
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Asks the node to end.
    pub fn request(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Waits for the first SIGINT, SIGTERM or SIGHUP, then requests the stop: a robot whose terminal is lost ends as one that is told to. A
    /// process that was started to outlive its terminal, as `nohup` does, goes on ignoring SIGHUP.
    ///
    /// # Errors
    /// The system's reason when the signals cannot be caught.
    pub async fn on_signals(self) -> std::io::Result<()> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        // Where the system does not tell (`/proc` is Linux's), nothing is ignored.
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let mut hangup = if ignores_hangup(&status) { None } else { Some(signal(SignalKind::hangup())?) };
        let hung_up = async {
            match &mut hangup {
                Some(hangup) => _ = hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = hung_up => {}
        }
        self.request();
        Ok(())
    }
}

/// Whether a process of this `/proc/PID/status` ignores SIGHUP: the mask of signals is hexadecimal, and SIGHUP, number 1, its lowest bit.
fn ignores_hangup(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_was_started_to_outlive_its_terminal_is_known() {
        let status = |mask: &str| format!("SigBlk:\t0000000000000001\nSigIgn:\t{mask}\nSigCgt:\t0000000000000001\n");
        // SIGPIPE, number 13, is ignored by every Rust program.
        assert!(!ignores_hangup(&status("0000000000001000")));
        assert!(ignores_hangup(&status("0000000000001001")));
        assert!(!ignores_hangup(&status("none")) && !ignores_hangup(""));
    }
}
