"""What a SkyPortal knows: users, groups, streams, filters, and what was posted."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

#: what a token may be allowed
SYSTEM_ADMIN, UPLOAD, POST_TAXONOMY, ANNOTATE, CLASSIFY = (
    "System admin",
    "Upload data",
    "Post taxonomy",
    "Annotate",
    "Classify",
)
RIGHTS = frozenset({SYSTEM_ADMIN, UPLOAD, POST_TAXONOMY, ANNOTATE, CLASSIFY})

#: a row of a table, as JSON shows it
Row = dict[str, Any]


@dataclass(frozen=True)
class User:
    """Who owns a token."""

    id: int
    name: str
    token: str = field(repr=False)
    rights: frozenset[str]
    is_whitelisted: bool

    @property
    def is_admin(self) -> bool:
        return SYSTEM_ADMIN in self.rights


@dataclass
class State:
    """Everything stored; tables are by id, in the order of posting."""

    users: dict[str, User] = field(default_factory=dict)
    groups: dict[int, Row] = field(default_factory=dict)
    streams: dict[int, Row] = field(default_factory=dict)
    filters: dict[int, Row] = field(default_factory=dict)
    instruments: dict[int, Row] = field(default_factory=dict)
    taxonomies: dict[int, Row] = field(default_factory=dict)
    objects: dict[str, Row] = field(default_factory=dict)
    sources: set[tuple[str, int]] = field(default_factory=set)
    candidates: dict[int, Row] = field(default_factory=dict)
    photometry: dict[int, Row] = field(default_factory=dict)
    annotations: dict[int, Row] = field(default_factory=dict)
    classifications: dict[int, Row] = field(default_factory=dict)
    thumbnails: dict[int, Row] = field(default_factory=dict)
    photometry_ids: dict[tuple, int] = field(default_factory=dict)
    candidates_of: dict[tuple[str, int], dict[str, int]] = field(default_factory=dict)
    annotation_ids: dict[tuple[str, str], int] = field(default_factory=dict)
    next_id: itertools.count = field(default_factory=lambda: itertools.count(1))

    def add(self, table: dict[int, Row], row: Row) -> int:
        """Store a row under a new id, and return that."""
        number = next(self.next_id)
        table[number] = {"id": number, **row}
        return number

    def add_user(self, name: str, token: str, rights: frozenset[str], is_whitelisted: bool) -> User:
        self.users[token] = User(next(self.next_id), name, token, rights, is_whitelisted)
        return self.users[token]

    def add_group(self, name: str, members: set[int], **more: Any) -> int:
        return self.add(self.groups, {"name": name, "members": members, "streams": set(), **more})

    def add_stream(self, name: str, members: set[int], **more: Any) -> int:
        return self.add(self.streams, {"name": name, "members": members, **more})

    def groups_of(self, user: User) -> list[int]:
        return [number for number, group in self.groups.items() if user.id in group["members"]]

    def streams_of(self, user_id: int) -> set[int]:
        """Return the streams a user may see: an administrator all, others those they were let into."""
        admins = {user.id for user in self.users.values() if user.is_admin}
        return {n for n, stream in self.streams.items() if user_id in admins or user_id in stream["members"]}

    def filters_of(self, user: User) -> dict[int, Row]:
        groups = set(self.groups_of(user))
        return {n: row for n, row in self.filters.items() if user.is_admin or row["group_id"] in groups}
