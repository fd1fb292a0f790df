"""What must be in SkyPortal before anything is posted: stream, group, filters, instrument, taxonomy.

All of it is found by name where it is there, and made where it is not. Two clients that start at once may both make the
same thing: afterwards everything is looked for again, and of several the oldest counts, for both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

from . import taxonomy
from .api import SkyPortal
from .errors import PremisesMissing, Refused, Stopped

READY_RETRY_SECONDS = 10.0
#: Names of instruments: one of this name; if there is none, any that has one of these within its name.
INSTRUMENTS: Mapping[str, tuple[str, ...]] = {"ZTF": ("ZTF", "CFH12k")}

_FORBIDDEN = 403
#: Where something is made, and the right that is needed.
_MAKING = {
    "stream": ("/api/streams", "System admin"),
    "group": ("/api/groups", "Upload data"),
    "filter": ("/api/filters", "Upload data"),
    "taxonomy": ("/api/taxonomy", "Post taxonomy"),
}

Row = Mapping[str, Any]
Rows = Sequence[Row]


@dataclass(frozen=True)
class Wanted:
    """What to find or make.

    Parameters
    ----------
    group : str
        Group that receives the posts.
    stream : str
        Alert stream.
    topics : tuple of str
        Topics; each has a filter of its name.
    common_filter : str
        A filter for all topics, used if an earlier version has made it; empty for none.
    is_for_all : bool
        Whether every user may see the stream and join the group.
    """

    group: str
    stream: str
    topics: tuple[str, ...]
    common_filter: str = ""
    is_for_all: bool = False

    @classmethod
    def microservice(cls, topics: Sequence[str], group: str = "Fink") -> Self:
        """Return what the service inside SkyPortal has: stream and group of the same name, for all users."""
        return cls(group, group, tuple(topics), is_for_all=True)

    @classmethod
    def stand_alone(cls, topics: Sequence[str], group: str = "Fink") -> Self:
        """Return what the client outside SkyPortal has: names made from the group's."""
        return cls(group, f"{group.lower()}_stream", tuple(topics), common_filter=f"{group.lower()}_filter")


@dataclass(frozen=True)
class Premises:
    """What was found, by its numbers in SkyPortal.

    Parameters
    ----------
    wanted : Wanted
        What was looked for.
    group_id, stream_id, taxonomy_id : int
        Group, stream and taxonomy.
    hierarchy : mapping
        The taxonomy as SkyPortal has it.
    instrument_ids : mapping
        Instruments by name.
    filter_ids, group_ids : mapping
        Filters, and the groups they belong to, by topic: our own first, then those of other groups that gave a filter
        on the stream the name of the topic.
    """

    wanted: Wanted
    group_id: int
    stream_id: int
    taxonomy_id: int
    hierarchy: Mapping[str, Any]
    instrument_ids: Mapping[str, int]
    filter_ids: Mapping[str, tuple[int, ...]]
    group_ids: Mapping[str, tuple[int, ...]]

    @property
    def all_group_ids(self) -> list[int]:
        """Groups of all topics."""
        return sorted({number for numbers in self.group_ids.values() for number in numbers})


def wait_until_ready(api: SkyPortal) -> None:
    """Wait until SkyPortal is up.

    Raises
    ------
    Stopped
        If told to stop before.
    """
    is_said = False
    while not api.is_ready():
        if not is_said:
            api.say(f"Waiting for SkyPortal at {api.shown_url}.")
            is_said = True
        if api.stop.wait(READY_RETRY_SECONDS):
            raise Stopped


def prepare(api: SkyPortal, wanted: Wanted) -> Premises:
    """Find, or make, all that posts need.

    Raises
    ------
    PremisesMissing
        If something is not there and cannot be made; says what to ask the administrator for.
    TokenRefused, WrongAddress, Stopped
        As `SkyPortal.post`.
    """
    instrument_ids = {name: _instrument(api, name, parts) for name, parts in INSTRUMENTS.items()}
    stream_body = {"name": wanted.stream, **({"auto_join": True} if wanted.is_for_all else {})}
    stream = _found_or_made(api, "stream", stream_body, lambda: _named(api.get("/api/streams"), wanted.stream))
    group_body = {"name": wanted.group, **({"auto_accept_requests": True} if wanted.is_for_all else {})}
    group = _found_or_made(api, "group", group_body, lambda: _named(_groups(api), wanted.group))
    tree = _taxonomy(api)
    premises = Premises(wanted, group["id"], stream["id"], tree["id"], tree["hierarchy"], instrument_ids, {}, {})
    return with_filters_of_now(api, premises)


