"""The broker's topics as an alert stream of TOM Toolkit, for ``manage.py readstreams``."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Mapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import Error, InterfaceError, OperationalError, close_old_connections, connection, connections
from tom_alertstreams.alertstreams.alertstream import AlertStream

from . import targets
from .alerts.reader import AlertReader, ReaderError, Received
from .handlers import alert_logger, alert_with_photometry
from .kept import keep
from .stopping import stopping

__all__ = ["FinkAlertStream", "alert_logger", "alert_with_photometry"]

logger = logging.getLogger(__name__)

#: Key of the handler in TOPIC_HANDLERS; it gets the alerts of all topics.
HANDLER = "fink.stream"
Handler = Callable[[Mapping[str, Any], str], None]

#: A handler that raises an error is called again after so many seconds each, then the alert is kept.
RETRY_SECONDS = (0.5, 2.0, 5.0)
#: A database or a disk that is away is tried again after this, doubled each time up to the second (s).
WAIT_SECONDS, LONGEST_WAIT_SECONDS = 1.0, 30.0

_HEADER = "FinkAlertStream.listen"


class FinkAlertStream(AlertStream):
    """Reads topics of the broker and hands each alert to a function.

    An alert is done with when the function has returned, and only then will it not come again. One whose function goes
    on raising errors, or that cannot be decoded, is kept in a file (:mod:`tom_fink.kept`); ``manage.py fink_replay``
    hands those on again. While Kafka or the database is away, it waits.

    Options of the entry in ``ALERT_STREAMS``: ``URL`` (``host:port`` of Kafka), ``GROUP_ID``, ``USERNAME``, ``TOPIC``
    (several are separated by commas), ``TOPIC_HANDLERS`` (``{"fink.stream": "module.function"}``, called with alert
    and topic), ``MAX_POLL_NUMBER`` (ends after so many polls, with alerts or without), ``TIMEOUT`` (s, of a poll), and
    optionally ``PASSWORD``.

    Raises
    ------
    django.core.exceptions.ImproperlyConfigured
        If an option is missing or wrong.
    """

    required_keys = ("URL", "GROUP_ID", "USERNAME", "TOPIC", "TOPIC_HANDLERS", "MAX_POLL_NUMBER", "TIMEOUT")
    allowed_keys = (*required_keys, "PASSWORD")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        handlers = kwargs.get("TOPIC_HANDLERS", {})
        if not isinstance(handlers, Mapping) or not all(isinstance(name, str) for name in handlers.values()):
            raise ImproperlyConfigured(f'TOPIC_HANDLERS must be like {{"{HANDLER}": "module.function"}}.')
        try:
            super().__init__(*args, **kwargs)
        except ImportError as error:
            raise ImproperlyConfigured(f"TOPIC_HANDLERS names a function that cannot be imported: {error}.") from error
        self.max_poll_number = int(_number("MAX_POLL_NUMBER", self.max_poll_number))
        self.timeout = _number("TIMEOUT", self.timeout)
        self.topics = _topics(self.topic)
        for key in ("URL", "GROUP_ID"):
            if not isinstance(kwargs[key], str) or not kwargs[key].strip():
                raise ImproperlyConfigured(f"{key} is empty: give it in the OPTIONS of FinkAlertStream.")
        if not callable(self.alert_handler.get(HANDLER)):
            raise ImproperlyConfigured(f'TOPIC_HANDLERS must name a function for "{HANDLER}".')
        self.handled = self.kept = 0
        self._stop = threading.Event()
        self._make_lists()
        stopping.install()

    @property
    def handler(self) -> Handler:
        """The function that alerts are handed to."""
        return self.alert_handler[HANDLER]

    def stop(self) -> None:
        """Let listening end after the alert in hand."""
        self._stop.set()

    def listen(self) -> None:
        """Hand on alerts until ``MAX_POLL_NUMBER`` polls are done, it is told to stop, or the settings prove wrong."""
        with stopping.listening(self._stop):
            try:
                self._listen()
            except ReaderError as error:
                logger.error("%s ends: %s", _HEADER, error)
            finally:
                logger.info("%s closed: %d alerts handled, %d kept in files", _HEADER, self.handled, self.kept)
                connections.close_all()

    def _listen(self) -> None:
        password = getattr(self, "password", None)
        login = {"username": self.username or None, "password": password or None}
        with AlertReader(self.url, self.group_id, self.topics, **login, stop=self._stop, say=_say) as reader:
            for call in range(self.max_poll_number):
                logger.info("%s opening stream: %s with group_id: %s (call number: %d)", *self._told(call))
                received = reader.poll(self.timeout)
                if self._stop.is_set() and received is None:
                    return
                if received is None:
                    logger.info("No alerts received")
                elif self._take(received):
                    reader.done(received)
                    reader.commit()
                if self._stop.is_set():
                    return

    def _told(self, call: int) -> tuple[str, str, str, int]:
        return _HEADER, self.url, self.group_id, call

    def _take(self, received: Received) -> bool:
        """Handle a message, or keep it; return False if told to stop before either was done."""
        reason = received.error or self._hand_over(received)
        if reason is None:
            return False
        if not reason:
            self.handled += 1
            return True
        return self._keep(received, reason)

    def _hand_over(self, received: Received) -> str | None:
        """Hand an alert on; return why it could not be handled, an empty text if it was, None if told to stop."""
        where, failures = f"{received.topic} {received.partition}:{received.offset}", 0
        while True:
            close_old_connections()
            try:
                self.handler(received.alert, received.topic)
                return ""
            except Exception as error:
                if _is_database_away(error):
                    if not self._wait_for_database(error):
                        return None
                    continue
                reason = f"{type(error).__name__}: {error}"
                if failures == len(RETRY_SECONDS):
                    logger.exception("%s: the handler failed for the alert %s", _HEADER, where)
                    return reason
            wait = RETRY_SECONDS[failures]
            failures += 1
            logger.warning("%s: the handler failed for the alert %s, again in %s s: %s", _HEADER, where, wait, reason)
            if self._stop.wait(wait):
                return None

    def _wait_for_database(self, error: BaseException) -> bool:
        """Wait until the database answers; return False if told to stop."""
        logger.error("%s waits for the database: %s", _HEADER, error)
        wait = WAIT_SECONDS
        while not self._stop.wait(wait):
            if not _is_database_away(None):
                return True
            wait = min(2 * wait, LONGEST_WAIT_SECONDS)
        return False

    def _keep(self, received: Received, reason: str) -> bool:
        wait = WAIT_SECONDS
        while True:
            try:
                file = keep(received, reason)
            except OSError as error:
                logger.error("%s: an alert that failed cannot be kept, again in %s s: %s", _HEADER, wait, error)
                if self._stop.wait(wait):
                    return False
                wait = min(2 * wait, LONGEST_WAIT_SECONDS)
                continue
            self.kept += 1
            logger.error("%s: alert kept in %s (%s); manage.py fink_replay hands it on again", _HEADER, file, reason)
            return True

    def _make_lists(self) -> None:
        """Make the lists of the topics; where the database is away they are made with the first target."""
        try:
            for topic in self.topics:
                targets.list_of(topic)
        except Error as error:
            logger.warning("The lists of targets are not made yet: %s", error)


def _is_database_away(error: BaseException | None) -> bool:
    """Tell whether it was the database that failed, and not the handler; without an error, whether it is away now."""
    if error is not None:
        if not isinstance(error, OperationalError | InterfaceError):
            return False
        if "locked" in str(error):  # SQLite, while somebody else writes for long
            return True
    close_old_connections()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        connection.close()
        return True
    return False


def _say(text: str) -> None:
    logger.warning("%s: %s", _HEADER, text)


def _number(key: str, value: Any) -> float:
    """Return a number given as such or as text, such as ``1e10``."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 < number < math.inf:
        raise ImproperlyConfigured(f"{key} of FinkAlertStream must be a positive number, not {value!r}.")
    return number


def _topics(given: Any) -> list[str]:
    """Return the names of topics in text separated by commas, or in a list."""
    names = given.split(",") if isinstance(given, str) else given or []
    found = list(dict.fromkeys(name.strip() for name in names if isinstance(name, str) and name.strip()))
    if not found:
        raise ImproperlyConfigured("TOPIC of FinkAlertStream is empty: give the name of a topic.")
    return found
