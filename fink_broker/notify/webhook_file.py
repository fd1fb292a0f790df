"""The file of webhooks: the ``[[webhook]]`` tables of the topics file, read again when it changes."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fink_broker.alert.survey import SURVEYS
from fink_broker.config.model import Config
from fink_broker.errors import ConfigError
from fink_broker.notify.webhook import Webhook, read_entry

#: A larger file is not what it should be.
LARGEST_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Problem:
    """Why a webhook, or a whole file, is not used.

    Parameters
    ----------
    file : str
        Name of the file.
    name : str
        Of the webhook; empty if the whole file is meant, or the webhook has no name.
    message : str
        One sentence, and one on how to mend it. It contains no address.
    """

    file: str
    name: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}: {f'webhook {self.name}: ' if self.name else ''}{self.message}"


@dataclass(frozen=True)
class Reading:
    """What stands in the file or files.

    Parameters
    ----------
    webhooks : dict
        Name → webhook, those without mistakes.
    problems : list of Problem
        Mistakes; one never takes another webhook with it.
    unreadable : bool
        Whether a file could not be read at all, so that webhooks may be missing that are wanted.
    """

    webhooks: dict[str, Webhook] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    unreadable: bool = False


def read_webhooks(config: Config, environ: Mapping[str, str]) -> Reading:
    """Read all webhooks of ``filters.file``, a TOML file or a folder of such files.

    Parameters
    ----------
    config : Config
        Names the file, and the prefix of topics.
    environ : mapping
        Environment variables, where addresses are.
    """
    reading = Reading()
    unreadable = False
    tables: list[tuple[str, Any]] = []
    filters = list(config.distribution.topics)
    for path in toml_files(Path(config.filters.file)):
        try:
            content = _content(path)
        except ConfigError as error:
            reading.problems.append(Problem(path.name, "", str(error)))
            unreadable = True
            continue
        entries = content.get("webhook", [])
        tables += [(path.name, entry) for entry in (entries if isinstance(entries, list) else [entries])]
        topics = content.get("topic", [])
        filters += [str(topic.get("name")) for topic in topics if isinstance(topic, dict)]
    for file, table in tables:
        name = str(table.get("name", ""))[:80] if isinstance(table, dict) else ""
        try:
            webhook = _webhook(table, config, environ, tuple(filters), reading.webhooks)
        except ConfigError as error:
            reading.problems.append(Problem(file, name, str(error)))
        else:
            reading.webhooks[webhook.name] = webhook
    return Reading(reading.webhooks, reading.problems, unreadable)


def toml_files(path: Path) -> list[Path]:
    """Return the file, or the .toml files of the folder in the order of their names; none if there is nothing."""
    if path.is_dir():
        return sorted(entry for entry in path.glob("*.toml") if entry.is_file())
    return [path] if path.exists() else []


def signature(path: Path) -> str:
    """Return what changes whenever the file, or a file of the folder, does; cheap enough for every second."""
    digest = hashlib.sha256()
    for file in toml_files(path):
        try:
            state = file.stat()
        except OSError:  # gone since it was listed
            continue
        digest.update(f"{file.name} {state.st_mtime_ns} {state.st_size} {state.st_ino}\n".encode())
    return digest.hexdigest()


def _content(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise ConfigError("The file is larger than 4 MiB.", "Webhooks and topics need less.")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        reason = str(error) if isinstance(error, tomllib.TOMLDecodeError) else "it is no text in UTF-8"
        raise ConfigError(f"The file is not well-formed: {reason}.", 'Text stands in quotes: key = "value".') from None
    except OSError as error:
        raise ConfigError(f"The file cannot be read: {error.strerror}.") from None


def _webhook(
    table: Any, config: Config, environ: Mapping[str, str], filters: tuple[str, ...], before: Mapping[str, Webhook]
) -> Webhook:
    if not isinstance(table, dict):
        raise ConfigError("A webhook is not a table.", "Begin it with a line [[webhook]].")
    webhook = read_entry(table, SURVEYS[config.survey], config.distribution.prefix, environ, filters)
    if webhook.name in before:
        raise ConfigError("Another webhook has the same name.", "Give each a name of its own.")
    return webhook
