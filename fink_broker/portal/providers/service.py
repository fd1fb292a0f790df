"""One service outside: when it is asked, how often, and for how long it is left alone after it failed."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections import OrderedDict
from typing import Any, ClassVar, Generic, TypeVar

from fink_broker.portal.providers.away import ServiceAway
from fink_broker.portal.providers.outside import Ask, CouldNotFetch, Outside, Reply

log = logging.getLogger(__name__)

OK = 200
NOT_FOUND = 404
#: worth a second try: overloaded or broken for a moment; other 4xx mean that the request is wrong
AGAIN = {408, 429, *range(500, 600)}
#: tries of a request
TRIES = 2
#: pause before the second try in seconds
BACK_OFF = 0.3
#: seconds for which a service that failed is left alone
REST_SECONDS = 60.0
#: requests to one service at a time: a slow one must not hold all threads of the API
SIDE_BY_SIDE = 4

K = TypeVar("K")
V = TypeVar("V")


class Memory(Generic[K, V]):
    """Answers kept for a while, the latest used ones.

    Parameters
    ----------
    most : int
        How many.
    seconds : float
        How long.
    """

    def __init__(self, most: int, seconds: float) -> None:
        self._most, self._seconds = most, seconds
        self._kept: OrderedDict[K, tuple[float, V]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: K) -> V | None:
        """Return what is kept under a key, or None."""
        with self._lock:
            found = self._kept.get(key)
            if found is None or time.monotonic() > found[0]:
                return None
            self._kept.move_to_end(key)
            return found[1]

    def keep(self, key: K, value: V) -> V:
        """Keep a value and return it."""
        with self._lock:
            self._kept[key] = time.monotonic() + self._seconds, value
            self._kept.move_to_end(key)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return value


class Knowing(Generic[K, V]):
    """What asks a service outside, and remembers its answers; the base of those that know one.

    Parameters
    ----------
    url : str
        Its address.
    outside : Outside
        What speaks HTTP.
    seconds : float
        Time for an answer.
    """

    #: its name, as users know it
    name: ClassVar[str]
    #: limit on an answer
    most_bytes: ClassVar[int]
    #: answers remembered, and for how long
    most_known: ClassVar[int]
    known_seconds: ClassVar[float]

    def __init__(self, url: str, outside: Outside, seconds: float) -> None:
        self._url = url.rstrip("/")
        self._service = Service(self.name, outside, seconds, self.most_bytes)
        self._known: Memory[K, V] = Memory(self.most_known, self.known_seconds)


class Service:
    """A service outside.

    Parameters
    ----------
    name : str
        As users know it.
    outside : Outside
        What speaks HTTP.
    seconds : float
        Time for an answer, all tries together.
    most_bytes : int
        Limit on an answer.
    rest_seconds : float
        How long it is left alone after it failed.
    """

    def __init__(
        self, name: str, outside: Outside, seconds: float, most_bytes: int, rest_seconds: float = REST_SECONDS
    ) -> None:
        self.name = name
        self._outside, self._seconds, self._most_bytes = outside, seconds, most_bytes
        self._rest_seconds = rest_seconds
        self._places = threading.Semaphore(SIDE_BY_SIDE)
        self._lock = threading.Lock()
        self._failure = ""
        self._resting_until = 0.0

    def ask(self, ask: Ask) -> Reply:
        """Return an answer whose status is below 500.

        Raises
        ------
        ServiceAway
            If there is none, or the service failed a moment ago and is left alone.
        """
        deadline = time.monotonic() + self._seconds
        if not self._places.acquire(timeout=self._seconds):
            raise ServiceAway(self.name, "too many requests wait for it")
        try:
            # looked at with a place: it may have failed while this request waited
            return self._try(ask, deadline, self._tries_left())
        finally:
            self._places.release()

    def ask_json(self, ask: Ask) -> Any:
        """Return an answer that is JSON, None where the service knows nothing of what was asked (404).

        Raises
        ------
        ServiceAway
            If there is none, or it is no JSON.
        """
        reply = self.ask(ask)
        if reply.status == NOT_FOUND:
            return None
        if reply.status != OK:
            raise self.makes_no_sense(f"its status is {reply.status}")
        try:
            return json.loads(reply.body)
        except (ValueError, RecursionError) as error:
            raise self.makes_no_sense("it is no JSON") from error

    def makes_no_sense(self, why: str) -> ServiceAway:
        """Return the error for an answer that cannot be understood."""
        return ServiceAway(self.name, f"its answer makes no sense, {why}")

    def _tries_left(self) -> int:
        """Return how often a request may be tried, after a rest once, and by one request only."""
        with self._lock:
            if not self._failure:
                return TRIES
            now = time.monotonic()
            if now < self._resting_until:
                raise ServiceAway(self.name, self._failure)
            self._resting_until = now + self._seconds
            return 1

    def _try(self, ask: Ask, deadline: float, tries: int) -> Reply:
        failure = ""
        for attempt in range(tries):
            left = deadline - time.monotonic() - (BACK_OFF if attempt else 0)
            if left <= 0:
                break
            if attempt:
                time.sleep(BACK_OFF)
            try:
                reply = self._outside.fetch(ask, left, self._most_bytes)
            except CouldNotFetch as error:
                failure = str(error)
                continue
            if reply.status not in AGAIN:
                self._succeeded()
                return reply
            failure = f"it answers with status {reply.status}"
        failure = failure or "it did not answer in time"
        self._failed(failure)
        raise ServiceAway(self.name, failure)

    def _succeeded(self) -> None:
        with self._lock:
            if self._failure:
                log.info("%s answers again", self.name)
            self._failure = ""

    def _failed(self, failure: str) -> None:
        with self._lock:
            self._failure, self._resting_until = failure, time.monotonic() + self._rest_seconds
        log.warning("%s could not be asked: %s; left alone for %g s", self.name, failure, self._rest_seconds)
