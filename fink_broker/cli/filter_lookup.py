"""What a user means by a rule on the command line, and the columns it may read."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fink_broker.archive import AlertTable, Layout
from fink_broker.archive.promised import promised_schema
from fink_broker.archive.reading import files_of_night, nights_of
from fink_broker.config import Config
from fink_broker.errors import ConfigError, FinkError
from fink_broker.filters.filter import Filter
from fink_broker.filters.names import near_names
from fink_broker.filters.registry import BUILT_IN
from fink_broker.filters.rule import Rule
from fink_broker.filters.sql import SqlRule
from fink_broker.filters.topics_file import read_topics
from fink_broker.filters.users.functions import UserFunction, source_of
from fink_broker.filters.view import all_paths

#: The name of a rule that has none.
TRIED = "tried"
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
_PLACE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
# what the engine logs in a broker, a command tells itself
logging.getLogger("fink_broker.filters").addHandler(logging.NullHandler())


def all_topics(config: Config) -> dict[str, Filter]:
    """Return the broker's topics that are configured and those of users, by name."""
    ours = {name: BUILT_IN[name] for name in config.distribution.topics if name in BUILT_IN}
    return ours | {entry.name: entry for entry in read_topics(Path(config.filters.file))[0]}


def topic_named(name: str, config: Config) -> Filter:
    """Return a topic.

    Raises
    ------
    ConfigError
        If there is none of that name, or its entry is wrong.
    """
    known = BUILT_IN | all_topics(config)
    if name in known:
        return known[name]
    for problem in read_topics(Path(config.filters.file))[1]:
        if problem.name == name:
            raise ConfigError(f"The topic '{name}' cannot be used: {problem.message}", problem.hint)
    raise ConfigError(f"There is no topic '{name}'.", near_names(name, list(known), "topics"))


def rule_meant(text: str, config: Config, schema: pa.Schema) -> Filter:
    """Return the filter that somebody means: a topic by its name, a Python function, or an SQL condition.

    Raises
    ------
    ConfigError
        If it is none of these.
    """
    text = text.strip()
    columns = {path for path in all_paths(schema)} | {path.partition(".")[0] for path in all_paths(schema)}
    leaves = {path.rpartition(".")[2] for path in columns}
    if _NAME.fullmatch(text) and text not in columns | leaves:
        return topic_named(text, config)
    is_function = _DOTTED.fullmatch(text) and text.partition(".")[0] not in columns
    if _PLACE.fullmatch(text) or is_function:
        return tried(UserFunction(text, _folder(text, config)))
    return tried(SqlRule(text))


def tried(rule: Rule) -> Filter:
    """Return a rule as a filter of a user without a name."""
    return Filter(TRIED, rule, "a rule that is tried", "", "0", owner="you", built_in=False)


def science_schema(config: Config) -> pa.Schema:
    """Return the columns of alerts: those of the newest science alerts, else those the configuration promises."""
    table = AlertTable(Layout(config.storage.online).table("science"))
    try:
        for night in reversed(nights_of(table)):
            if files := files_of_night(table, night):
                with table.storage.open(files[-1].path) as stream:
                    return pq.read_schema(stream)
    except (OSError, pa.ArrowException, FinkError):
        pass  # what is promised will do
    return promised_schema(config)


def _folder(place: str, config: Config) -> str:
    """Return where the module of a function is: beside the topics file, or here."""
    topics = Path(config.filters.file)
    beside = str(topics if topics.is_dir() else topics.parent)
    here = str(Path.cwd())
    return here if source_of(place, beside) is None and source_of(place, here) is not None else beside
