"""What a topic is: a name and a rule."""

from __future__ import annotations

import re
from dataclasses import dataclass

from fink_broker.errors import ConfigError

_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Filter:
    """One topic: which alerts it takes.

    Parameters
    ----------
    name : str
        Lower case; the topic is ``<prefix><name>_<survey>``.
    rule : str
        A Spark SQL condition on columns of the science table, nested ones with a dot (``candidate.drb``).
        NaN arrives as null, and a rule that comes to null does not take the alert.
    description : str
        One sentence for the reader of the list of topics.
    reference : str
        Where the rule comes from.
    version : str
        Changes whenever the rule does.

    Raises
    ------
    ConfigError
        If the name cannot be part of a topic name, or the rule is empty.
    """

    name: str
    rule: str
    description: str
    reference: str
    version: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigError(
                f"'{self.name}' is no name for a filter.",
                "Use lower-case letters, digits and underscores, with a letter first.",
            )
        if not self.rule.strip():
            raise ConfigError(f"Filter '{self.name}' has no rule.", "Give it a condition in Spark SQL.")
