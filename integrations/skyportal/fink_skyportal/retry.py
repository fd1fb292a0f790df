"""Refused alerts: shown, and posted again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from .alerts.messages import UnreadableAlert, decode
from .candidate import Candidate, candidate_of
from .config import Generation
from .connecting import Posting
from .errors import Stopped
from .loop import BATCH
from .poster import Outcome, Poster
from .refused import RefusedAlert, RefusedFile


def listed(file: RefusedFile, say: Callable[[str], None]) -> None:
    """Show the alerts of a file, one a line, and how many there are."""
    count = 0
    for alert in file:
        count += 1
        name = alert.object_id or "?"
        say(f"{alert.time}  {alert.topic} {alert.partition} {alert.offset}  {name}  {alert.refusal}")
    say(f"{count} refused in {file.path}")


def retry(file: RefusedFile, posting: Posting, generation: Generation, say: Callable[[str], None]) -> int:
    """Post the alerts of a file again, and take those out that are accepted.

    Parameters
    ----------
    file : RefusedFile
        The file; a client may be adding to it.
    posting : Posting
        Gives what posts them.
    generation : {"microservice", "stand-alone"}
        Whose rules hold.
    say : callable
        Gets one line for each alert that is still refused, and a last one with the counts.

    Returns
    -------
    int
        How many are left.

    Raises
    ------
    SkyPortalError
        If posting cannot go on; what was accepted before is out of the file.
    """
    accepted = left = 0
    alerts = iter(file)  # of the file as it is now, which the first removal replaces
    poster: Poster | None = None
    while batch := list(islice(alerts, BATCH)):
        readable = list(_readable(batch, generation, say))
        left += len(batch)
        if not readable:
            continue
        poster = poster or posting.opened()
        try:
            outcomes, is_stopped = poster.post([candidate for _, candidate in readable]), False
        except Stopped as stopped:
            outcomes, is_stopped = stopped.outcomes, True
        done = list(_accepted(readable, outcomes, say))
        file.remove({alert.identity for alert in done})
        accepted, left = accepted + len(done), left - len(done)
        if is_stopped:
            left += sum(1 for _ in alerts)
    say(f"{accepted} accepted, {left} left in {file.path}")
    return left


def _readable(
    batch: Iterable[RefusedAlert], generation: Generation, say: Callable[[str], None]
) -> Iterator[tuple[RefusedAlert, Candidate]]:
    for alert in batch:
        try:
            yield alert, candidate_of(decode(alert.value, alert.key), alert.topic, generation)
        except UnreadableAlert as error:
            say(f"{alert.topic} {alert.partition} {alert.offset}: {error}")
        except Exception as error:  # a field of a type no alert has
            say(f"{alert.object_id or '?'}: {error}")


def _accepted(
    posted: Iterable[tuple[RefusedAlert, Candidate]], outcomes: Iterable[Outcome], say: Callable[[str], None]
) -> Iterator[RefusedAlert]:
    by_candidate = {id(candidate): alert for alert, candidate in posted}
    for outcome in outcomes:
        if outcome.refusal is None:
            yield by_candidate[id(outcome.candidate)]
        else:
            say(f"{outcome.candidate.object_id}: {outcome.refusal}")
