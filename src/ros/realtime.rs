//! What the system can do for a thread that must be on time: a real-time priority, memory that stays, processors of its own.

use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{Resource, getrlimit};
use rustix::thread::{CapabilitySet, CpuSet, capabilities, sched_setaffinity};
use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};

/// What is asked of the system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Realtime {
    /// Priority with SCHED_FIFO, 1 to 99; 0: an ordinary thread.
    pub priority: u8,
    /// Whether the process' memory is kept from being paged out.
    pub lock_memory: bool,
    /// Processors that the thread may run on; empty: all.
    pub processors: Vec<usize>,
}

impl Realtime {
    /// Reads a list of processors such as `2,3`.
    ///
    /// # Errors
    /// The part that is no number of a processor.
    pub fn processors(list: &str) -> Result<Vec<usize>, String> {
        let parts = list.split(',').map(str::trim).filter(|part| !part.is_empty());
        let number = |part: &str| part.parse().ok().filter(|&number| number < CpuSet::MAX_CPU).ok_or_else(|| part.to_owned());
        parts.map(number).collect()
    }

    /// The same for a thread that must get its processor from the one that these are the settings of: one priority higher.
    pub fn above(&self) -> Self {
        let priority = if self.priority > 0 { (self.priority + 1).min(99) } else { 0 };
        Self { priority, ..self.clone() }
    }

    /// Asks all of it for the calling thread. Returns what the system refused, each with what to do about it; the thread runs on without.
    pub fn apply(&self) -> Vec<String> {
        let mut refused = Vec::new();
        if self.priority > 0 {
            let value = ThreadPriorityValue::try_from(self.priority).map(ThreadPriority::Crossplatform);
            let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
            let set = value.and_then(|priority| {
                set_thread_priority_and_policy(thread_native_id(), priority, policy).map_err(|error| format!("{error:?}"))
            });
            if let Err(error) = set {
                refused.push(format!(
                    "no real-time priority {} for the threads of control ({error}): add `@realtime - rtprio 99` to \
                     /etc/security/limits.conf and yourself to the group `realtime`, or set realtime.priority to 0",
                    self.priority
                ));
            }
        }
        if self.lock_memory {
            // With a limit, locking succeeds now and allocations fail later; a node must not die of that. Who has the capability has
            // no limit (mlockall(2)).
            let is_unlimited = getrlimit(Resource::Memlock).current.is_none()
                || capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::IPC_LOCK));
            let locked = if is_unlimited {
                mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE).map_err(|error| error.to_string())
            } else {
                Err("there is a limit".to_owned())
            };
            if let Err(error) = locked {
                refused.push(format!(
                    "memory is not locked ({error}): add `@realtime - memlock unlimited` to /etc/security/limits.conf, give the \
                     program CAP_IPC_LOCK, or set realtime.lock_memory to false"
                ));
            }
        }
        if !self.processors.is_empty() {
            let mut set = CpuSet::new();
            self.processors.iter().for_each(|&processor| set.set(processor));
            if let Err(error) = sched_setaffinity(None, &set) {
                refused.push(format!(
                    "the threads of control cannot run on the processors {:?} alone ({error}): name some that exist in \
                     realtime.processors",
                    self.processors
                ));
            }
        }
        refused
    }
}

#[cfg(test)]
mod tests {
    use super::Realtime;

    #[test]
    fn processors_are_read_from_a_list() {
        assert_eq!(Realtime::processors(" 2, 3,").unwrap(), [2, 3]);
        assert_eq!(Realtime::processors("").unwrap(), [0usize; 0]);
        assert_eq!(Realtime::processors("2,all").unwrap_err(), "all");
        assert!(Realtime::processors("99999").is_err());
    }

    #[test]
    fn what_the_system_refuses_is_said_with_a_remedy() {
        let refused = Realtime { processors: vec![1000], ..Realtime::default() }.apply();
        assert!(refused.len() == 1 && refused[0].contains("realtime.processors"), "{refused:?}");
        assert!(Realtime::default().apply().is_empty());
    }
}
