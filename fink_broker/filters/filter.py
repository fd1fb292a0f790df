"""What a filter is: a name, a rule, whose it is, and what of an alert its topic carries."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from fink_broker.errors import ConfigError
from fink_broker.filters.rule import Rule

_NAME = re.compile(r"[a-z][a-z0-9_]*")
LONGEST_NAME = 200

#: full: the whole alert. light_curve: without images. thin: without images and history.
Output = Literal["full", "light_curve", "thin"]


@dataclass(frozen=True)
class Filter:
    """One topic: which alerts it takes.

    Parameters
    ----------
    name : str
        Lower case; the topic is ``<prefix><name>_<survey>``.
    rule : Rule
        Which alerts it takes.
    description : str
        One sentence for the reader of the list of topics.
    reference : str
        Where the rule comes from.
    version : str
        Changes whenever the rule does; it stands in the headers of every message.
    owner : str
        Who answers for it.
    output : {"full", "light_curve", "thin"}
        What of an alert the topic carries.
    columns : tuple of str
        Columns of the alert the topic carries instead; ``objectId``, ``candid`` and ``candidate`` always go along.
    built_in : bool
        Whether the broker comes with it. Others are switched off when they fail or are slow.

    Raises
    ------
    ConfigError
        If the name cannot be part of a topic name.
    """

    name: str
    rule: Rule
    description: str
    reference: str
    version: str
    owner: str = "fink"
    output: Output = "full"
    columns: tuple[str, ...] = ()
    built_in: bool = True

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or len(self.name) > LONGEST_NAME:
            raise ConfigError(
                f"'{self.name}' is no name for a filter.",
                f"Use lower-case letters, digits and underscores, with a letter first, at most {LONGEST_NAME}.",
            )

    @cached_property
    def identity(self) -> str:
        """The version, with a digest of the rule and of what the topic carries: it changes with them in any case."""
        content = "\0".join([self.rule.text, self.output, *self.columns])
        digest = hashlib.sha256(content.encode()).hexdigest()[:8]
        return f"{self.version}-{digest}"
