//! What the kernel reports of processes: CPU time and peak memory, from `/proc`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

/// The kernel's unit of CPU time in `/proc` (`USER_HZ`), the same on every Linux that Rust runs on.
const TICK: Duration = Duration::from_millis(10);

/// One process's line of `/proc/PID/stat`, from the parent's id on.
struct Stat {
    parent: u32,
    own: u32,
    /// Of children that ended and were waited for.
    children: u32,
}

impl Stat {
    fn read(process: &Path) -> Result<Self> {
        let text = fs::read_to_string(process.join("stat"))?;
        // The name is in parentheses and may contain spaces: count from behind it.
        let (_, rest) = text.rsplit_once(") ").context("a stat without a name")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        let number = |index: usize| -> Result<u32> {
            let field = fields.get(index).context("a stat that is too short")?;
            Ok(field.parse()?)
        };
        Ok(Self {
            parent: number(1)?,
            own: number(11)? + number(12)?,
            children: number(13)? + number(14)?,
        })
    }
}

/// CPU time of a process, in user and kernel.
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    Ok(TICK * Stat::read(Path::new(&format!("/proc/{pid}")))?.own)
}

/// CPU time of a Postgres server: its first process, all that live, and all that have ended.
pub(crate) fn cpu_of_server(postmaster: u32) -> Result<Duration> {
    let first = Stat::read(Path::new(&format!("/proc/{postmaster}")))?;
    let mut ticks = first.own + first.children;
    for process in fs::read_dir("/proc")? {
        // A process may end during this read; then its time is in the parent's at the next read.
        if let Ok(stat) = Stat::read(&process?.path())
            && stat.parent == postmaster
        {
            ticks += stat.own;
        }
    }
    Ok(TICK * ticks)
}

/// The parent of a process.
pub(crate) fn parent(pid: u32) -> Result<u32> {
    Ok(Stat::read(Path::new(&format!("/proc/{pid}")))?.parent)
}

/// The most memory that a process has had resident, in bytes.
pub(crate) fn peak_memory(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kibibytes: u64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"))
        .context("a status without VmHWM")?
        .trim()
        .parse()?;
    Ok(kibibytes * 1024)
}

/// The name of the processor.
pub(crate) fn processor() -> String {
    fs::read_to_string("/proc/cpuinfo")
        .unwrap_or_default()
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or_else(|| "unknown".to_owned(), |(_, name)| name.to_owned())
}
