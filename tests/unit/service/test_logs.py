"""The log of a service."""

from __future__ import annotations

import io
import json
import logging

from fink_broker.config.model import LogConfig
from fink_broker.service import logs


def events(write, **settings) -> list[dict]:
    stream, root = io.StringIO(), logging.getLogger()
    before, level = root.handlers[:], root.level
    try:
        logs.set_up(LogConfig(format="json", **settings), stream=stream)
        write()
    finally:
        root.handlers[:] = before
        root.setLevel(level)
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_line_of_json():
    (event,) = events(lambda: logging.getLogger("fink_broker.stream").warning("%s rejected", 3))
    assert (event["event"], event["level"], event["logger"]) == ("3 rejected", "warning", "fink_broker.stream")


def test_what_py4j_says_at_its_end_is_left_out():
    def write() -> None:
        root = logging.getLogger()
        for path in ("/lib/py4j/java_gateway.py", "/lib/other.py"):
            root.handle(logging.LogRecord("root", logging.INFO, path, 1, path, None, None))

    assert [event["event"] for event in events(write)] == ["/lib/other.py"]


def test_the_level_of_the_configuration_holds():
    assert events(lambda: logging.getLogger("x").info("low"), level="WARNING") == []
