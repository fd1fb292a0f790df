"""Posts alerts: batch by batch, several objects at a time, with as few requests as SkyPortal's API allows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from .api import SkyPortal
from .errors import PremisesMissing, Refusal, Refused, RightMissing, SkyPortalError, Stopped
from .objects import Objects, Options
from .premises import Premises, with_filters_of_now
from .workers import Workers

if TYPE_CHECKING:
    from .candidate import Candidate

__all__ = ["Options", "Outcome", "Poster", "Refusal"]

#: Most rows SkyPortal takes in one request.
ROWS_OF_A_REQUEST = 10_000
#: Alerts whose photometry goes together. Where requests are limited, few: those begun are completed on the way out.
ALERTS_AT_ONCE, ALERTS_AT_ONCE_IF_LIMITED = 200, 8
#: For completing what was begun when the client is to stop.
GRACE_SECONDS = 10.0
#: How often filters are looked for that other groups may have made.
FILTERS_SECONDS = 300.0


@dataclass(frozen=True)
class Outcome:
    """What has become of an alert.

    Parameters
    ----------
    candidate : Candidate
        The alert.
    refusal : Refusal or None
        Why it was refused; None if all of it is in SkyPortal.
    """

    candidate: Candidate
    refusal: Refusal | None


#: An alert and its place in the batch.
_Placed = tuple[int, "Candidate"]


class Poster:
    """Posts alerts.

    Parameters
    ----------
    api : SkyPortal
        Where to.
    premises : Premises
        Filters, groups, instrument, taxonomy.
    options : Options
        How.
    stop : threading.Event
        Ends posting: what was begun is completed if that takes less than `GRACE_SECONDS`.
    """

    def __init__(self, api: SkyPortal, premises: Premises, options: Options, stop: threading.Event) -> None:
        self.api, self.stop = api, stop
        self._objects = Objects(api, premises, options)
        self._workers = Workers(options.connections, stop, api.leave, GRACE_SECONDS)
        self._filters_due = time.monotonic() + FILTERS_SECONDS
        self._at_once = ALERTS_AT_ONCE if api.pace.requests_per_second is None else ALERTS_AT_ONCE_IF_LIMITED

    def post(self, batch: Sequence[Candidate]) -> list[Outcome]:
        """Post alerts; of one object in the order of their times.

        Parameters
        ----------
        batch : sequence of Candidate
            The alerts. Those that are in SkyPortal already, wholly or in part, are completed and not doubled.

        Returns
        -------
        list of Outcome
            In the order of the batch.

        Raises
        ------
        Stopped
            If told to stop before all are settled; it has the outcomes of those that are.
        TokenRefused, RightMissing, WrongAddress
            If nothing can be posted at all.
        """
        outcomes: dict[int, Outcome] = {}
        try:
            self._look_for_filters()
            for part in _parts(batch, self._at_once):
                if self.stop.is_set():
                    raise Stopped
                self._post_part(part, outcomes)
            if len(outcomes) < len(batch):
                raise Stopped
        except Stopped:
            settled = dict(outcomes)  # threads left behind may still add to it
            raise Stopped([settled[place] for place in sorted(settled)]) from None
        return [outcomes[place] for place in range(len(batch))]

    def _post_part(self, part: Sequence[Sequence[_Placed]], outcomes: dict[int, Outcome]) -> None:
        """Post the alerts of some objects: what makes the objects, then all their photometry, then what is on them."""
        begun: list[list[_Placed]] = [[] for _ in part]
        jobs = [partial(self._begin, alerts, done, outcomes) for alerts, done in zip(part, begun, strict=True)]
        self._workers.run(jobs, begin_until_stop=True)
        measured = [placed for alerts in begun for placed in alerts]
        for alerts in self._of_same_groups(measured):
            for rows_fit in _pieces(alerts):
                self._workers.run([partial(self._put_photometry, rows_fit, outcomes)])
        left = [[placed for placed in alerts if placed[0] not in outcomes] for alerts in begun]
        self._workers.run([partial(self._finish, alerts, outcomes) for alerts in left])

    def _begin(self, alerts: Sequence[_Placed], done: list[_Placed], outcomes: dict[int, Outcome]) -> None:
        for placed in alerts:
            if self.stop.is_set():
                return
            refusal = self._refusal_of(partial(self._objects.begin, placed[1]))
            if refusal is None:
                done.append(placed)
            else:
                outcomes[placed[0]] = Outcome(placed[1], refusal)

    def _finish(self, alerts: Sequence[_Placed], outcomes: dict[int, Outcome]) -> None:
        """Write class and annotation by the latest alert, which stand for those before; by an earlier if refused."""
        refusal: Refusal | None = None
        for number in reversed(range(len(alerts))):
            refusal = self._refusal_of(partial(self._objects.finish, alerts[number][1]))
            if refusal is None:
                outcomes.update({place: Outcome(candidate, None) for place, candidate in alerts[: number + 1]})
                return
            outcomes[alerts[number][0]] = Outcome(alerts[number][1], refusal)

    def _put_photometry(self, alerts: Sequence[_Placed], outcomes: dict[int, Outcome]) -> None:
        """Put the light curves of alerts; if they are refused, by halves until only the bad ones are."""
        body = self._photometry(alerts)
        if not body["mjd"]:
            return
        refusal = self._refusal_of(partial(self.api.put, "/api/photometry", body))
        if refusal is None:
            return
        if len(alerts) == 1:
            outcomes[alerts[0][0]] = Outcome(alerts[0][1], refusal)
            return
        middle = len(alerts) // 2
        self._put_photometry(alerts[:middle], outcomes)
        self._put_photometry(alerts[middle:], outcomes)

    def _photometry(self, alerts: Sequence[_Placed]) -> dict[str, Any]:
        """Return the body of a request: columns of fluxes, each point of an object once."""
        premises = self._objects.premises
        rows = {
            (candidate.object_id, row.mjd, row.filter, row.flux, row.fluxerr): (candidate, row)
            for _, candidate in alerts
            for row in candidate.photometry
        }
        names = ("mjd", "filter", "flux", "fluxerr", "zp", "ra", "dec")
        return {
            "obj_id": [candidate.object_id for candidate, _ in rows.values()],
            "instrument_id": [premises.instrument_ids[candidate.instrument] for candidate, _ in rows.values()],
            "magsys": "ab",
            "stream_ids": [premises.stream_id],
            "group_ids": list(premises.group_ids[alerts[0][1].topic]),
            **{name: [getattr(row, name) for _, row in rows.values()] for name in names},
        }

    def _of_same_groups(self, alerts: Sequence[_Placed]) -> list[list[_Placed]]:
        """Divide alerts by the groups that may see them."""
        divided: dict[tuple[int, ...], list[_Placed]] = {}
        for placed in alerts:
            divided.setdefault(self._objects.premises.group_ids[placed[1].topic], []).append(placed)
        return list(divided.values())

    def _refusal_of(self, step: Callable[[], Any]) -> Refusal | None:
        """Do something for an alert and return why it was refused, if it was.

        An answer nobody has thought of is no reason to stop, and none to lose the alert: it counts as a refusal.
        """
        try:
            step()
        except RightMissing:  # it would refuse all others as well
            raise
        except Refused as refused:
            return refused.refusal
        except SkyPortalError:
            raise
        except Exception as error:
            return Refusal("", 0, self.api.scrub(f"unexpected {type(error).__name__}: {error}"))
        return None

    def _look_for_filters(self) -> None:
        if time.monotonic() < self._filters_due:
            return
        self._filters_due = time.monotonic() + FILTERS_SECONDS
        try:
            self._objects.premises = with_filters_of_now(self.api, self._objects.premises)
        except (Refused, PremisesMissing) as error:
            self.api.say(f"The filters cannot be looked for again, those found before are used: {error}")


def _parts(batch: Sequence[Candidate], at_once: int) -> Iterator[list[list[_Placed]]]:
    """Divide a batch: parts of about so many alerts, each a list of objects, each a list of alerts by time."""
    objects: dict[str, list[_Placed]] = {}
    for placed in enumerate(batch):
        objects.setdefault(placed[1].object_id, []).append(placed)
    part: list[list[_Placed]] = []
    for alerts in objects.values():
        part.append(sorted(alerts, key=lambda placed: (placed[1].passed_at, placed[0])))
        if sum(map(len, part)) >= at_once:
            yield part
            part = []
    if part:
        yield part


def _pieces(alerts: Sequence[_Placed]) -> Iterator[list[_Placed]]:
    """Divide alerts into pieces whose rows fit into one request."""
    piece: list[_Placed] = []
    rows = 0
    for placed in alerts:
        count = len(placed[1].photometry)
        if piece and rows + count > ROWS_OF_A_REQUEST:
            yield piece
            piece, rows = [], 0
        piece.append(placed)
        rows += count
    if piece:
        yield piece
