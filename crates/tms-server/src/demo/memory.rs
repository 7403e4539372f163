//! The memory of this process, where the system tells.

/// Resident memory in KiB (`VmRSS` of Linux); `None` elsewhere.
pub(super) fn resident_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}
