"""One ``[[topic]]`` of a topics file: its keys, and the filter made of them."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fink_broker.errors import ConfigError
from fink_broker.filters.filter import Filter, Output
from fink_broker.filters.names import near_names
from fink_broker.filters.rule import Rule
from fink_broker.filters.users.functions import UserFunction

#: What a topic can be made of; each has exactly one.
KINDS = ("rule", "function", "watchlist", "area")
#: Keys that belong to one kind only.
BELONGS_TO = {
    "radius_arcsec": "watchlist",
    "level": "area",
    "after": "area",
    "before": "area",
    "days": "area",
}
#: Clients take topics that begin like this for something else, which they read in other ways.
RESERVED_TOPICS = {
    "ftransfer_": "data transfers",
    "fxmatch_": "cross-matches",
    "fink_ai_": "predictions",
    "fink_ztf_": "counters of a night",
}

Moment = datetime | date | float | str


class TopicEntry(BaseModel):
    """The keys of a ``[[topic]]``."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str = Field(description="lower-case letters, digits, underscores; the topic is <prefix><name>_<survey>")
    description: str = Field(description="one sentence for the reader of the list of topics", min_length=1)
    owner: str = Field("", description="who answers for it; empty: the account that runs the broker")
    version: str = Field(
        "1",
        strict=False,
        coerce_numbers_to_str=True,
        description="changes with the rule; it stands in the headers of every message",
    )
    reference: str = Field("", description="where the rule comes from: a paper, a page")
    rule: str | None = Field(None, description="SQL condition on the columns of an alert")
    function: str | None = Field(None, description="package.module:function, or the name of an entry point")
    watchlist: str | None = Field(None, description="file of positions: CSV, VOTable, ECSV or FITS")
    radius_arcsec: float = Field(1.5, description="radius of the positions that have none of their own, in arcsec")
    area: str | None = Field(None, description="file of a coverage map (MOC) or of a probability map")
    level: float = Field(0.9, description="credible level of a probability map")
    after: Moment | None = Field(None, description="earliest time of an alert in the area, ISO 8601 or Julian date")
    before: Moment | None = Field(None, description="latest time")
    days: float | None = Field(None, description="latest time, in days after `after`")
    output: Output = Field("full", description="what of an alert the topic carries: full, light_curve or thin")
    columns: list[str] = Field([], description="columns the topic carries instead")

    def filter(self, folder: Path) -> Filter:
        """Return the filter.

        Parameters
        ----------
        folder : pathlib.Path
            The folder of the topics file: paths are relative to it, modules are looked for in it.

        Raises
        ------
        ConfigError
            If the keys do not go together, or the rule cannot be read.
        """
        self._check_keys()
        made = Filter(
            name=self.name,
            rule=self._rule(folder),
            description=self.description,
            reference=self.reference,
            version=self.version,
            owner=self.owner or "user",
            output=self.output,
            columns=tuple(self.columns),
            built_in=False,
        )
        _ = made.identity  # the text of the rule may need a file that is not there
        return made

    def companions(self, folder: Path) -> list[Path]:
        """Return the files beside the topics file on which the topic depends: when they change, it does."""
        if self.function is not None:
            return list(UserFunction(self.function, str(folder)).sources)
        return [folder / path for path in (self.watchlist, self.area) if path is not None]

    def _rule(self, folder: Path) -> Rule:
        if self.function is not None:
            return UserFunction(self.function, str(folder))
        if self.watchlist is not None:
            from fink_broker.filters.places.watchlist import Watchlist  # noqa: PLC0415 # brings astropy

            watchlist = Watchlist(folder / self.watchlist, self.radius_arcsec)
            watchlist.load()  # now, not when the first alerts wait for it
            return watchlist
        if self.area is not None:
            from fink_broker.filters.places.area import Area  # noqa: PLC0415 # brings astropy

            return Area(folder / self.area, self.level, self.after, self.before, self.days)
        from fink_broker.filters.sql import SqlRule  # noqa: PLC0415 # brings the parser

        return SqlRule(self.rule or "")

    def _check_keys(self) -> None:
        given = self.model_fields_set
        kinds = [kind for kind in KINDS if kind in given]
        if len(kinds) != 1:
            found = " and ".join(f"'{kind}'" for kind in kinds) or "none of them"
            raise ConfigError(f"It has {found}.", f"Give exactly one of {', '.join(KINDS)}.")
        for key, kind in BELONGS_TO.items():
            if key in given and kind not in given:
                raise ConfigError(f"'{key}' says nothing of a topic with '{kinds[0]}'.", f"It belongs to '{kind}'.")
        if {"output", "columns"} <= given:
            raise ConfigError("It has 'output' and 'columns'.", "Give the one or the other.")
        if dotted := [name for name in self.columns if "." in name]:
            whole = dotted[0].partition(".")[0]
            raise ConfigError(f"'columns' names the field '{dotted[0]}'.", f"Columns go out whole: give '{whole}'.")
        for start, meaning in RESERVED_TOPICS.items():
            # the topic is <prefix><name>_<survey>: whichever prefix is configured, none may begin with what is taken
            for begin in (start, start.removeprefix("fink_")):
                if f"{self.name}_".startswith(begin):
                    raise ConfigError(
                        f"'{self.name}' begins with '{begin}', which is reserved.",
                        f"Choose another name: clients take topics {start}… for {meaning}.",
                    )


def told(error: ValidationError) -> tuple[str, str]:
    """Return in one sentence what is wrong with the keys of an entry, and in another the remedy."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"There is no key '{key}'.", near_names(key, list(TopicEntry.model_fields), "keys")
    if first["type"] == "missing":
        return f"The key '{key}' is missing.", "Every topic has a name and a description."
    if not key:
        return "It is no table of keys.", "Write [[topic]] with two brackets, and the keys below it."
    meant = TopicEntry.model_fields[str(first["loc"][0])].description
    return f"'{key}' cannot be {repr(first['input'])[:60]}.", f"It is: {meant}."
