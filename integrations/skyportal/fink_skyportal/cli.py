"""The commands: ``python -m fink_skyportal poll`` and others."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .alerts.reader import ReaderError
from .checking import told
from .config import ConfigurationError, Settings
from .connecting import Posting, reader_of, settings_of
from .dry_run import show
from .errors import SkyPortalError
from .loop import Loop
from .microservice import awaited_settings
from .refused import RefusedFile
from .retry import listed, retry

EPILOG = """\
Begin with config.yaml.example: copy it to config.yaml, fill it in, and see whether `check` finds it right. Then `poll`
posts alerts until Ctrl-C, and goes on where it left off when it is started again. Alerts that SkyPortal refuses are
kept in a file with its answer; `refused` shows them and posts them again. Exit code 2 means that a person must mend
something; the last line says what.
"""

_log = logging.getLogger("fink_skyportal")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    argv : sequence of str, optional
        Its words; those of the process if not given.

    Returns
    -------
    int
        Exit code: 0; 1 if `check` has found something wrong or `refused retry` leaves alerts; 2 if the command cannot
        do its work.
    """
    arguments = _parser().parse_args(argv)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr, force=True
    )
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # what goes wrong with requests is said once, by us
    try:
        return int(arguments.run(arguments))
    except (ConfigurationError, ReaderError, SkyPortalError) as error:
        _log.error("%s", error)
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        _log.error("A file cannot be used (%s): is there room, and is it allowed there?", error)
    except KeyboardInterrupt:
        return 130
    return 2


def _poll(arguments: argparse.Namespace) -> int:
    settings = _settings(arguments.config)
    with _stopped_by_signals() as stop:
        if arguments.dry_run:
            show(reader_of(settings, stop, f"{settings.group_id}_dry_run"), settings, stop, print)
        else:
            _forward(arguments.config, settings, stop)
    return 0


def _microservice(arguments: argparse.Namespace) -> int:
    with _stopped_by_signals() as stop:
        settings = awaited_settings(arguments.config, stop)
        if settings is not None:
            _forward(arguments.config, settings, stop)
    return 0


def _forward(path: Path, settings: Settings, stop: threading.Event) -> None:
    posting = Posting(path, settings, stop)
    with reader_of(settings, stop) as reader:
        Loop(
            reader,
            RefusedFile(settings.refused_file),
            opened=posting.opened,
            renewed=posting.renewed,
            generation=settings.generation,
            poll_seconds=settings.poll_seconds,
            stop=stop,
        ).run()
    if stop.is_set():
        _log.info("interrupted!")


def _check(arguments: argparse.Namespace) -> int:
    settings = _settings(arguments.config)
    print(f"right  {arguments.config} can be used.")
    return 0 if told(settings, print) else 1


def _list(arguments: argparse.Namespace) -> int:
    path = arguments.file or _settings(arguments.config).refused_file
    listed(RefusedFile(path), print)
    return 0


def _retry(arguments: argparse.Namespace) -> int:
    settings = _settings(arguments.config)
    file = RefusedFile(arguments.file or settings.refused_file)
    with _stopped_by_signals() as stop:
        left = retry(file, Posting(arguments.config, settings, stop), settings.generation, print)
    return 1 if left else 0


def _settings(path: Path) -> Settings:
    settings = settings_of(path)
    if settings is None:
        raise ConfigurationError(
            f"{path} has neither fink_topics nor a block fink; compare it with config.yaml.example."
        )
    return settings


@contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    """Give what the first Ctrl-C or SIGTERM sets; a second ends the process, of which nothing is lost."""
    stop = threading.Event()

    def end(number: int, _frame: object) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fink_skyportal", description="Posts alerts of the Fink broker to SkyPortal, as candidates.", epilog=EPILOG
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    config = argparse.ArgumentParser(add_help=False)
    config.add_argument("--config", type=Path, default=Path("config.yaml"), metavar="FILE", help="default: config.yaml")

    poll = commands.add_parser("poll", parents=[config], help="read topics and post their alerts, until Ctrl-C")
    poll.add_argument(
        "--dry-run",
        action="store_true",
        help="print as JSON what would be posted; Kafka and SkyPortal stay as they are",
    )
    poll.set_defaults(run=_poll)
    service = commands.add_parser(
        "microservice", parents=[config], help="the same beside SkyPortal, by the block fink of its own config.yaml"
    )
    service.set_defaults(run=_microservice)
    check = commands.add_parser("check", parents=[config], help="say what of the configuration is right and wrong")
    check.set_defaults(run=_check)

    refused = commands.add_parser("refused", help="alerts that could not be posted").add_subparsers(
        required=True, metavar="command"
    )
    for name, run, text in (("list", _list, "show them, with the reasons"), ("retry", _retry, "post them again")):
        command = refused.add_parser(name, parents=[config], help=text)
        command.add_argument("file", nargs="?", type=Path, metavar="FILE", help="default: that of the configuration")
        command.set_defaults(run=run)
    return parser
