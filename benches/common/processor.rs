//! What the processor time of a bench is measured by.

/// The time that this thread has spent on a processor, as Linux counts it.
pub(crate) fn processor_nanos() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux's counts");
    let first = stat.split_whitespace().next();
    first.and_then(|nanos| nanos.parse().ok()).expect("nanoseconds on a processor")
}
