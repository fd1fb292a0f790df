"""Set up the logs of a service: structlog and the standard library's, one line an event, text or JSON."""

from __future__ import annotations

import logging
import sys
from collections import deque
from pathlib import Path
from typing import TextIO

import structlog

from fink_broker.config.model import LogConfig

ROTATE_BYTES = 20 * 1024 * 1024
CHATTY = ("py4j", "urllib3", "fastavro")


def set_up(config: LogConfig, copy_to: Path | None = None, stream: TextIO | None = None) -> None:
    """Send all log events to a stream, and to a file.

    Parameters
    ----------
    config : LogConfig
        Least level, and text or JSON.
    copy_to : Path, optional
        File that gets every event too, for a service in the foreground.
    stream : TextIO, optional
        Where events go; standard output if not given.
    """
    stream = stream or sys.stdout
    handlers: list[logging.Handler] = [logging.StreamHandler(stream)]
    handlers[0].setFormatter(_formatter(config, colors=stream.isatty()))
    if copy_to is not None:
        copy_to.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(copy_to))
        handlers[1].setFormatter(_formatter(config, colors=False))
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    for handler in handlers:
        handler.addFilter(_is_not_py4j)
        root.addHandler(handler)
    root.setLevel(config.level)
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def _is_not_py4j(record: logging.LogRecord) -> bool:
    """Leave out what py4j writes to the root logger when Java ends before it: that is how every service ends."""
    return not (record.name == "root" and "py4j" in record.pathname)


def _shared() -> list[structlog.types.Processor]:
    return [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]


def _formatter(config: LogConfig, *, colors: bool) -> structlog.stdlib.ProcessorFormatter:
    if config.format == "json":
        last: list[structlog.types.Processor] = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ]
    else:
        last = [
            structlog.dev.ConsoleRenderer(
                colors=colors,
                pad_event_to=0,
                # plain: the rich one prints local variables, passwords among them
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_shared(),
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )


def rotate(path: Path) -> None:
    """Set a log that has grown large aside; done before a service starts."""
    if path.is_file() and path.stat().st_size > ROTATE_BYTES:
        set_aside(path)


def set_aside(path: Path) -> None:
    """Rename a log to ``<name>.1``, in place of the one that was set aside before."""
    path.replace(path.with_name(path.name + ".1"))


def last_lines(path: Path, count: int) -> list[str]:
    """Return the last lines of a log; none if it is not there."""
    if count <= 0 or not path.is_file():
        return []
    with path.open(errors="replace") as file:
        return [line.rstrip("\n") for line in deque(file, maxlen=count)]
