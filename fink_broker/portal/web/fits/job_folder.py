"""The folder in which fits leave their states: small JSON files that any process of the portal can read.

A job has the files ``<id>.job`` (what to do; touched by whoever waits for it), ``<id>.who`` (the visitor it is for),
``<id>.now`` (how far it is), ``<id>.cancel`` (someone wants its end) and, at last, ``<id>.end`` (how it ended, with its
kind and result) in place of all others. ``same-<digest>`` names the job that had the same inputs.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

#: seconds a result is kept
KEPT_SECONDS = 3600.0
#: results that are kept
KEPT_RESULTS = 400
_JOB_ID = re.compile(r"[0-9a-f]{32}")
#: how the end of a job begins that has a result
_DONE = b'{"state": "done"'
_OURS = ("*.job", "*.now", "*.end", "*.cancel", "*.who", "*.part", "same-*")


class FitError(Exception):
    """A fit that cannot be done; its text is a sentence for visitors."""


@dataclass(frozen=True)
class Order:
    """What was ordered.

    Parameters
    ----------
    job_id : str
        Name of the job.
    kind : str
        Which fit.
    inputs : mapping
        What is fitted.
    at_ns : int
        When, in nanoseconds since 1970.
    """

    job_id: str
    kind: str
    inputs: Mapping[str, Any]
    at_ns: int


class JobFolder:
    """The files of all jobs.

    Parameters
    ----------
    path : Path
        The folder; made when it is first written to.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def make(self) -> None:
        """Make the folder, for nobody else's eyes."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def file(self, job_id: str, ending: str) -> Path:
        """Return the path of a file of a job.

        Raises
        ------
        ValueError
            If that is no name of a job.
        """
        if not is_job_id(job_id):
            raise ValueError("That is not the name of a fit.")
        return self.path / f"{job_id}.{ending}"

    def write(self, job_id: str, ending: str, content: Mapping[str, Any]) -> None:
        """Write a file of a job as a whole: readers see the former content or this one.

        Raises
        ------
        ValueError
            If a number of the content is not finite.
        """
        self._write(self.file(job_id, ending), json.dumps(content, allow_nan=False))

    def read(self, job_id: str, ending: str) -> dict[str, Any] | None:
        """Return the content of a file of a job; None if it is not there, or is damaged."""
        try:
            content = json.loads(self.file(job_id, ending).read_bytes())
        except (OSError, ValueError):
            return None
        return content if isinstance(content, dict) else None

    def order(self, kind: str, inputs: Mapping[str, Any], visitor: str = "") -> str:
        """Write a new order of a visitor and return the name of its job."""
        job_id = secrets.token_hex(16)
        content = {"kind": kind, "inputs": inputs, "at_ns": time.time_ns()}
        self._write(self.file(job_id, "who"), visitor)
        self._write(self.path / f"same-{_digest(kind, inputs)}", job_id)
        self.write(job_id, "job", content)
        return job_id

    def orders(self, but: set[str]) -> list[Order]:
        """Return the orders that have not ended, but some, in the order of their arrival."""
        found = []
        for job_id in self.open_jobs() - but:
            content = self.read(job_id, "job") or {}
            with contextlib.suppress(KeyError, TypeError, ValueError):  # a damaged one is cleaned away when it is old
                found.append(Order(job_id, str(content["kind"]), dict(content["inputs"]), int(content["at_ns"])))
        return sorted(found, key=lambda order: (order.at_ns, order.job_id))

    def open_jobs(self) -> set[str]:
        """Return the jobs that have not ended."""
        return {path.stem for path in self.path.glob("*.job") if is_job_id(path.stem)}

    def end(self, job_id: str, content: Mapping[str, Any]) -> None:
        """Note how a job ended, unless that is known."""
        if not self.file(job_id, "end").exists():
            self.write(job_id, "end", content)
        self.forget_order(job_id)

    def forget_order(self, job_id: str) -> None:
        """Remove what is of no use when the end of a job is known."""
        for ending in ("job", "now", "cancel", "who"):
            self.file(job_id, ending).unlink(missing_ok=True)

    def same(self, kind: str, inputs: Mapping[str, Any], mine: object = None) -> str:
        """Return the job that has the same inputs, and a result or an asker who asks again; empty if there is none.

        Parameters
        ----------
        kind, inputs : str, mapping
            As they are ordered.
        mine : object
            The asker's own job: it is the same while it has not ended. That of somebody else is not, so that whoever
            cancels a job ends his own.
        """
        try:
            job_id = (self.path / f"same-{_digest(kind, inputs)}").read_text()
            if job_id == mine and self.is_open(job_id):
                return job_id
            if _age(self.file(job_id, "end")) > KEPT_SECONDS:
                return ""
        except (OSError, ValueError):
            return ""
        return job_id if (self.read(job_id, "end") or {}).get("state") == "done" else ""

    def open_of(self, visitor: str) -> int:
        """Return how many jobs of a visitor wait or run."""
        count = 0
        for job_id in self.open_jobs():
            with contextlib.suppress(OSError):
                count += self.is_open(job_id) and self.file(job_id, "who").read_text() == visitor
        return count

    def is_open(self, job_id: str) -> bool:
        """Tell whether a job waits or runs, and nobody wants its end."""
        return self.file(job_id, "job").exists() and not self.file(job_id, "cancel").exists()

    def touch(self, job_id: str) -> None:
        """Note that someone waits for a job."""
        with contextlib.suppress(OSError):
            os.utime(self.file(job_id, "job"))

    def unseen_seconds(self, job_id: str) -> float:
        """Return how long nobody has looked at a job."""
        try:
            return time.time() - self.file(job_id, "job").stat().st_mtime
        except OSError:
            return 0.0

    def clean(self) -> None:
        """Remove what is old, and the oldest results where there are many; failures do not push results out."""
        ended = sorted(self.path.glob("*.end"), key=_age)
        results = [path for path in ended if _is_result(path)]
        failures = sorted(set(ended) - set(results), key=_age)
        old = [path for path in self._ours() if _age(path) > KEPT_SECONDS]
        for path in (*old, *results[KEPT_RESULTS:], *failures[KEPT_RESULTS:]):
            path.unlink(missing_ok=True)

    def _ours(self) -> Iterator[Path]:
        for pattern in _OURS:
            yield from self.path.glob(pattern)

    def _write(self, path: Path, text: str) -> None:
        part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
        part.write_text(text)
        part.replace(path)


def is_job_id(text: object) -> TypeGuard[str]:
    """Tell whether a text is the name of a job."""
    return isinstance(text, str) and _JOB_ID.fullmatch(text) is not None


def _digest(kind: str, inputs: Mapping[str, Any]) -> str:
    text = json.dumps([kind, inputs], sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:40]


def _is_result(path: Path) -> bool:
    """Tell by its beginning, as a result may be long."""
    try:
        with path.open("rb") as file:
            return file.read(len(_DONE)) == _DONE
    except OSError:
        return False


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0
