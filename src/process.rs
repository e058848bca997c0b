//! What the process asks of the system: all the descriptors that it may have, that nobody reads its memory, and what it uses.

use std::fs;
use std::time::Duration;

use rustix::param::page_size;
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};
use rustix::time::{ClockId, clock_gettime};

/// Raises the limit of descriptors as far as is allowed, and says how many there may be then.
#[must_use]
pub fn raise_descriptor_limit() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    let in_force = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(error) => {
            tracing::warn!(%error, "the limit of descriptors cannot be raised");
            limit.current
        }
    };
    // Without a limit, memory is one.
    in_force.map_or(usize::MAX, |most| {
        usize::try_from(most).unwrap_or(usize::MAX)
    })
}

/// Keeps secrets in memory from core files, and from debuggers of other users than root.
pub fn keep_memory_private() {
    let no_core = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let done = setrlimit(Resource::Core, no_core)
        .and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable));
    if let Err(error) = done {
        tracing::warn!(%error, "the process may leave a core file with secrets");
    }
}

/// What the process uses, as far as the system tells.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// CPU time, user and system.
    pub cpu: Duration,
    /// Memory in RAM.
    pub resident_bytes: Option<u64>,
    /// Addresses that are mapped.
    pub virtual_bytes: Option<u64>,
    /// Descriptors that are open, the one that counts them among them.
    pub open_descriptors: Option<u64>,
    /// The most that may be, if that is limited.
    pub most_descriptors: Option<u64>,
}

impl Usage {
    /// Asks the system.
    #[must_use]
    pub fn now() -> Self {
        let cpu = Duration::try_from(clock_gettime(ClockId::ProcessCPUTime));
        // Its numbers are pages: https://man7.org/linux/man-pages/man5/proc_pid_statm.5.html
        let pages = fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let mut bytes = pages
            .split_whitespace()
            .map(|pages| Some(pages.parse::<u64>().ok()? * page_size() as u64));
        Self {
            cpu: cpu.unwrap_or_default(),
            virtual_bytes: bytes.next().flatten(),
            resident_bytes: bytes.next().flatten(),
            open_descriptors: fs::read_dir("/proc/self/fd")
                .ok()
                .map(|open| open.count() as u64),
            most_descriptors: getrlimit(Resource::Nofile).current,
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::dumpable_behavior;

    use super::*;

    #[test]
    fn private_memory_is_in_no_core_file_and_open_to_no_debugger() {
        keep_memory_private();

        assert_eq!(getrlimit(Resource::Core).current, Some(0));
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    }

    #[test]
    fn the_limit_of_descriptors_is_raised_to_the_hard_one() {
        let hard = getrlimit(Resource::Nofile).maximum;
        let low = Rlimit {
            current: Some(100),
            maximum: hard,
        };
        setrlimit(Resource::Nofile, low).unwrap();

        let raised = raise_descriptor_limit();

        assert_eq!(getrlimit(Resource::Nofile).current, hard);
        assert_eq!(Some(raised as u64), hard);
    }
}
