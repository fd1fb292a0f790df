"""Which alerts a webhook has settled: the latest of them, kept over a restart."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

log = logging.getLogger(__name__)

#: Alerts remembered for each webhook (about 50 bytes each).
REMEMBERED = 10_000


class Posted:
    """The identities of the latest alerts that were accepted or set aside.

    They are appended to a file as soon as the far end has answered, before Kafka is told. A service killed between the
    two therefore finds them and does not post them again; nor does it when the broker, restarted after a crash, sends
    alerts a second time.

    Parameters
    ----------
    path : Path
        One identity a line.
    most : int
        How many are remembered.
    """

    def __init__(self, path: Path, most: int = REMEMBERED) -> None:
        self.path, self.most = path, most
        self._known: dict[str, None] = {}
        self._lines = 0
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            lines = []
        self._lines = len(lines)
        self._known = dict.fromkeys(lines[-most:])

    def __contains__(self, identity: str) -> bool:
        return identity in self._known

    def __len__(self) -> int:
        return len(self._known)

    def add(self, identities: Iterable[str]) -> None:
        """Remember some; the oldest beyond the bound are forgotten.

        A disk that cannot be written is no reason to post again and again: they are then remembered until the service
        ends, and the log says so.
        """
        new = [identity.replace("\n", " ") for identity in identities]
        for identity in new:
            self._known.pop(identity, None)
            self._known[identity] = None
        while len(self._known) > self.most:
            del self._known[next(iter(self._known))]
        try:
            if self._lines + len(new) > 2 * self.most:
                self._rewrite()
            else:
                with self.path.open("a", encoding="utf-8") as file:
                    file.write("".join(f"{identity}\n" for identity in new))
                self._lines += len(new)
        except OSError as error:
            log.error("%s cannot be written: %s; a restart may post alerts again", self.path, error.strerror)

    def _rewrite(self) -> None:
        temporary = self.path.with_name(f"{self.path.name}.tmp")
        temporary.write_text("".join(f"{identity}\n" for identity in self._known), encoding="utf-8")
        temporary.replace(self.path)
        self._lines = len(self._known)
