"""``fink reject list``: how many packets were rejected and why, and the newest of them."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fink_broker.archive.rejected import RejectedEntry, RejectedSummary, checked_day, rejected_page, rejected_summary
from fink_broker.archive.replayed import Replayed
from fink_broker.cli.configuration import load
from fink_broker.errors import UsageError
from fink_broker.filters.names import near_names

#: Characters of a reason in the list: a packet may bring long words of its own.
_LONGEST_REASON = 120


def show_list(conf: str | None, reason: str, day: str, limit: int) -> int:
    """Print counts by reason, and the newest packets; return the exit code."""
    config = load(conf, quiet=True).config
    day = checked_day(day)
    summary = rejected_summary(config)
    console = Console(highlight=False)
    if not summary.total:
        console.print("No packet was rejected.")
        return 0
    check_reason(summary, reason)
    console.print(_counts(summary, day))
    page = rejected_page(config, reason, day, limit)
    if not page.total:
        console.print("None of them is of this day and reason.")
        return 0
    if page.entries:
        replayed = Replayed(config).arrivals()
        table = Table("packet", "came (UTC)", "bytes", "reason", "")
        table.columns[0].overflow = "fold"  # it is copied
        for entry in page.entries:
            table.add_row(*_cells(entry), "sent again" if entry.arrival in replayed else "")
        console.print(table)
    if page.total > len(page.entries):
        console.print(f"{len(page.entries):,} of {page.total:,} are listed; --limit, --reason and --day choose others.")
    console.print("`fink reject show PACKET` shows one, `fink reject replay` sends packets again.")
    return 0


def check_reason(summary: RejectedSummary, reason: str) -> None:
    """See that packets were rejected for a reason.

    Raises
    ------
    UsageError
        If not; names reasons like it.
    """
    if reason and reason not in summary.reasons:
        raise UsageError(
            f"No packet was rejected for '{reason[:_LONGEST_REASON]}'.",
            near_names(reason, list(summary.reasons), "reasons"),
        )


def _counts(summary: RejectedSummary, day: str) -> Table:
    of_day = summary.days.get(day, {}) if day else summary.reasons
    table = Table("reason", "packets", "first day", "last day")
    table.columns[1].justify = "right"
    for reason, number in of_day.items():
        days = [name for name, reasons in summary.days.items() if reason in reasons]
        table.add_row(escape(_short(reason)), f"{number:,}", _dashed(min(days)), _dashed(max(days)))
    table.add_section()
    table.add_row("all", f"{sum(of_day.values()):,}", "", "")
    return table


def _cells(entry: RejectedEntry) -> tuple[str, str, str, str]:
    return escape(str(entry.place)), f"{entry.time:%Y-%m-%d %H:%M:%S}", f"{entry.size:,}", escape(_short(entry.reason))


def _short(reason: str) -> str:
    printable = "".join(letter if letter.isprintable() else "?" for letter in reason)
    return printable if len(printable) <= _LONGEST_REASON else f"{printable[: _LONGEST_REASON - 1]}…"


def _dashed(day: str) -> str:
    return f"{day[:4]}-{day[4:6]}-{day[6:]}"
