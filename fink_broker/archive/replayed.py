"""Which rejected packets were sent again: a ledger beside them, so that none is sent twice by mistake.

Each piece of the ledger is a small file ``rejected/_replayed/<unix time in µs>.json`` with the places of packets that
Kafka has taken, and when they first came: in a topic made anew other packets have the same places. Pieces are joined
when there are many.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable, Iterator
from typing import Any

from fink_broker.archive.layout import Layout
from fink_broker.archive.rejected_files import Arrival
from fink_broker.archive.storage import Storage
from fink_broker.config import Config
from fink_broker.errors import DataError, UsageError

FOLDER = "_replayed"
#: Pieces from which on they are joined.
MOST_PIECES = 64
_LOCK = f"{FOLDER}/.lock"
_PROBE = f"{FOLDER}/.probe"
#: Bytes of the probe: more than a piece ever has that notes what is sent at once.
_PROBE_BYTES = 2**17


class Replayed:
    """The ledger.

    Parameters
    ----------
    config : Config
        The configuration in force.
    """

    def __init__(self, config: Config) -> None:
        self._storage = Storage(Layout(config.storage.online).table("rejected"))

    def arrivals(self) -> set[Arrival]:
        """Return which packets were sent again, as they came the first time.

        Raises
        ------
        DataError
            If a piece is damaged.
        """
        found: set[Arrival] = set()
        seen: set[str] = set()
        # where one was joined with others before it was read, the piece that holds them all is there by then
        while fresh := set(self._pieces()) - seen:
            found |= set().union(*map(self._read, fresh))
            seen |= fresh
        return found

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the ledger while packets are chosen and sent, so that no other process sends the same ones.

        Raises
        ------
        UsageError
            If another process of this machine holds it.
        DataError
            If it cannot be written.
        """
        with contextlib.ExitStack() as stack:
            try:
                is_free = stack.enter_context(self._storage.locked(_LOCK))
            except OSError as error:
                raise self._unwritable(error) from error
            if not is_free:
                raise UsageError(
                    "Another `fink reject replay` is at work.", "Wait for its end: it may be sending the same packets."
                )
            yield

    def check(self) -> None:
        """See that what is sent next can be noted.

        Raises
        ------
        DataError
            If not: the disk is full, or belongs to somebody else.
        """
        try:
            self._storage.make_folder(FOLDER)
            self._storage.write_atomically(_PROBE, bytes(_PROBE_BYTES))
            self._storage.remove(_PROBE)
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> DataError:
        return DataError(
            f"Nothing was sent: it could not be noted in {self._storage.uri(FOLDER)} ({error.strerror or error}).",
            "Is the disk full, or does the folder belong to another user?",
        )

    def add(self, arrivals: Iterable[Arrival]) -> None:
        """Note that packets were sent again.

        Raises
        ------
        OSError
            If that cannot be written.
        DataError
            If a piece is damaged.
        """
        self._storage.make_folder(FOLDER)
        self._write(set(arrivals))
        with contextlib.suppress(OSError):  # they are noted, and can be joined another time
            self._join()

    def _join(self) -> None:
        pieces = self._pieces()
        if len(pieces) > MOST_PIECES:
            self._write(set().union(*map(self._read, pieces)))
            for piece in pieces:
                self._storage.remove(piece)

    def _pieces(self) -> list[str]:
        return [f"{FOLDER}/{info.base_name}" for info in self._storage.find(FOLDER, ".json")]

    def _read(self, piece: str) -> set[Arrival]:
        try:
            return {
                Arrival(str(topic), int(partition), int(offset), int(time))
                for topic, partition, offset, time in self._content(piece)
            }
        except (ValueError, TypeError) as error:
            raise DataError(
                f"The file {self._storage.uri(piece)} cannot be read: {error}.",
                "Remove it: packets that it names can then be sent a second time, and the broker drops repeats.",
            ) from error

    def _content(self, piece: str) -> list[tuple[Any, Any, Any, Any]]:
        try:
            content: list[tuple[Any, Any, Any, Any]] = json.loads(self._storage.read(piece))
        except FileNotFoundError:  # it was joined with others meanwhile
            return []
        return content

    def _write(self, arrivals: set[Arrival]) -> None:
        content = json.dumps(sorted(arrivals), separators=(",", ":")).encode()
        self._storage.write_atomically(f"{FOLDER}/{time.time_ns() // 1000}.json", content)
