//! CPU time and memory of process trees, from /proc.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs;

/// These processes and all their descendants.
pub fn trees(roots: &[u32]) -> Vec<u32> {
    let children = children();
    let (mut found, mut todo) = (HashSet::new(), roots.to_vec());
    while let Some(pid) = todo.pop() {
        if found.insert(pid) {
            todo.extend(children.get(&pid).into_iter().flatten());
        }
    }
    found.into_iter().collect()
}

fn children() -> HashMap<u32, Vec<u32>> {
    let mut children = HashMap::<u32, Vec<u32>>::new();
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let pid = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        let parent = pid.and_then(|pid: u32| parent(pid));
        if let (Some(pid), Some(parent)) = (pid, parent) {
            children.entry(parent).or_default().push(pid);
        }
    }
    children
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in parentheses and may hold anything.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(1)?.parse().ok()
}

/// What processes have used so far.
#[derive(Default)]
pub struct Usage {
    /// Seconds on a CPU, to the nanosecond, of threads that still live.
    pub cpu: f64,
    /// Context switches.
    pub switches: u64,
}

impl Usage {
    pub fn of(pids: &[u32]) -> Self {
        let mut usage = Self::default();
        for pid in pids {
            let threads = fs::read_dir(format!("/proc/{pid}/task"));
            for thread in threads.into_iter().flatten().flatten() {
                let read = |file| fs::read_to_string(thread.path().join(file)).unwrap_or_default();
                let nanos = read("schedstat")
                    .split_whitespace()
                    .next()
                    .map(str::parse::<f64>);
                usage.cpu += nanos.and_then(Result::ok).unwrap_or(0.0) / 1e9;
                let status = read("status");
                let switches = status.lines().filter(|line| line.contains("ctxt_switches"));
                usage.switches += switches.filter_map(value).sum::<u64>();
            }
        }
        usage
    }
}

/// KiB, shared pages in proportion and in full.
#[derive(Default)]
pub struct Memory {
    pss: u64,
    rss: u64,
}

pub fn memory(pids: &[u32]) -> Memory {
    let mut memory = Memory::default();
    for pid in pids {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let of = |key| {
            let line = rollup.lines().find(|line| line.starts_with(key));
            line.and_then(value).unwrap_or(0)
        };
        memory.pss += of("Pss:");
        memory.rss += of("Rss:");
    }
    memory
}

impl fmt::Display for Memory {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, r#"{{"pss_kib":{},"rss_kib":{}}}"#, self.pss, self.rss)
    }
}

/// The number behind a line's first word.
fn value(line: &str) -> Option<u64> {
    line.split_whitespace().nth(1)?.parse().ok()
}
