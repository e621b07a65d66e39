//! How much memory there is for this process.

use std::fs;
use std::path::Path;

/// Nine tenths of what the machine has, or of what its control group allows: the rest
/// is for the page that is being served and for what the allocator keeps.
pub(crate) fn default_limit() -> u64 {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let machine = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    limit(&group_limits(&own, &read), &machine)
}

/// What is said of the process' own group and of each one above it. In a container the
/// own group is the root of what can be seen; in a unit of systemd it lies deeper.
fn group_limits(own: &str, read: &dyn Fn(&Path) -> String) -> Vec<String> {
    // `0::/system.slice/tidegauge.service`; other numbers are of the hierarchies of old.
    let own = own.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let own = Path::new("/sys/fs/cgroup").join(own);
    let groups = own.ancestors().take_while(|group| group.starts_with("/sys/fs/cgroup"));
    groups.map(|group| read(&group.join("memory.max"))).collect()
}

fn limit(groups: &[String], machine: &str) -> u64 {
    let kibibytes: Option<u64> = machine
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok());
    let machine = kibibytes.map(|kibibytes| kibibytes * 1024);
    // A group without a limit says `max`.
    let groups = groups.iter().filter_map(|group| group.trim().parse().ok());
    let least = machine.into_iter().chain(groups).min();
    least.map_or(u64::MAX, |bytes| bytes / 10 * 9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_of_machine_and_groups_counts() {
        let machine = "MemTotal:       1000 kB\nMemFree:  10 kB\n";
        let groups =
            |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert_eq!(limit(&groups(&["max\n"]), machine), 921_600);
        assert_eq!(limit(&groups(&["max\n", "102400\n", ""]), machine), 92_160);
        assert_eq!(limit(&[], ""), u64::MAX);
    }

    #[test]
    fn a_limit_on_the_unit_or_its_slice_is_found() {
        let read = |path: &Path| match path.to_str() {
            Some("/sys/fs/cgroup/system.slice/tidegauge.service/memory.max") => "max\n".to_owned(),
            Some("/sys/fs/cgroup/system.slice/memory.max") => "102400\n".to_owned(),
            _ => String::new(),
        };
        let unit = group_limits("1:cpu:/\n0::/system.slice/tidegauge.service\n", &read);
        assert_eq!(unit, ["max\n", "102400\n", ""]);
        assert_eq!(group_limits("0::/\n", &read), [""]);
    }
}
