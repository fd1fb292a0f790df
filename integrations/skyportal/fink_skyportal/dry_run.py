"""What would be posted, printed as JSON, one alert a line."""

from __future__ import annotations

import dataclasses
import json
import logging
import threading
from collections.abc import Callable

from .alerts.reader import AlertReader
from .candidate import Candidate, NotPostable, candidate_of
from .config import Settings
from .loop import BATCH

_log = logging.getLogger(__name__)


def show(reader: AlertReader, settings: Settings, stop: threading.Event, say: Callable[[str], None]) -> None:
    """Print what would be posted for each alert until told to stop; nothing is committed in Kafka.

    Parameters
    ----------
    reader : AlertReader
        Gives the alerts, to a group of its own, that it takes none from a client that runs.
    settings : Settings
        Whose rules hold, and how long to wait for an alert.
    stop : threading.Event
        Set from outside.
    say : callable
        Gets the lines.

    Raises
    ------
    ReaderError
        If reading cannot go on.
    """
    with reader:
        while not stop.is_set():
            batch = reader.poll_many(BATCH, settings.poll_seconds)
            for received in batch:
                try:
                    if received.alert is None:
                        raise NotPostable(received.error)
                    line = as_json(candidate_of(received.alert, received.topic, settings.generation))
                except NotPostable as error:
                    _log.warning("Would be refused: %s", error)
                except Exception as error:  # a field of a type no alert has
                    _log.warning("Would be refused: it has fields of other types than ZTF's (%s)", error)
                else:
                    say(line)
            if not batch and not stop.is_set():
                _log.info("No alerts received in the last %g seconds", settings.poll_seconds)


def as_json(candidate: Candidate) -> str:
    """Return a candidate as one line of JSON; of its thumbnails the sizes in bytes."""
    fields = {field.name: getattr(candidate, field.name) for field in dataclasses.fields(candidate)}
    fields["photometry"] = [dataclasses.asdict(row) for row in candidate.photometry]
    fields["classification"] = candidate.classification and dataclasses.asdict(candidate.classification)
    fields["thumbnails"] = {kind: len(image) for kind, image in candidate.thumbnails().items()}
    return json.dumps(fields, allow_nan=False)
