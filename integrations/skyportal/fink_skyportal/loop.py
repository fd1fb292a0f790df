"""From Kafka to SkyPortal: batches of alerts, each accepted or kept with the reason before Kafka is told it is done."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .alerts.reader import AlertReader, Received
from .candidate import Candidate, NotPostable, candidate_of
from .config import Generation
from .errors import Refusal, Stopped, TokenRefused
from .poster import Outcome, Poster
from .refused import RefusedFile

#: most alerts taken at once: they share requests of photometry, and so many are posted again after a crash at most
BATCH = 50
#: seconds between two lines of the log on how many alerts there were
COUNT_SECONDS = 60.0

_log = logging.getLogger(__name__)


@dataclass
class Counts:
    """Alerts that were settled, by what became of them.

    Parameters
    ----------
    accepted : int
        Posted.
    unreadable : int
        Messages that are no alerts; kept.
    not_postable : int
        Alerts that lack what a candidate needs; kept.
    refused : int
        Refused by SkyPortal; kept.
    """

    accepted: int = 0
    unreadable: int = 0
    not_postable: int = 0
    refused: int = 0

    @property
    def received(self) -> int:
        """All of them."""
        return self.accepted + self.kept

    @property
    def kept(self) -> int:
        """Those in the file of refused alerts."""
        return self.unreadable + self.not_postable + self.refused

    def __str__(self) -> str:
        line = f"{self.received} received = {self.accepted} accepted + {self.kept} refused"
        if not self.kept:
            return line
        return (
            f"{line} ({self.unreadable} unreadable, {self.not_postable} without what a candidate needs, "
            f"{self.refused} by SkyPortal)"
        )


class Loop:
    """Forwards alerts until it is told to stop.

    Parameters
    ----------
    reader : AlertReader
        Gives the alerts.
    refused : RefusedFile
        Keeps those that cannot be posted.
    opened : callable
        Gives what posts them; called after the first look into Kafka, that no filter is made for a topic that does not
        exist.
    renewed : callable
        Called when SkyPortal has refused the token: gives what posts with a new one, or None if there is none.
    generation : {"microservice", "stand-alone"}
        Whose rules hold.
    poll_seconds : float
        How long an alert is waited for before the log says that none came.
    stop : threading.Event
        Set from outside: no more alerts are taken, and those in hand that need to wait are left for the next start.
    """

    def __init__(
        self,
        reader: AlertReader,
        refused: RefusedFile,
        *,
        opened: Callable[[], Poster],
        renewed: Callable[[], Poster | None],
        generation: Generation,
        poll_seconds: float,
        stop: threading.Event,
    ) -> None:
        self.counts = Counts()
        self._reader, self._refused, self._opened, self._renewed = reader, refused, opened, renewed
        self._poster: Poster | None = None
        self._generation, self._poll_seconds, self._stop = generation, poll_seconds, stop

    def run(self) -> None:
        """Forward alerts.

        Raises
        ------
        TokenRefused
            If SkyPortal refuses the token, and there is no new one.
        SkyPortalError, ReaderError
            If posting or reading cannot go on at all.
        OSError
            If a refused alert cannot be kept.
        """
        counted, counted_at = 0, time.monotonic()
        try:
            while not self._stop.is_set():
                self._round()
                if self.counts.received > counted and time.monotonic() - counted_at >= COUNT_SECONDS:
                    _log.info("%s", self.counts)
                    counted, counted_at = self.counts.received, time.monotonic()
        except Stopped:  # before anything could be posted
            pass
        finally:
            _log.info("%s", self.counts)

    def _round(self) -> None:
        batch = self._reader.poll_many(BATCH, self._poll_seconds)
        if self._stop.is_set() and not batch:
            return
        if self._poster is None:
            self._poster = self._opened()
        if batch:
            self._forward(batch)
        else:
            _log.info("No alerts received in the last %g seconds", self._poll_seconds)
        self._reader.commit()

    def _forward(self, batch: Sequence[Received]) -> None:
        waiting: dict[int, Received] = {}
        candidates = []
        for received in batch:
            candidate = self._candidate(received)
            if candidate is not None:
                waiting[id(candidate)] = received
                candidates.append(candidate)
        for outcome in self._posted(candidates):
            received = waiting[id(outcome.candidate)]
            if outcome.refusal is None:
                self.counts.accepted += 1
                self._reader.done(received)
            else:
                self.counts.refused += 1
                self._keep(received, outcome.refusal)

    def _candidate(self, received: Received) -> Candidate | None:
        """Return what is to be posted; None if that cannot be told, and the message is kept instead."""
        if received.alert is None:
            self.counts.unreadable += 1
            self._keep(received, Refusal("", 0, received.error))
            return None
        try:
            return candidate_of(received.alert, received.topic, self._generation)
        except NotPostable as error:
            reason = str(error)
        except Exception as error:  # a field of a type no alert has: nothing in one alert may stop all others
            _log.debug("conversion", exc_info=True)
            reason = f"The alert has fields of other types than ZTF's ({type(error).__name__}: {error})."
        self.counts.not_postable += 1
        self._keep(received, Refusal("", 0, reason))
        return None

    def _posted(self, candidates: Sequence[Candidate]) -> Sequence[Outcome]:
        """Post candidates; with a new token, if SkyPortal refuses the old one and there is one."""
        while candidates and self._poster is not None:
            try:
                return self._poster.post(candidates)
            except Stopped as stopped:
                return stopped.outcomes
            except TokenRefused:
                poster = self._renewed()
                if poster is None:
                    raise
                _log.info("SkyPortal has refused the token; the configuration has a new one.")
                self._poster = poster
        return ()

    def _keep(self, received: Received, refusal: Refusal) -> None:
        object_id, candid = identity(received)
        self._refused.add(received, refusal, object_id, candid)
        where = f"{received.topic} {received.partition} {received.offset}"
        _log.warning("Refused, and kept: %s (%s): %s", object_id or "a message", where, refusal)
        self._reader.done(received)


def identity(received: Received) -> tuple[str, int | None]:
    """Return objectId and candid of a message as far as it has them, empty and None otherwise."""
    alert = received.alert or {}
    object_id, candid = alert.get("objectId"), alert.get("candid")
    return (object_id if isinstance(object_id, str) else ""), (candid if isinstance(candid, int) else None)
