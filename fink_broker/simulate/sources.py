"""Where the simulator's alerts come from: a folder, archives, Avro and Parquet files, or the synthetic sky.

Everything is read as it is sent: an archive member by member, a table some rows at a time, nothing unpacked to disk.
What cannot be read is told, counted and passed over.
"""

from __future__ import annotations

import gzip
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from fink_broker.errors import DataError
from fink_broker.simulate.containers import READ_ERRORS, alerts_in, alerts_in_file, members, read_all
from fink_broker.simulate.rows import AlertRows, ztf_packet_schema
from fink_broker.simulate.sky import synthetic_packets
from fink_broker.simulate.stored import StoredAlert

SYNTHETIC = "synthetic"
SUFFIXES = (".avro", ".avro.gz", ".parquet", ".tar.gz", ".tgz", ".tar")
_TOLD_IN_FULL = 5

Say = Callable[[str], None]


class Source(Protocol):
    """Alerts that can be gone through again and again."""

    #: how many there are, None if that is only known afterwards
    expected: int | None
    #: what was passed over in the first pass, by reason
    skipped: Counter[str]

    def alerts(self) -> Iterator[StoredAlert]:
        """Yield the alerts, each time in the same order."""
        ...


def open_source(spec: str, say: Say, *, synthetic_count: int, seed: int) -> Source:
    """Return the alerts a configuration names.

    Parameters
    ----------
    spec : str
        Folder or file, or ``synthetic``.
    say : callable
        Told of each file that cannot be read.
    synthetic_count : int
        How many alerts of a synthetic sky.
    seed : int
        Which synthetic sky.

    Raises
    ------
    DataError
        If there is no such file or folder, or no alert could be in it.
    """
    if spec == SYNTHETIC:
        return SyntheticSource(synthetic_count, seed)
    path = Path(spec).expanduser()
    hint = (
        f"Give a folder or a file ({', '.join(SUFFIXES)}) as simulator.source or --source, fetch alerts with "
        "datasim/download_ztf_alert_data.sh, or use --source synthetic."
    )
    if not path.exists():
        raise DataError(f"There is no {path} to replay alerts from.", hint)
    files = find_files(path)
    if not files:
        raise DataError(f"There are no files of alerts in {path}.", hint)
    return StoredSource(path, files, say)


def find_files(path: Path) -> list[Path]:
    """Return a file of alerts, or all below a folder, in natural order of their names.

    ZTF names packets by their candid, whose digits begin with the time: this order is that of the night. Names that
    begin with a dot or an underscore are not looked at, since Spark and Hadoop keep their own affairs there.
    """
    if path.is_file():
        return [path] if path.name.lower().endswith(SUFFIXES) else []
    found = (file for file in path.rglob("*") if file.name.lower().endswith(SUFFIXES) and file.is_file())
    visible = (file for file in found if not any(part[0] in "._" for part in file.relative_to(path).parts))
    return sorted(visible, key=lambda file: _natural(str(file)))


def _natural(text: str) -> list[str | int]:
    return [int(part) if part.isdecimal() else part for part in re.split(r"([0-9]+)", text)]


class SyntheticSource:
    """A night of the synthetic sky: the same number and seed give the same alerts.

    Parameters
    ----------
    count : int
        Number of alerts.
    seed : int
        Which sky.
    """

    def __init__(self, count: int, seed: int) -> None:
        self.expected: int | None = count
        self.skipped: Counter[str] = Counter()
        self._seed = seed
        self._schema = ztf_packet_schema()

    def __str__(self) -> str:
        return f"the synthetic sky of seed {self._seed}"

    def alerts(self) -> Iterator[StoredAlert]:
        """Yield the night."""
        for record in synthetic_packets(self.expected or 0, self._seed):
            yield StoredAlert(record, self._schema)


class StoredSource:
    """Alerts in files.

    Parameters
    ----------
    path : Path
        The file or folder the user named.
    files : list of Path
        The files, in the order in which they are read.
    say : callable
        Told of what cannot be read.
    """

    def __init__(self, path: Path, files: list[Path], say: Say) -> None:
        self._path = path
        self._files = files
        self._say = say
        self._schema = ztf_packet_schema()
        self._passes = self._told = 0
        self.skipped: Counter[str] = Counter()
        single = all(file.name.lower().endswith((".avro", ".avro.gz")) for file in files)
        self.expected: int | None = len(files) if single and len(files) > 1 else None

    def __str__(self) -> str:
        if len(self._files) == 1 and self._files[0] == self._path:
            return str(self._path)
        return f"{len(self._files)} files in {self._path}"

    def alerts(self) -> Iterator[StoredAlert]:
        """Yield the alerts file by file, each time in the same order.

        Raises
        ------
        DataError
            If there was not one.
        """
        self._passes += 1
        count = 0
        for file in self._files:
            for alert in self._alerts_of(file):
                count += 1
                yield alert
        if not count:
            why = f": {told_skipped(self.skipped)}" if self.skipped else ""
            raise DataError(f"No alert in {self._path} could be read{why}.", "Give other files, or --source synthetic.")
        self.expected = count

    def _alerts_of(self, file: Path) -> Iterator[StoredAlert]:
        name = file.name.lower()
        try:
            if name.endswith(".parquet"):
                yield from self._rows(file)
            elif name.endswith((".tar.gz", ".tgz", ".tar")):
                yield from self._members(file)
            elif name.endswith(".gz"):
                with gzip.open(file) as stream:
                    yield from alerts_in(read_all(stream))
            else:
                yield from alerts_in_file(file)
        except DataError as error:
            self._skip(file, error.message)
        except READ_ERRORS as error:
            self._skip(file, f"It cannot be read: {error or type(error).__name__}.")

    def _rows(self, file: Path) -> Iterator[StoredAlert]:
        rows = AlertRows(file, self._schema)
        if rows.lacking:
            more = f" and {len(rows.lacking) - 3} more" if len(rows.lacking) > 3 else ""
            self._skip(file, f"Rows are no whole alerts: no {', '.join(rows.lacking[:3])}{more}.", rows.count)
        for number, row in enumerate(rows):
            try:
                if isinstance(row, DataError):
                    raise row
                yield StoredAlert(row, self._schema)
            except DataError as error:
                self._skip(f"{file}, row {number}", error.message)

    def _members(self, file: Path) -> Iterator[StoredAlert]:
        for name, stream in members(file):
            try:
                yield from alerts_in(read_all(stream))
            except DataError as error:
                self._skip(f"{file}, {name}", error.message)

    def _skip(self, where: Any, reason: str, count: int = 1) -> None:
        if self._passes > 1:  # the same again
            return
        self._told += 1
        self.skipped[reason.removesuffix(".")] += count
        if self._told <= _TOLD_IN_FULL:
            self._say(f"passed over {where}{f' ({count} rows)' if count > 1 else ''}: {reason}")
        elif self._told == _TOLD_IN_FULL + 1:
            self._say("passed over more, which the summary counts")


def told_skipped(skipped: Counter[str], most: int = 3) -> str:
    """Return in words what was passed over, for the commonest reasons."""
    told = "; ".join(f"{count} × {reason}" for reason, count in skipped.most_common(most))
    return f"{told}; and more" if len(skipped) > most else told
