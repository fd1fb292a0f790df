"""Requests to the REST API for alerts that are in it right now, as commands a user can paste."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import requests

from fink_broker.archive import AlertTable, Layout
from fink_broker.archive.reading import files_of, read_rows
from fink_broker.config.model import Config
from fink_broker.errors import ServiceError

RADIUS_ARCSEC = 5.0
LATEST = 5
#: classes that say nothing; another is asked for if there is one
NO_CLASS = (None, "", "Unknown", "Fail")
#: most batches looked at: examples need no whole night
MOST_COMMITS = 200
COLUMNS = ("objectId", "candidate.ra", "candidate.dec", "finkclass")
ANSWER_SECONDS = 20.0
JSON = "application/json"


@dataclass(frozen=True)
class Night:
    """What is asked for.

    Parameters
    ----------
    object_id : str
        The object with most alerts.
    ra, dec : float
        Where it is, degrees, ICRS.
    label : str
        The class most alerts are of.
    """

    object_id: str
    ra: float
    dec: float
    label: str


@dataclass(frozen=True)
class Example:
    """A request to the API.

    Parameters
    ----------
    purpose : str
        What it asks for.
    url : str
        Address, with the arguments of a GET request.
    body : dict, optional
        Arguments of a POST request; none: it is a GET request.
    """

    purpose: str
    url: str
    body: Mapping[str, Any] = field(default_factory=dict)

    @property
    def curl(self) -> str:
        """The request as a shell command."""
        words = ["curl", "-s", self.url]
        if self.body:
            words += ["-H", f"Content-Type: {JSON}", "-d", json.dumps(self.body)]
        return shlex.join(words)

    def count_rows(self) -> int:
        """Send the request; return how many rows the answer has.

        Raises
        ------
        ServiceError
            If the API does not answer, or refuses.
        """
        try:
            if self.body:
                answer = requests.post(self.url, json=self.body, timeout=ANSWER_SECONDS)
            else:
                answer = requests.get(self.url, timeout=ANSWER_SECONDS)
            answer.raise_for_status()
        except requests.RequestException as error:
            raise ServiceError(f"The API did not answer `{self.curl}`: {error}.", "See `fink logs api`.") from error
        return max(0, len(answer.content.splitlines()) - 1)  # csv: the first line names the columns


def night_of(config: Config, first_commit: int) -> Night | None:
    """Return what to ask for of the alerts that passed the quality cuts, None if there are none.

    Parameters
    ----------
    config : Config
        Where the science table is.
    first_commit : int
        Number of the first batch of the table that counts; if there are none from there on, all do.
    """
    table = AlertTable(Layout(config.storage.online).table("science"))
    commits = table.log.read_from(first_commit, MOST_COMMITS) or table.log.read_from(0, MOST_COMMITS)
    alerts: list[Mapping[str, Any]] = []
    for file in files_of(commits):
        with suppress(FileNotFoundError):  # merged away meanwhile
            alerts += [row for part in read_rows(table, file, COLUMNS) for row in part.to_pylist()]
    return choose(alerts)


def choose(alerts: Sequence[Mapping[str, Any]]) -> Night | None:
    """Return what to ask for of alerts with ``objectId``, ``candidate.ra``, ``candidate.dec`` and ``finkclass``."""
    if not alerts:
        return None
    [(object_id, _)] = Counter(alert["objectId"] for alert in alerts).most_common(1)
    candidate = next(alert["candidate"] for alert in alerts if alert["objectId"] == object_id)
    labels = Counter(alert.get("finkclass") for alert in alerts)
    told = Counter({label: number for label, number in labels.items() if label not in NO_CLASS})
    label = told.most_common(1)[0][0] if told else "Unknown"
    return Night(object_id, round(candidate["ra"], 5), round(candidate["dec"], 5), label)


def examples(config: Config, night: Night) -> list[Example]:
    """Return requests for an object by its name, for what is around it, and for the latest alerts of a class.

    Parameters
    ----------
    config : Config
        Host and port of the API.
    night : Night
        What to ask for.
    """
    base = f"{address(config)}/api/v1"
    about = {
        "objectId": night.object_id,
        "columns": "i:objectId,i:jd,i:fid,i:magpsf,d:classification",
        "output-format": "csv",
    }
    cone = {"ra": night.ra, "dec": night.dec, "radius": RADIUS_ARCSEC, "output-format": "csv"}
    cone["columns"] = "i:objectId,i:jd,d:classification"
    latest = {"class": night.label, "n": LATEST, "output-format": "csv", "columns": "i:objectId,i:jd,i:magpsf"}
    return [
        Example(f"all alerts of {night.object_id}", f"{base}/objects?{urlencode(about, safe=':,')}"),
        Example(f'objects within {RADIUS_ARCSEC:g}" of it', f"{base}/conesearch", cone),
        Example(f"the latest alerts of class {night.label}", f"{base}/latests", latest),
    ]


def address(config: Config) -> str:
    """Return the address at which the API is reached from this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.api.host, config.api.host)  # noqa: S104 - compared only
    return f"http://[{host}]:{config.api.port}" if ":" in host else f"http://{host}:{config.api.port}"
