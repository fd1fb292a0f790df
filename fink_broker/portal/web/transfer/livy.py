"""Transfers by a Spark cluster: the job is uploaded through WebHDFS, and started as a batch of Livy.

References: https://livy.apache.org/docs/latest/rest-api.html (batches);
https://hadoop.apache.org/docs/stable/hadoop-project-dist/hadoop-hdfs/WebHDFS.html (CREATE).
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from fink_broker.config import Config
from fink_broker.errors import ConfigError, ServiceError
from fink_broker.portal.web.transfer import livy_job
from fink_broker.portal.web.transfer.records import Record, Records
from fink_broker.portal.web.transfer.selection import CONTENTS, MOST_ALERTS, Selection
from fink_broker.portal.web.transfer.sender import LOG_LINES, Progress, Standing, begin, keep_end, told

_SECONDS = 15.0
_PREFIX = "/webhdfs/v1"
#: States of a Livy batch in our words.
STANDINGS: dict[str, Standing] = {
    "not_started": "waiting", "starting": "waiting", "recovering": "waiting", "idle": "running", "busy": "running",
    "running": "running", "shutting_down": "running", "success": "complete", "error": "failed", "dead": "failed",
    "killed": "failed",
}  # fmt: skip


class _NotThere(ServiceError):
    """The cluster knows nothing of what it was asked about."""


@cache
def _client() -> httpx.Client:
    """Return what asks, for all threads: to make one takes longer than to ask."""
    return httpx.Client(timeout=_SECONDS)


class LivySender:
    """Starts transfers on a cluster.

    Parameters
    ----------
    config : Config
        The configuration in force: ``portal.livy_url``, ``webhdfs_url``, ``namenode_url``, ``hadoop_user``,
        ``livy_spark``.

    Raises
    ------
    ConfigError
        If an address is missing.
    """

    def __init__(self, config: Config) -> None:
        portal = config.portal
        for key in ("livy_url", "webhdfs_url", "namenode_url"):
            if not getattr(portal, key):
                raise ConfigError(f"portal.transfer is livy, and portal.{key} is empty.", "Set it.")
        self._config, self._records = config, Records(config)
        self._livy = portal.livy_url.rstrip("/")
        self._webhdfs = portal.webhdfs_url.rstrip("/").removesuffix(_PREFIX) + _PREFIX
        self._user = portal.hadoop_user or "fink"

    def submit(self, selection: Selection, visitor: str) -> Record:
        """Upload the job, and start it.

        Raises
        ------
        UsageError
            If there are too many transfers.
        ServiceError
            If the cluster does not take it.
        """
        return begin(
            self._config,
            selection,
            visitor,
            standing_of=self._standing,
            start=lambda record: self._start(record, selection),
        )

    def look(self, record: Record) -> Progress:
        """Tell how far a transfer is, by the state and the log of its batch."""
        standing = record.ended or self._standing(record)
        if standing == "unknown":
            return Progress(standing)  # nor would it say what the log is
        keep_end(self._records, record, standing)
        try:
            answer = self._ask("GET", f"{self._livy}/batches/{record.batch}/log", params={"size": LOG_LINES})
        except ServiceError:
            return Progress(standing, "The cluster does not give the log.")
        lines = [str(line).rstrip("\n") for line in answer.get("log", [])]
        return replace(told(lines, is_running=True), standing=standing)

    def _standing(self, record: Record) -> Standing:
        if record.batch < 0:
            return "unknown"
        try:
            state = self._ask("GET", f"{self._livy}/batches/{record.batch}/state").get("state")
        except _NotThere:  # Livy forgets a batch some time after its end
            return "forgotten"
        except ServiceError:
            return "unknown"
        return STANDINGS.get(str(state), "unknown")

    def _start(self, record: Record, selection: Selection) -> Record:
        path = f"/user/{self._user}/fink_transfers/{record.topic}.py"
        self._upload(path)
        answer = self._ask(
            "POST",
            f"{self._livy}/batches",
            json={
                "file": f"{self._config.portal.namenode_url.rstrip('/')}{path}",
                "name": record.topic,
                "args": self._arguments(record.topic, selection),
                "conf": self._config.portal.livy_spark,
                "proxyUser": self._user,
            },
        )
        if not isinstance(answer.get("id"), int):
            raise ServiceError("The cluster's answer holds no batch number.", "Ask those who run it.")
        return replace(record, batch=answer["id"])

    def _arguments(self, topic: str, selection: Selection) -> list[str]:
        content = CONTENTS[selection.content].option.partition("=")[2]
        words = [
            f"-startDate={selection.start}", f"-stopDate={selection.stop}", f"-content={content}",
            f"-basePath={self._config.storage.online}", f"-topic_name={topic}",
            f"-kafka_bootstrap_servers={self._config.output_servers}",
        ]  # fmt: skip
        words += [f"-maxAlerts={MOST_ALERTS}", *(f"-fclass={name}" for name in selection.classes)]
        return words + [f"-extraCond={condition}" for _, condition in selection.lines]

    def _upload(self, path: str) -> None:
        """Write the job to HDFS: the name node says which data node takes it."""
        params = {"op": "CREATE", "user.name": self._user, "overwrite": "true"}
        job = Path(livy_job.__file__).read_bytes()
        try:
            first = _client().put(f"{self._webhdfs}{path}", params=params)
            where = first.headers.get("Location", "")
            if first.status_code != 307 or not where:
                raise ServiceError(f"The cluster's storage refuses the job: HTTP {first.status_code}.", _LATER)
            second = _client().put(where, content=job, headers={"Content-Type": "application/octet-stream"})
        except httpx.HTTPError as error:
            raise ServiceError(f"The cluster's storage does not answer: {type(error).__name__}.", _LATER) from error
        if second.status_code != 201:
            raise ServiceError(f"The cluster's storage refuses the job: HTTP {second.status_code}.", _LATER)

    def _ask(self, method: str, url: str, **further: Any) -> dict[str, Any]:
        try:
            answer = _client().request(method, url, headers={"X-Requested-By": self._user}, **further)
            answer.raise_for_status()
            content = answer.json()
        except httpx.HTTPStatusError as error:
            status = error.response.status_code
            kind = _NotThere if status == httpx.codes.NOT_FOUND else ServiceError
            raise kind(f"The cluster refuses the job: HTTP {status}.", _LATER) from error
        except (httpx.HTTPError, ValueError) as error:
            raise ServiceError(f"The cluster does not answer: {type(error).__name__}.", _LATER) from error
        return content if isinstance(content, dict) else {}


_LATER = "Your selection is kept in the address of this page: submit it again later."
