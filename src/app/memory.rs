//! How much memory there is for this process.

use std::fs;

/// Nine tenths of what the machine has, or of what its control group allows: the rest
/// is for the page that is being served and for what the allocator keeps.
pub(crate) fn default_limit() -> u64 {
    let group = fs::read_to_string("/sys/fs/cgroup/memory.max").unwrap_or_default();
    let machine = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    limit(&group, &machine)
}

fn limit(group: &str, machine: &str) -> u64 {
    let kibibytes: Option<u64> = machine
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok());
    let machine = kibibytes.map(|kibibytes| kibibytes * 1024);
    // A group without a limit says `max`.
    let group: Option<u64> = group.trim().parse().ok();
    let least = machine.into_iter().chain(group).min();
    least.map_or(u64::MAX, |bytes| bytes / 10 * 9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smaller_of_machine_and_group_counts() {
        let machine = "MemTotal:       1000 kB\nMemFree:  10 kB\n";
        assert_eq!(limit("max\n", machine), 921_600);
        assert_eq!(limit("102400\n", machine), 92_160);
        assert_eq!(limit("", ""), u64::MAX);
    }
}
