"""One ``[[webhook]]`` table: what it may say, and what it means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fink_broker.alert.survey import Survey
from fink_broker.config.values import suggestion
from fink_broker.errors import ConfigError
from fink_broker.notify.template import Template

Kind = Literal["slack", "telegram", "json"]

#: Posts a minute where none are configured. Telegram takes 20 a minute for a group.
PER_MINUTE: dict[Kind, int] = {"slack": 30, "telegram": 20, "json": 30}
#: Least seconds between two posts: Slack and Telegram ask for about one a second and channel.
GAP_SECONDS: dict[Kind, float] = {"slack": 1.0, "telegram": 1.0, "json": 0.0}
DEFAULT_TEXT = "{objectId}: {band} = {magpsf} mag, {finkclass}, ra {ra} dec {dec} ({topic})"
NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")

_VARIABLE = re.compile(r"\$\{(\w+)\}")
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Entry(BaseModel):
    """The table as it is written."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: str
    kind: Kind
    url: str = Field(repr=False)
    topic: str = ""
    topics: list[str] = []
    chat: str = ""
    per_minute: int | None = Field(None, ge=1, le=6000)
    text: str = ""
    link: str = ""
    stale_hours: float = Field(24.0, gt=0, le=10_000)
    start: Literal["latest", "earliest"] = Field("latest", alias="from")


@dataclass(frozen=True)
class Webhook:
    """A webhook that can be used.

    Parameters
    ----------
    name : str
        Unique; part of file names and of the consumer group.
    kind : {"slack", "telegram", "json"}
        What the far end expects.
    url : str
        Where to post. It is a secret and does not show when printed.
    topics : tuple of str
        Kafka topics.
    template : Template
        Words for an alert.
    chat : str
        Telegram's chat.
    per_minute : int
        Most posts a minute.
    link : str
        Base of the portal, empty for no links.
    stale_hours : float
        Alerts older than this are only summarised.
    start : {"latest", "earliest"}
        Where the first start begins.
    """

    name: str
    kind: Kind
    url: str = field(repr=False)
    topics: tuple[str, ...]
    template: Template
    chat: str = ""
    per_minute: int = 30
    link: str = ""
    stale_hours: float = 24.0
    start: Literal["latest", "earliest"] = "latest"

    @property
    def group(self) -> str:
        """The consumer group at Kafka."""
        return f"fink_notifier_{self.name}"

    @property
    def on_loopback(self) -> bool:
        """Whether the far end is on this machine."""
        return urlsplit(self.url).hostname in _LOOPBACK


def read_entry(
    table: Mapping[str, Any], survey: Survey, prefix: str, environ: Mapping[str, str], known: tuple[str, ...] = ()
) -> Webhook:
    """Check a ``[[webhook]]`` table and take its address from the environment.

    Parameters
    ----------
    table : mapping
        As read from TOML.
    survey : Survey
        Gives the suffix of topic names.
    prefix : str
        Of topic names (``distribution.prefix``).
    environ : mapping
        Environment variables.
    known : tuple of str
        Names of filters, for hints.

    Raises
    ------
    ConfigError
        If anything is wrong with it. No message contains an address.
    """
    entry = _entry(table)
    if not NAME.fullmatch(entry.name):
        raise ConfigError(
            f"'{entry.name[:80]}' is no name for a webhook.",
            "Use lower-case letters, digits, underscores and dashes, with a letter first, at most 64.",
        )
    if entry.kind == "telegram" and not entry.chat:
        raise ConfigError("It has no chat, which Telegram needs.", 'Add it, such as chat = "@my_channel".')
    if entry.kind != "telegram" and entry.chat:
        raise ConfigError(f"It has a chat, which is for Telegram only, not for {entry.kind}.", "Take it out.")
    template = Template(entry.text or (DEFAULT_TEXT + (" {link}" if entry.link else "")))
    return Webhook(
        name=entry.name,
        kind=entry.kind,
        url=_address(entry, environ),
        topics=_topics(entry, survey, prefix, known),
        template=template,
        chat=entry.chat,
        per_minute=entry.per_minute or PER_MINUTE[entry.kind],
        link=_link(entry.link),
        stale_hours=entry.stale_hours,
        start=entry.start,
    )


def _entry(table: Mapping[str, Any]) -> Entry:
    try:
        return Entry.model_validate(dict(table))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        keys = [info.alias or name for name, info in Entry.model_fields.items()]
        if first["type"] == "extra_forbidden":
            hint = suggestion(key, keys) or f"Keys are {', '.join(keys)}."
            raise ConfigError(f"There is no key {key[:80]}.", hint) from None
        if first["type"] == "missing":
            raise ConfigError(f"It has no {key}.", "A webhook needs name, kind, url, and topic or topics.") from None
        raise ConfigError(f"Its {key} is wrong: {first['msg'].lower()}.") from None


def _topics(entry: Entry, survey: Survey, prefix: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """Return full names of topics, of filter names or full names."""
    if bool(entry.topic) == bool(entry.topics):
        raise ConfigError("It needs either topic or topics.", 'Write topic = "sn_candidates".')
    whole = partial(survey.output_topic, prefix)
    ending = whole("").removeprefix(prefix)
    names = []
    for name in dict.fromkeys([entry.topic] if entry.topic else entry.topics):
        if not _TOPIC.fullmatch(name):
            raise ConfigError(f"'{name[:80]}' is no name of a topic.", suggestion(name, known))
        is_whole = bool(prefix) and name.startswith(prefix) and name.endswith(ending)
        names.append(name if is_whole else whole(name))
    return tuple(dict.fromkeys(names))


def _address(entry: Entry, environ: Mapping[str, str]) -> str:
    """Return where to post; it never stands in a message."""
    variable = _VARIABLE.fullmatch(entry.url)
    if variable is None and (entry.kind != "json" or "$" in entry.url):
        raise ConfigError(
            "Its url is written out, but such an address is a secret.",
            'Put it into the environment and write url = "${MY_WEBHOOK}", nothing before or after.',
        )
    if variable is not None and not environ.get(variable[1]):
        raise ConfigError(
            f"Its url is ${{{variable[1]}}}, which is not set.", f"Set {variable[1]} in the notifier's environment."
        )
    url = entry.url if variable is None else environ[variable[1]].strip()
    where = "Its url" if variable is None else f"What {variable[1]} holds"
    parts = _split(url)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"{where} is no http or https address.", "Write https://host/path.")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ConfigError(
            f"{where} is a plain http address of another machine, where anyone on the way could read it.",
            "Use https; http is for this machine only.",
        )
    return url


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - reading it checks it
    except ValueError:
        return None
    return parts if url.isascii() and url.isprintable() and " " not in url else None


def _link(text: str) -> str:
    parts = _split(text)
    if text and (parts is None or parts.scheme not in ("http", "https") or not parts.hostname):
        raise ConfigError("Its link is no http or https address.", 'Write link = "https://fink-portal.org".')
    return text.rstrip("/")
