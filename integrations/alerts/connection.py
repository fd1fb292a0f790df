"""What a reader knows of Kafka: whether it answers, has the topics, and lets us in."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException

#: Topics of the broker begin with this.
PREFIX = "fink_"

#: A topic that Kafka does not list, or a login it refuses, for so many seconds is a mistake of ours. Just after its
#: start Kafka may not know yet what it has, and whom.
CONFIRM_SECONDS = 3.0
#: Waiting is done in pieces, so that a signal or a stop is noticed soon.
PIECE_SECONDS = 0.25

_NO_TOPIC = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._UNKNOWN_PARTITION)
_NO_ANSWER = (
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._RESOLVE,
    KafkaError._TIMED_OUT,
    KafkaError._WAIT_COORD,
)
_FORBIDDEN = {
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "read {topics}",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "use the group {group}: choose another name for it",
}


class ReaderError(Exception):
    """Reading cannot go on until somebody changes the settings; the text says in one sentence which."""


class TopicMissing(ReaderError):
    """A topic does not exist."""


class LoginRefused(ReaderError):
    """User or password are wrong."""


class Connection:
    """Tells passing troubles from mistakes in the settings, and says each trouble once.

    Parameters
    ----------
    servers, group : str
        Address of Kafka and name of the group.
    topics : sequence of str
        Names of the topics.
    user : str or None
        Who logs in, if anybody.
    stop : threading.Event
        Ends a wait.
    say : callable
        Gets one line.
    """

    def __init__(
        self,
        servers: str,
        group: str,
        topics: Sequence[str],
        user: str | None,
        *,
        stop: threading.Event,
        say: Callable[[str], None],
    ) -> None:
        self._servers, self._group, self._topics, self._user = servers, group, tuple(topics), user
        self._stop, self._say = stop, say
        self._is_sure = False
        self._is_told = False
        self._reason = ""
        self._said: set[str] = set()
        #: When the login was refused first and last since Kafka answered.
        self._refused: tuple[float, float] | None = None

    def check(self, consumer: Consumer, deadline: float) -> None:
        """Make sure that Kafka answers and has the topics, unless nothing spoke against it since the last time.

        Parameters
        ----------
        consumer : confluent_kafka.Consumer
            Asks Kafka.
        deadline : float
            Until when to wait for an answer (s, of ``time.monotonic``).

        Raises
        ------
        TopicMissing
            If a topic does not come to be within a few seconds.
        LoginRefused
            If Kafka goes on refusing the login.
        """
        if self._refused and self._refused[1] - self._refused[0] > CONFIRM_SECONDS:
            raise LoginRefused(f"Kafka at {self._servers} refuses the user {self._user}: check user and password.")
        if self._is_sure:
            return
        since = None
        while not self._stop.is_set():
            try:
                # even a poll without patience asks for long enough to get an answer
                patience = min(max(deadline - time.monotonic(), PIECE_SECONDS), 1.0)
                there = consumer.list_topics(timeout=patience).topics
            except KafkaException as error:
                self._say_away(error.args[0])
                return
            missing = [name for name in self._topics if name not in there or there[name].error is not None]
            if not missing:
                self._rest_assured()
                return
            since = since or time.monotonic()
            if time.monotonic() - since > CONFIRM_SECONDS:
                raise TopicMissing(self._about_missing(missing, there))
            self._stop.wait(PIECE_SECONDS)

    def note(self, error: KafkaError) -> None:
        """Take what the client says of its connections."""
        if error.code() == KafkaError._AUTHENTICATION:
            now = time.monotonic()
            self._refused = (self._refused[0] if self._refused else now, now)
            self._is_sure = False
        elif error.code() in _NO_ANSWER:
            self._reason = error.str()
            self._is_sure = False

    def judge(self, error: KafkaError) -> None:
        """Take an error that came instead of a message, or of an answer.

        Raises
        ------
        ReaderError
            If the user has no right to what he asks for.
        """
        if error.code() in _FORBIDDEN:
            what = _FORBIDDEN[error.code()].format(topics=", ".join(self._topics), group=self._group)
            who = self._user or "anybody without a password"
            raise ReaderError(f"Kafka at {self._servers} does not let {who} {what}.")
        if error.code() in _NO_TOPIC:
            self._is_sure = False
            return
        self.note(error)
        if error.code() not in _NO_ANSWER and error.name() not in self._said:
            self._said.add(error.name())
            self._say(f"Kafka at {self._servers}: {error.str()}.")

    def _rest_assured(self) -> None:
        if self._is_told:
            self._say(f"Kafka at {self._servers} answers.")
        self._is_sure, self._is_told, self._refused = True, False, None

    def _say_away(self, error: KafkaError) -> None:
        if not self._is_told:
            self._is_told = True
            self._say(f"Waiting for Kafka at {self._servers} ({self._reason or error.str()}).")

    def _about_missing(self, missing: Iterable[str], there: dict[str, Any]) -> str:
        known = ", ".join(sorted(name for name in there if name.startswith(PREFIX))) or "none"
        who = f" for {self._user}" if self._user else ""
        return (
            f"Kafka at {self._servers} has no topic {', '.join(missing)}{who}; "
            f"topics there that begin with {PREFIX}: {known}."
        )
