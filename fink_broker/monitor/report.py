"""The table that tells what became of every alert."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fink_broker.monitor.counts import Counts


def table(counts: Counts, console: Console) -> None:
    """Print what became of every alert, and what does not add up.

    Parameters
    ----------
    counts : Counts
        From :func:`fink_broker.monitor.counts.read_counts`.
    console : Console
        Where to print.
    """
    drawn = Table(title="What became of every alert", title_justify="left")
    drawn.add_column("stage")
    drawn.add_column("alerts", justify="right")
    drawn.add_column("of these", style="dim")
    for name, number, remark in _flow(counts):
        drawn.add_row(name, f"{number:,}", remark)
    drawn.add_section()
    for topic, number in counts.messages.items():
        drawn.add_row(f"on {topic}", f"{number:,}", "")
    _add_latency(drawn, counts)
    console.print(drawn)
    for end in counts.open_ends():
        console.print(Text(end, style="yellow"))


def _flow(counts: Counts) -> list[tuple[str, int, str]]:
    """Return the rows from alerts in to alerts that were filtered."""
    raw, science, topics = counts.raw, counts.science, counts.topics
    rows = [
        ("alerts in", raw.count("in"), ""),
        ("raw", raw.count("out"), ""),
        ("rejected", raw.count("rejected"), _named(counts.reasons)),
        ("duplicate", raw.count("duplicate"), ""),
        ("cut", science.count("cut"), _named(counts.cuts)),
        ("science", science.count("out"), _named(counts.failed, before="a module failed, or could ask nobody: ")),
        ("filtered", topics.count("in"), ""),
    ]
    if counts.archived.commits:
        rows.append(("archived", counts.archived.count("out"), ""))
    return rows


def _named(numbers: dict[str, int], before: str = "", most: int = 4) -> str:
    """Return the largest numbers with their names in one line."""
    shown = [f"{name} {number:,}" for name, number in numbers.items() if number][:most]
    more = len([number for number in numbers.values() if number]) - len(shown)
    if not shown:
        return ""
    return before + ", ".join(shown) + (f" and {more} more" if more else "")


def _add_latency(drawn: Table, counts: Counts) -> None:
    latency = counts.latency
    if not latency.messages:
        return
    drawn.add_section()
    for share, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99")):
        seconds = latency.percentile(share)
        drawn.add_row(f"latency {name}", f"{seconds:.2f} s", "Kafka in to Kafka out" if name == "p50" else "")
    drawn.add_row("latency max", f"{latency.longest:.2f} s", f"{latency.messages:,} messages timed")
