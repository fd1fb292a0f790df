"""The stream: its options, what it does with each message, and what is kept."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, OperationalError
from django.test import override_settings
from stream_messages import ACTION, HANDLE, NAME, OPTIONS, TOPIC, message, unreadable
from tom_alertstreams.alertstreams.alertstream import get_alert_streams
from tom_fink import alertstream, kept
from tom_fink.alerts.reader import LoginRefused, Received, TopicMissing
from tom_targets.models import Target, TargetList


class Reader:
    """Stands in for what reads Kafka: gives what the test put in, and notes what is done and committed."""

    def __init__(self, incoming: list[Any]) -> None:
        self.incoming = list(incoming)
        self.asked: dict[str, Any] = {}
        self.done_with: list[int] = []
        self.committed: list[int] = []
        self.is_closed = False

    def __call__(self, servers: str, group: str, topics: list[str], **rest: Any) -> Reader:
        self.asked = {"servers": servers, "group": group, "topics": topics, **rest}
        return self

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.is_closed = True

    def poll(self, timeout_seconds: float) -> Received | None:
        self.asked["timeout"] = timeout_seconds
        given = self.incoming.pop(0) if self.incoming else None
        if isinstance(given, Exception):
            raise given
        return given() if callable(given) else given

    def done(self, received: Received) -> None:
        self.done_with.append(received.offset)

    def commit(self) -> None:
        self.committed = list(self.done_with)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with override_settings(FINK_KEPT_ALERTS_DIR=str(tmp_path / "kept")):
        yield tmp_path / "kept"


@pytest.fixture
def listen(committed_database: None, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Let a stream listen to what a test has, without waiting between attempts; gives reader and stream."""
    monkeypatch.setattr(alertstream, "RETRY_SECONDS", (0.0, 0.0))
    monkeypatch.setattr(alertstream, "WAIT_SECONDS", 0.001)

    def run(incoming: list[Any], action: Callable[[dict, str], None] | None = None, **options: Any) -> SimpleNamespace:
        handlers = {"fink.stream": HANDLE} if action else OPTIONS["TOPIC_HANDLERS"]
        ACTION.append(action or (lambda *_: None))
        reader = Reader(incoming)
        monkeypatch.setattr(alertstream, "AlertReader", reader)
        polls = {"MAX_POLL_NUMBER": len(incoming)}
        stream = alertstream.FinkAlertStream(**{**OPTIONS, "TOPIC_HANDLERS": handlers, **polls, **options})
        run.stream = stream
        stream.listen()
        return SimpleNamespace(stream=stream, reader=reader)

    return run


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name.startswith("tom_fink")]


def test_options_are_taken_as_numbers_or_text(database: None) -> None:
    (stream,) = get_alert_streams([{"NAME": NAME, "OPTIONS": OPTIONS}])
    assert (stream.max_poll_number, stream.timeout, stream.topics) == (10_000_000_000, 0.5, [TOPIC])
    several = alertstream.FinkAlertStream(
        **{**OPTIONS, "TOPIC": f"{TOPIC}, fink_vra_ztf,{TOPIC}", "MAX_POLL_NUMBER": 1e10, "TIMEOUT": 10}
    )
    assert several.topics == [TOPIC, "fink_vra_ztf"]
    assert set(TargetList.objects.values_list("name", flat=True)) == {TOPIC, "fink_vra_ztf"}


@pytest.mark.parametrize("missing", [key for key in OPTIONS])
def test_a_missing_option_is_named(database: None, missing: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=missing):
        alertstream.FinkAlertStream(**{key: value for key, value in OPTIONS.items() if key != missing})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"MAX_POLL_NUMBER": "many"}, "MAX_POLL_NUMBER .* positive number, not 'many'"),
        ({"TIMEOUT": 0}, "TIMEOUT .* positive number"),
        ({"TIMEOUT": float("inf")}, "TIMEOUT .* positive number"),
        ({"URL": None}, "URL is empty"),
        ({"GROUP_ID": " "}, "GROUP_ID is empty"),
        ({"TOPIC": " , "}, "TOPIC .* empty"),
        ({"TOPIC": None}, "TOPIC .* empty"),
        ({"TOPIC_HANDLERS": {}}, "fink.stream"),
        ({"TOPIC_HANDLERS": None}, "must be like .*fink.stream"),
        ({"TOPIC_HANDLERS": {"fink.stream": print}}, "must be like .*fink.stream"),
        ({"TOPIC_HANDLERS": {"fink.stream": "tom_fink.alertstream.HANDLER"}}, "must name a function"),
        ({"TOPIC_HANDLERS": {"fink.stream": "tom_fink.no_such.function"}}, "cannot be imported"),
    ],
)
def test_a_wrong_option_is_told_in_a_sentence(database: None, changes: dict, told: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=told) as raised:
        alertstream.FinkAlertStream(**{**OPTIONS, "PASSWORD": "hush", **changes})
    assert "hush" not in str(raised.value)


