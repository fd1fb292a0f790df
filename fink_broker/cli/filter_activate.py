"""Making a rule a topic: a block at the end of the topics file, which otherwise stays as its owner wrote it."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from fink_broker.errors import ConfigError, UsageError
from fink_broker.filters.places.limited_file import read_limited
from fink_broker.filters.registry import BUILT_IN
from fink_broker.filters.topic_entry import TopicEntry
from fink_broker.filters.topic_reading import MOST_BYTES
from fink_broker.filters.topics_file import topic_files


def add_topic(path: Path, entry: Mapping[str, str]) -> Path:
    """Add a topic to a topics file, or as a file of its own to a folder of them; return the file.

    The file is replaced at once or not at all: whoever reads it meanwhile sees the old one or the new one.

    Parameters
    ----------
    path : pathlib.Path
        File or folder; a file that does not exist is made.
    entry : mapping of str to str
        The keys of the topic.

    Raises
    ------
    ConfigError
        If the entry is none, or its name is taken.
    UsageError
        If the file cannot be read as it is.
    """
    check_new(path, entry["name"])
    file = (path / f"{entry['name']}.toml" if path.is_dir() else path).resolve()
    TopicEntry(**entry).filter(file.parent)  # type: ignore[arg-type]  # the model checks what it is given
    before = read_limited(file, MOST_BYTES).decode() if file.exists() else ""
    gap = "" if not before else ("\n" if before.endswith("\n") else "\n\n")
    after = before + gap + block(entry)
    if tomllib.loads(after)["topic"][-1] != entry:
        raise UsageError(f"The rule cannot be written to {file}.", "Add it with an editor.")
    _replace(file, after)
    return file


def check_new(path: Path, name: str) -> None:
    """See whether a topic of this name can be added.

    Raises
    ------
    ConfigError
        If the name is taken.
    UsageError
        If a file cannot be read as it is.
    """
    if name in BUILT_IN:
        raise ConfigError(f"The broker itself has a topic '{name}'.", "Choose another name.")
    files = topic_files(path) if path.is_dir() else [path]
    for file in filter(Path.exists, files):
        try:
            topics = tomllib.loads(read_limited(file, MOST_BYTES).decode()).get("topic", [])
        except (OSError, ValueError) as error:
            raise UsageError(f"{file} cannot be read: {error}.", "Correct it first; nothing was written.") from error
        if any(isinstance(topic, dict) and topic.get("name") == name for topic in topics):
            raise ConfigError(f"{file} has a topic '{name}' already.", "Choose another name, or edit the file.")


def account() -> str:
    """Return who is working here."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # an account without a name, as in some containers
        return "user"


def block(entry: Mapping[str, str]) -> str:
    """Return an entry as TOML."""
    return "[[topic]]\n" + "".join(f"{key} = {_quoted(value)}\n" for key, value in entry.items())


def _quoted(text: str) -> str:
    """Return a TOML string: JSON's, with what TOML wants escaped besides."""
    return re.sub("[\x7f-\x9f]", lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))


def _replace(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as stream:
            if file.exists():
                temporary.chmod(file.stat().st_mode)
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
