"""What a running process costs, as Linux counts it."""

import os
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(process):
    """User and system time of a process so far, with all its threads."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def holdings(process):
    """Memory [KiB], threads and open files of a process now."""
    folder = Path(f"/proc/{process.pid}")
    lines = (folder / "smaps_rollup").read_text().splitlines()[1:]
    memory = {name.rstrip(":"): int(value) for name, value, *_ in map(str.split, lines)}
    return {
        "rss_kib": memory["Rss"],
        "pss_kib": memory["Pss"],
        "anonymous_kib": memory["Anonymous"],
        "threads": len(os.listdir(folder / "task")),
        "files": len(os.listdir(folder / "fd")),
    }
