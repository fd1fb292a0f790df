"""Topics the simulator writes to: created in time, however late Kafka comes up."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from concurrent.futures import wait

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from fink_broker.errors import ServiceError, UsageError

#: largest message in bytes; what the embedded Kafka takes
MAX_MESSAGE_BYTES = 32 * 1024 * 1024
_PAUSE_SECONDS = 1.0
_PIECE = 0.2
_ANSWER_SECONDS = 10.0
_NAME = re.compile(r"[A-Za-z0-9._-]{1,249}")
#: what an admin request meets while Kafka is away or coming up
_AWAY = {
    KafkaError._TRANSPORT,
    KafkaError._TIMED_OUT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._RESOLVE,
    KafkaError.REQUEST_TIMED_OUT,
    KafkaError.NOT_CONTROLLER,
    KafkaError.BROKER_NOT_AVAILABLE,
    KafkaError.INVALID_REPLICATION_FACTOR,  # no broker has registered yet
}

Say = Callable[[str], None]


def quiet_options(servers: str) -> dict[str, object]:
    """Return options of a client that tries again soon and does not write to standard error."""
    return {
        "bootstrap.servers": servers,
        "client.id": "fink-simulator",
        "reconnect.backoff.max.ms": 1000,
        "socket.connection.setup.timeout.ms": 5000,
        "log_level": 0,
        "error_cb": lambda _error: None,
    }


class Topics:
    """Creates topics that do not exist.

    Parameters
    ----------
    servers : str
        ``host:port`` list.
    partitions : int
        Of a topic it creates; one that exists keeps its own.
    stop : threading.Event
        Ends the waiting for Kafka.
    say : callable
        Told that Kafka is waited for.
    """

    def __init__(self, servers: str, partitions: int, stop: threading.Event, say: Say) -> None:
        self._servers, self._partitions, self._stop, self._say = servers, partitions, stop, say
        self._admin = AdminClient(quiet_options(servers))
        self.there: list[str] = []

    def wait_for_kafka(self) -> bool:
        """Wait until Kafka answers; return False if told to stop first."""
        return self._patiently(lambda: self._admin.list_topics(timeout=2.0))

    def ensure(self, name: str) -> bool:
        """Create a topic unless it exists; return False if told to stop before Kafka could.

        Raises
        ------
        UsageError
            If the name is none a topic can have.
        ServiceError
            If Kafka refuses.
        """
        if name in self.there:
            return True
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} cannot be the name of a topic to write to.",
                "simulator.topic takes letters, digits, '.', '_' and '-', no pattern.",
            )
        made = self._patiently(lambda: self._create(name))
        if made:
            self.there.append(name)
        return made

    def forget(self, name: str) -> None:
        """Look again whether a topic exists before the next alert is sent to it."""
        if name in self.there:
            self.there.remove(name)

    def _create(self, name: str) -> None:
        topic = NewTopic(name, self._partitions, config={"max.message.bytes": str(MAX_MESSAGE_BYTES)})
        answer = self._admin.create_topics([topic], request_timeout=_ANSWER_SECONDS)[name]
        while not wait([answer], timeout=_PIECE).done:
            if self._stop.is_set():
                return
        try:
            answer.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise

    def _patiently(self, request: Callable[[], object]) -> bool:
        """Repeat a request until Kafka is there to answer; return False if told to stop first."""
        told = False
        while not self._stop.is_set():
            try:
                request()
                return not self._stop.is_set()
            except KafkaException as error:
                reason: KafkaError = error.args[0]
                if reason.code() not in _AWAY:
                    raise ServiceError(f"Kafka at {self._servers} refuses: {reason.str()}.") from error
                if not told:
                    self._say(f"waiting for Kafka at {self._servers}")
                    told = True
                self._stop.wait(_PAUSE_SECONDS)
        return False