def test_alerts_become_targets_and_are_committed(listen: Callable, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    end = listen([message(1), None, message(2)], **{"PASSWORD": "hush"})
    assert sorted(Target.objects.values_list("name", flat=True)) == ["ZTF21aaaaaa1", "ZTF21aaaaaa2"]
    assert end.reader.committed == [1, 2]
    assert end.reader.is_closed
    asked = {key: end.reader.asked[key] for key in ("servers", "group", "topics", "username", "password", "timeout")}
    assert asked == {
        "servers": "kafka.test:9092", "group": "group", "topics": [TOPIC], "username": "astro", "password": "hush",
        "timeout": 0.5,
    }  # fmt: skip
    said = lines(caplog)
    opening = "FinkAlertStream.listen opening stream: kafka.test:9092 with group_id: group (call number: {})"
    assert [line for line in said if "opening" in line] == [opening.format(number) for number in range(3)]
    assert said.count("No alerts received") == 1
    assert said[-1] == "FinkAlertStream.listen closed: 2 alerts handled, 0 kept in files"
    assert "hush" not in caplog.text


def test_the_handler_gets_alert_and_topic(listen: Callable) -> None:
    got: list[tuple] = []
    listen([message(1), message(2, topic="fink_grb_bronze")], lambda alert, topic: got.append((alert, topic)))
    assert got == [(message(1).alert, TOPIC), (message(2).alert, "fink_grb_bronze")]


def test_a_handler_that_fails_once_is_called_again(listen: Callable, folder: Path) -> None:
    calls: list[str] = []

    def fail_first(alert: dict, _topic: str) -> None:
        calls.append(alert["objectId"])
        if len(calls) == 1:
            raise RuntimeError("not today")

    end = listen([message(1), message(2)], fail_first)
    assert calls == ["ZTF21aaaaaa1", "ZTF21aaaaaa1", "ZTF21aaaaaa2"]
    assert end.reader.committed == [1, 2]
    assert not folder.exists()


def test_what_fails_always_is_kept_whole_and_the_stream_goes_on(
    listen: Callable, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail_on_the_first(alert: dict, _topic: str) -> None:
        if alert["objectId"].endswith("1"):
            raise RuntimeError("never")

    end = listen([message(1), unreadable(2), message(3)], fail_on_the_first)
    assert end.reader.committed == [1, 2, 3]
    assert (end.stream.handled, end.stream.kept) == (1, 2)
    first, second = [kept.read(file) for file in kept.kept_files()]
    assert first == kept.Kept(TOPIC, message(1).key, message(1).value, "RuntimeError: never")
    assert second == kept.Kept(TOPIC, None, b"\x00nothing", "The message has no key.")
    assert sum("fink_replay" in line for line in lines(caplog)) == 2


def test_a_disk_that_takes_nothing_is_tried_again(listen: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    attempts: list[str] = []

    def keep(received: Received, reason: str) -> Path:
        attempts.append(reason)
        if len(attempts) < 3:
            raise OSError("No space left on device")
        return kept.keep(received, reason)

    monkeypatch.setattr(alertstream, "keep", keep)
    end = listen([unreadable(1)])
    assert len(attempts) == 3
    assert end.reader.committed == [1]


def test_a_database_that_is_away_is_waited_for(listen: Callable, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long it takes; a locked SQLite counts as well."""
    calls: list[str] = []
    looks: list[str] = []

    class Away:
        def cursor(self) -> None:
            looks.append("away")
            if len(looks) < 6:
                raise (OperationalError, InterfaceError)[len(looks) % 2]("could not connect to server")
            return real.cursor()

        def close(self) -> None:
            pass

    real = alertstream.connection
    monkeypatch.setattr(alertstream, "connection", Away())

    def need_database(alert: dict, _topic: str) -> None:
        calls.append(alert["objectId"])
        if len(calls) == 1:
            raise OperationalError("server closed the connection unexpectedly")
        if len(calls) < 8:
            raise OperationalError("database is locked")

    end = listen([message(1)], need_database)
    assert len(looks) >= 6
    assert len(calls) == 8
    assert end.reader.committed == [1]
    assert not folder.exists()


def test_an_error_of_the_database_while_it_answers_is_one_of_the_handler(listen: Callable) -> None:
    def ask_wrongly(_alert: dict, _topic: str) -> None:
        raise OperationalError("no such table: mine")

    end = listen([message(1)], ask_wrongly)
    assert end.stream.kept == 1
    assert end.reader.committed == [1]


def test_told_to_stop_it_ends_after_the_alert_in_hand(listen: Callable) -> None:
    end = listen([message(1), message(2)], lambda *_: listen.stream.stop())
    assert end.reader.committed == [1]
    assert end.reader.is_closed


def test_told_to_stop_between_attempts_it_leaves_the_alert_for_the_next_start(listen: Callable, folder: Path) -> None:
    def fail(_alert: dict, _topic: str) -> None:
        listen.stream.stop()
        raise RuntimeError("fails")

    end = listen([message(1)], fail)
    assert end.reader.committed == []
    assert not folder.exists()


def test_told_to_stop_while_it_waits_it_ends(listen: Callable) -> None:
    def stop() -> None:
        listen.stream.stop()

    end = listen([message(1), stop, message(2)])
    assert end.reader.committed == [1]


@pytest.mark.parametrize("error", [TopicMissing("There is no topic x."), LoginRefused("Check user and password.")])
def test_wrong_settings_end_it_with_one_line(
    listen: Callable, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    end = listen([error, message(1)])
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert errors == [f"FinkAlertStream.listen ends: {error}"]
    assert end.reader.is_closed
