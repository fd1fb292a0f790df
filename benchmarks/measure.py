"""What the benchmarks share: packets to feed in, memory of process trees, and spread told with every figure."""

from __future__ import annotations

import itertools
import os
import platform
import statistics
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import psutil

from fink_broker.simulate.repeat import Repetition
from fink_broker.simulate.sources import open_source

MIB = 1024**2


def load_packets(spec: str, count: int, seed: int = 0) -> list[bytes]:
    """Return ``count`` packets, each of a candid of its own.

    Parameters
    ----------
    spec : str
        Folder or file of alerts, replayed under fresh identifiers as often as it takes, or ``synthetic``.
    count : int
        How many.
    seed : int
        Which synthetic sky.
    """
    source = open_source(spec, print, synthetic_count=count, seed=seed)
    alerts = itertools.islice(Repetition(times=count).alerts(source), count)
    return [alert.packet() for alert in alerts]


class TreeMemory:
    """Samples the memory of process trees while a block runs.

    Shared pages are counted once, split between those who share them (PSS), where the system tells.

    Parameters
    ----------
    roots : callable
        Returns the pids of the trees' roots, asked at every sample.
    seconds : float
        Between samples.
    """

    def __init__(self, roots: Callable[[], Iterable[int]], seconds: float = 0.5) -> None:
        self.peak_bytes = 0
        self._roots, self._seconds = roots, seconds
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> TreeMemory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._done.wait(self._seconds):
            pids: set[int] = set()
            for root in self._roots():
                try:
                    process = psutil.Process(root)
                    pids |= {root, *(child.pid for child in process.children(recursive=True))}
                except psutil.NoSuchProcess:
                    continue
            self.peak_bytes = max(self.peak_bytes, sum(map(memory_of, pids)))


def memory_of(pid: int) -> int:
    """Return the memory of a process in bytes, shared pages by their share; 0 if it has ended."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
        return 0
    except ProcessLookupError:
        return 0
    except OSError:  # another system, or another user's process
        try:
            return int(psutil.Process(pid).memory_info().rss)
        except psutil.NoSuchProcess:
            return 0


def spread(values: Sequence[float], unit: str = "", digits: int = 2) -> str:
    """Return the median of some values and their range, as text."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:,.{digits}f}{unit} ({low:,.{digits}f} to {high:,.{digits}f})"


def machine() -> str:
    """Return one line on the machine, for the head of a report."""
    load = os.getloadavg()[0]
    return (
        f"{platform.machine()}, {os.cpu_count()} cores, {psutil.virtual_memory().total / 1024**3:.0f} GiB, "
        f"Python {platform.python_version()}; load before the run {load:.1f}"
    )
