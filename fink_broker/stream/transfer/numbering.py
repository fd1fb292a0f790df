"""The numbers of the messages of a transfer."""

from __future__ import annotations

import numpy as np

from fink_broker.errors import DataError
from fink_broker.stream.transfer.manifest import Part


class Numbering:
    """Gives the selected alerts their numbers, file by file, and tells which are not in Kafka.

    Parameters
    ----------
    ends : list of int
        Messages each partition holds in Kafka.
    """

    def __init__(self, ends: list[int]) -> None:
        self._size = len(ends)
        #: the first number of each partition that is not there
        self._next = np.array([partition + self._size * end for partition, end in enumerate(ends)])
        self._number = self._end = 0

    def has_to_send(self, part: Part) -> bool:
        """Tell whether some of the next file's alerts are not in Kafka."""
        self._end = self._number + part.sent
        return part.sent > 0 and self._end > int(self._next.min())

    def skip(self, part: Part) -> None:
        """Leave a file out."""
        self._number += part.sent

    def take(self, part: Part, rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers of the next selected rows of a file, and which of these rows are not in Kafka.

        Raises
        ------
        DataError
            If the file has more of them than it had.
        """
        if self._number + rows > self._end:
            raise _changed(part)
        numbers = np.arange(self._number, self._number + rows)
        self._number += rows
        return numbers, np.flatnonzero(numbers >= self._next[numbers % self._size])

    def close(self, part: Part) -> None:
        """See that a file had as many selected alerts as it had.

        Raises
        ------
        DataError
            If it has fewer.
        """
        if self._number != self._end:
            raise _changed(part)


def _changed(part: Part) -> DataError:
    return DataError(
        f"The file {part.path} of the science table is not what it was when the transfer was begun.",
        "Remove the transfer (--remove) and start it again.",
    )
