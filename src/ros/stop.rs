//! The end of a node: one flag that every thread looks at, set by SIGINT or SIGTERM.

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

    /// Waits for the first SIGINT or SIGTERM, then requests the stop.
    ///
    /// # Errors
    /// The system's reason when the signals cannot be caught.
    pub async fn on_signals(self) -> std::io::Result<()> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        self.request();
        Ok(())
    }
}