def with_filters_of_now(api: SkyPortal, premises: Premises) -> Premises:
    """Return the premises with the filters there are now, as other groups make and remove theirs at any time.

    Our own are made where they are missing. Raises as `prepare`.
    """
    wanted, stream_id, group_id = premises.wanted, premises.stream_id, premises.group_id
    filters = api.get("/api/filters")
    missing = [topic for topic in wanted.topics if _own_filter(filters, premises, topic) is None]
    if missing:
        if not any(row.get("stream_id") == stream_id and row.get("group_id") == group_id for row in filters):
            _attach(api, premises)
        for topic in missing:
            body = {"name": topic, "stream_id": stream_id, "group_id": group_id}
            _found_or_made(api, "filter", body, partial(_own_filter_now, api, premises, topic))
        filters = api.get("/api/filters")
    filter_ids: dict[str, tuple[int, ...]] = {}
    group_ids: dict[str, tuple[int, ...]] = {}
    for topic in wanted.topics:
        own = _own_filter(filters, premises, topic)
        of_topic = [row for row in filters if row.get("name") == topic and row.get("stream_id") == stream_id]
        others = [row for row in of_topic if row.get("group_id") != group_id]
        filter_ids[topic] = tuple(row["id"] for row in (own, *others) if row is not None)
        group_ids[topic] = tuple(dict.fromkeys((group_id, *(row["group_id"] for row in others))))
    return replace(premises, filter_ids=filter_ids, group_ids=group_ids)


def _attach(api: SkyPortal, premises: Premises) -> None:
    try:
        api.post(f"/api/groups/{premises.group_id}/streams", {"stream_id": premises.stream_id})
    except Refused as refused:
        if "already associated" in refused.refusal.answer:
            return
        raise PremisesMissing(
            f"SkyPortal does not give the group {premises.wanted.group} the stream {premises.wanted.stream} "
            f"({refused.refusal.answer.rstrip('.')}): ask its administrator to give the stream to all members of the "
            "group, and the right “Upload data” to the owner of the token."
        ) from None


def _own_filter(filters: Rows, premises: Premises, topic: str) -> Row | None:
    """Return the filter of a topic: the one an earlier version made for all topics, else that of its name."""
    place = (premises.stream_id, premises.group_id)
    own = [row for row in filters if (row.get("stream_id"), row.get("group_id")) == place]
    common = premises.wanted.common_filter
    return (_named(own, common) if common else None) or _named(own, topic)


def _own_filter_now(api: SkyPortal, premises: Premises, topic: str) -> Row | None:
    return _own_filter(api.get("/api/filters"), premises, topic)


def _instrument(api: SkyPortal, name: str, parts: Sequence[str]) -> int:
    rows = api.get("/api/instrument")
    inexact = [row for row in rows if any(part.lower() in str(row.get("name")).lower() for part in parts)]
    found = _named(rows, name) or min(inexact, key=_number, default=None)
    if found is None:
        raise PremisesMissing(
            f"error: instruments named {' or '.join(parts)} does not exist: "
            f"ask SkyPortal's administrator to add the instrument {name}."
        )
    return int(found["id"])


def _taxonomy(api: SkyPortal) -> Row:
    def find() -> Row | None:
        rows = [row for row in api.get("/api/taxonomy") if str(row.get("version")) == taxonomy.VERSION]
        return _named(rows, taxonomy.NAME)

    body = {
        "name": taxonomy.NAME,
        "version": taxonomy.VERSION,
        "hierarchy": taxonomy.hierarchy(),
        "provenance": taxonomy.PROVENANCE,
        "isLatest": True,
    }
    return _found_or_made(api, "taxonomy", body, find)


def _found_or_made(api: SkyPortal, kind: str, body: dict[str, Any], find: Callable[[], Row | None]) -> Row:
    """Return something by its name, made if it is not there."""
    name, (path, right) = body["name"], _MAKING[kind]
    found = find()
    if found is not None:
        return found
    answer = ""
    try:
        api.post(path, body, already=find)
        api.say(f"SkyPortal has a new {kind}: {name}.")
    except Refused as refused:  # perhaps because another client was quicker
        answer = refused.refusal.answer.rstrip(".")
        if refused.refusal.status == _FORBIDDEN:
            answer = f"the owner of the token lacks the right “{right}”"
    found = find()
    if found is None:
        raise PremisesMissing(
            f"SkyPortal has no {kind} {name}, and does not let the client make it "
            f"({answer or 'it is made but does not show'}): ask its administrator for it, or for the right “{right}”."
        )
    return found


def _groups(api: SkyPortal) -> Rows:
    data = api.get("/api/groups")
    return [row for name in ("user_groups", "user_accessible_groups", "all_groups") for row in data.get(name) or ()]


def _named(rows: Rows, name: str) -> Row | None:
    """Return the oldest of those that have a name."""
    return min((row for row in rows if row.get("name") == name), key=_number, default=None)


def _number(row: Row) -> int:
    return int(row["id"])
