//! What the kernel says about this process.

use std::fs;

/// Clock ticks a second in `/proc`: 100 on every Linux that Rust supports, whatever
/// the kernel's own tick (`USER_HZ`, see proc_pid_stat(5)).
const TICKS_PER_SECOND: f64 = 100.0;

/// Memory and processor time; `None` where the kernel does not say.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ProcessUse {
    /// Resident memory.
    pub resident_bytes: Option<u64>,
    /// Processor time in user and kernel mode, all threads.
    pub cpu_seconds: Option<f64>,
}

impl ProcessUse {
    /// Of this process, now; two small reads from `/proc`.
    pub fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        ProcessUse { resident_bytes: resident_bytes(&status), cpu_seconds: cpu_seconds(&stat) }
    }
}

fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    // The second field is the program's name in parentheses and may hold anything,
    // so fields are counted from the last parenthesis: `utime` is the 14th.
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_writes() {
        assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t    2048 kB\n"), Some(2_097_152));
        let stat = "7 (a) b) S 1 7 7 0 -1 4194304 120 0 0 0 250 50 0 0 20 0 1 0 99 0 0";
        assert_eq!(cpu_seconds(stat), Some(3.0));
    }

    #[test]
    fn says_nothing_rather_than_something_wrong() {
        assert_eq!(resident_bytes("VmRSS: many"), None);
        assert_eq!(cpu_seconds(""), None);
    }

    #[test]
    fn this_process_uses_memory() {
        assert!(ProcessUse::now().resident_bytes.is_some_and(|bytes| bytes > 0));
    }
}
