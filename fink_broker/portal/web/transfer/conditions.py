"""The further conditions: each line is parsed, and held against the columns of alerts, before anything is sent."""

from __future__ import annotations

from functools import lru_cache

import pyarrow as pa

from fink_broker.archive.promised import promised_schema
from fink_broker.config import Config
from fink_broker.errors import FinkError
from fink_broker.filters.sql import SqlRule
from fink_broker.portal.web.transfer.selection import Selection

#: Most conditions of one selection.
MOST = 20
#: Characters of a hint; the longest list all columns.
LONGEST_HINT = 160


def problems(selection: Selection, schema: pa.Schema) -> list[str]:
    """Return a sentence for each condition that cannot be used, with the number of its line."""
    lines = selection.lines
    if len(lines) > MOST:
        return [f"There are {len(lines)} conditions, and {MOST} are the most: join some with AND."]
    found = ((number, problem(line, schema)) for number, line in lines)
    told = [f"Line {number}: {text}" for number, text in found if text]
    if not told and len(lines) > 1 and (text := problem(selection.where, schema)):
        told = [f"All conditions together: {text}"]  # such as a comment that hides what follows
    return told


def problem(condition: str, schema: pa.Schema) -> str:
    """Return what is wrong with a condition in SQL, empty if nothing is."""
    try:
        SqlRule(condition).check(schema)
    except FinkError as error:
        return f"{error.message} {_short(error.hint)}".strip()
    return ""


def _short(hint: str) -> str:
    """Return a hint without the end of a long list of names."""
    if len(hint) <= LONGEST_HINT:
        return hint
    return hint[:LONGEST_HINT].rpartition(",")[0] + ", …."


@lru_cache(maxsize=2)
def _columns(config: str) -> pa.Schema:
    """Return the columns of alerts by the JSON text of a configuration."""
    return promised_schema(Config.model_validate_json(config))


def schema_of(config: Config) -> pa.Schema:
    """Return the columns of alerts; made once for a configuration."""
    return _columns(config.model_dump_json())
