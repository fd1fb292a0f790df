"""What commands that keep the tables in order share: nights as they are typed, progress, what must not go."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from fink_broker.archive.merging import Progress as Told
from fink_broker.config import Config
from fink_broker.errors import UsageError
from fink_broker.stream.transfer.manifest import ManifestStore

_NIGHT = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})")


def night_of(text: str) -> str:
    """Return an observing night as ``YYYYMMDD``.

    Raises
    ------
    UsageError
        If it is none.
    """
    found = _NIGHT.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"'{text[:40]}' is no observing night.", "Write it as YYYYMMDD.")
    return "".join(found.groups())


def chosen_nights(wanted: Sequence[str], there: Sequence[str]) -> list[str]:
    """Return the nights that were named, or all but the latest.

    Raises
    ------
    UsageError
        If one is none, or there is nothing of it.
    """
    if not wanted:
        return list(there[:-1])
    nights = sorted({night_of(text) for text in wanted})
    for night in nights:
        if night not in there:
            raise UsageError(f"The broker holds nothing of the night {night}.", there_is(there))
    return nights


def there_is(nights: Sequence[str]) -> str:
    """Return a sentence that names the latest of the nights there are."""
    if not nights:
        return "It is empty."
    return f"It has {', '.join(nights[-10:])}{f' and {len(nights) - 10:,} before' if len(nights) > 10 else ''}."


def needed_files(config: Config) -> frozenset[str]:
    """Return the files of the science table that transfers name which are not finished.

    Raises
    ------
    DataError
        If what a transfer sends cannot be read.
    """
    manifests = ManifestStore(config.storage.online, config.storage.state).read_all()
    return frozenset(part.path for manifest in manifests if not manifest.finished for part in manifest.parts)


@contextmanager
def progress_bar(text: str, console: Console) -> Iterator[Told]:
    """Give a function that shows how many rows of how many are done."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    hidden = not console.is_terminal
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True, disable=hidden) as bar:
        task = bar.add_task(text, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def size_text(number: int) -> str:
    """Return bytes for people."""
    return f"{number / 1e9:,.2f} GB" if number >= 1e9 else f"{number / 1e6:,.1f} MB"


def files_text(number: int) -> str:
    """Return a number of files in words."""
    return "1 file" if number == 1 else f"{number:,} files"
