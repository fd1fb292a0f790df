"""One webhook at work, in a thread of its own: read, plan, post, settle."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import Message

from fink_broker.errors import DataError
from fink_broker.notify.backoff import FIRST_SECONDS, LONGEST_SECONDS, Backoff
from fink_broker.notify.formats import Post, body
from fink_broker.notify.intake import Intake
from fink_broker.notify.notice import Notice, header_texts, read_notice
from fink_broker.notify.pace import WINDOW_SECONDS, Pace
from fink_broker.notify.planner import Planner
from fink_broker.notify.posted import Posted
from fink_broker.notify.poster import Outcome, Poster
from fink_broker.notify.scrub import scrub
from fink_broker.notify.status import Status, iso_now
from fink_broker.notify.webhook import GAP_SECONDS, Webhook

log = logging.getLogger(__name__)

#: Alerts held at once, and so the most a summary tells of; the rest stays in Kafka.
MOST_WAITING = 5000
_MOST_READ = 100


@dataclass(frozen=True)
class Timing:
    """How a webhook spends its time, in seconds.

    Parameters
    ----------
    window : float
        In which there are at most ``per_minute`` posts.
    first_pause, longest_pause : float
        After failures.
    connect, answer : float
        Time-outs of a request.
    topics, topics_missing : float
        Between two looks for new partitions, and for topics that do not exist yet.
    commit_again : float
        Between two commits of offsets that did not change.
    """

    window: float = WINDOW_SECONDS
    first_pause: float = FIRST_SECONDS
    longest_pause: float = LONGEST_SECONDS
    connect: float = 5.0
    answer: float = 10.0
    topics: float = 60.0
    topics_missing: float = 2.0
    commit_again: float = 3600.0


class Channel(threading.Thread):
    """Tells one webhook of the alerts on its topics.

    An alert is settled when the far end has accepted or refused it; only then is its offset committed. While the far
    end is away, alerts are read on up to a bound, so that the summary after an outage tells of all of them.

    Parameters
    ----------
    webhook : Webhook
        Whom.
    kafka : mapping
        From :func:`fink_broker.notify.intake.kafka_options`.
    folder : Path
        Where its files are (``<state>/notify``).
    timing : Timing
        How it spends its time.

    Attributes
    ----------
    stop : threading.Event
        Set to end it after the request that is under way.
    status : Status
        What it has done and is doing.
    crashed : bool
        Whether it ended by a fault of the program.
    """

    def __init__(
        self, webhook: Webhook, kafka: Mapping[str, object], folder: Path, timing: Timing | None = None
    ) -> None:
        super().__init__(name=f"webhook {webhook.name}", daemon=True)
        self.webhook, self.stop, self.crashed = webhook, threading.Event(), False
        self.status = Status(folder, webhook.name, {"kind": webhook.kind, "topics": list(webhook.topics)})
        self._kafka, self._timing = kafka, timing or Timing()
        self._posted = Posted(folder / f"{webhook.name}.posted")
        pace = Pace(webhook.per_minute, self._timing.window, GAP_SECONDS[webhook.kind])
        self._planner = Planner(pace, webhook.stale_hours * 3600.0)
        self._poster = Poster(webhook, self._timing.connect, self._timing.answer)
        self._backoff = Backoff(self._timing.first_pause, self._timing.longest_pause)
        #: read and not settled, in order, by identity
        self._waiting: dict[str, Notice] = {}
        self._not_before = self._commit_at = 0.0
        self._looked = self._last_read = float("-inf")

    def run(self) -> None:
        """Work until told to stop."""
        try:
            intake = Intake(self.webhook, self._kafka, self.status.counters.begun)
            try:
                while not self.stop.is_set():
                    self._step(intake)
                intake.commit(self._waiting.values())
            finally:
                intake.close()
            self.status.counters.doing = "stopped"
        except Exception as error:
            self.crashed = True
            self.status.failed(f"the notifier's own fault: {type(error).__name__}, see its log")
            self.status.counters.doing = "crashed"
            log.error("webhook %s: %s", self.webhook.name, scrub(traceback.format_exc(), self.webhook.url))
        finally:
            self.status.save(at_once=True)

    def _step(self, intake: Intake) -> None:
        pause = self._timing.topics_missing if intake.missing or intake.trouble else self._timing.topics
        if time.monotonic() - self._looked >= pause:
            intake.refresh()
            self._looked = time.monotonic()
        post, wait = self._plan(intake)
        room = min(_MOST_READ, MOST_WAITING - len(self._waiting))
        if room == 0 and post is None:
            self.stop.wait(min(wait, 0.2))
        for message in intake.read(room, 0.0 if post else min(wait, 0.2)) if room else ():
            self._last_read = time.monotonic()
            self._take(message)
        if post is not None:
            self._tell(post)
        self._settle(intake)

    def _plan(self, intake: Intake) -> tuple[Post | None, float]:
        now = time.monotonic()
        if now < self._not_before:
            return None, self._not_before - now
        reading = len(self._waiting) < MOST_WAITING and (intake.lag() > 0 or now - self._last_read < 1.0)
        return self._planner.next(list(self._waiting.values()), now, time.time(), more_to_come=reading)

    def _take(self, message: Message) -> None:
        """Read a message; a repeat is dropped, one that cannot be read is set aside."""
        place = message.topic(), message.partition(), message.offset()
        headers = message.headers() or []
        kind, milliseconds = message.timestamp()
        try:
            sent = milliseconds / 1000.0 if kind else None
            notice = read_notice(message.key(), message.value(), headers, place=place, sent=sent)
        except DataError as error:
            self.status.set_aside_unreadable(place, header_texts(headers), error.message)
            self.status.failed(f"a message cannot be decoded: {error.message[:200]}")
            return
        if notice.identity in self._posted or notice.identity in self._waiting:
            self.status.counters.repeats += 1
            return
        self._waiting[notice.identity] = notice

    def _tell(self, post: Post) -> None:
        outcome = self._poster.post(body(self.webhook, post))
        counters = self.status.counters
        if outcome.result == "later":
            pause = self._backoff.failed(outcome.asked_seconds)
            self._not_before = time.monotonic() + pause
            counters.retries += 1
            self.status.failed(outcome.reason)
            log.log(
                logging.WARNING if self._backoff.failures == 1 else logging.INFO,
                "webhook %s: %s; next try in %.0f s",
                self.webhook.name,
                outcome.reason,
                pause,
            )
            return
        self._backoff.succeeded()
        self._planner.pace.note_post(time.monotonic())
        self._finish(post, outcome)

    def _finish(self, post: Post, outcome: Outcome) -> None:
        """Count a post that was accepted or refused; its alerts wait no longer."""
        counters, number = self.status.counters, len(post.notices)
        if outcome.result == "refused":
            self.status.set_aside(post.notices, outcome.reason)
            self.status.failed(outcome.reason)
            log.warning("webhook %s refused %d alerts: %s", self.webhook.name, number, outcome.reason)
        elif post.kind == "alert":
            counters.posted += 1
        else:
            counters.summaries += 1
            counters.summarised += number
        counters.last_post_at = iso_now()
        self._posted.add(notice.identity for notice in post.notices)
        for notice in post.notices:
            del self._waiting[notice.identity]

    def _settle(self, intake: Intake) -> None:
        """Commit what is done, and tell how things stand."""
        now = time.monotonic()
        again = now >= self._commit_at
        if intake.commit(self._waiting.values(), again=again) and again:
            self._commit_at = now + self._timing.commit_again
        counters = self.status.counters
        counters.waiting, counters.lag = len(self._waiting), intake.lag()
        counters.begun = sorted(intake.begun)
        counters.doing = self._doing(intake)
        self.status.save()

    def _doing(self, intake: Intake) -> str:
        if intake.trouble:
            return f"waiting for {intake.trouble}"
        if self._backoff.failures:
            return f"trying again: {self.status.counters.last_error}"
        if intake.missing:
            return f"waiting for the topic {', '.join(intake.missing)}"
        return "gathering a summary" if len(self._waiting) > 1 else "following"
