"""Streams, groups, filters and instruments: what must be there before anything is posted."""

from __future__ import annotations

from typing import Any

from .checks import booleans, is_integer, known_ids, only, require, required, texts
from .state import Row, State, User


def get_streams(state: State, user: User, body: Row) -> Any:
    visible = state.streams_of(user.id)
    return [_shown(row) for number, row in state.streams.items() if number in visible]


def post_stream(state: State, user: User, body: Row) -> Any:
    only(body, "name", "altdata", "auto_join")
    required(body, "name")
    texts(body, "name")
    booleans(body, "auto_join")
    require(isinstance(body.get("altdata") or {}, dict), "altdata: not an object")
    taken = any(row["name"] == body["name"] for row in state.streams.values())
    require(not taken, f"Stream with name {body['name']} already exists.")
    members = {known.id for known in state.users.values()} if body.get("auto_join") else set()
    return {"id": state.add_stream(body["name"], members, altdata=body.get("altdata"))}


def get_groups(state: State, user: User, body: Row) -> Any:
    own = set(state.groups_of(user))
    accessible = set(state.groups) if user.is_admin else own

    def rows(ids: set[int]) -> list[Row]:
        return [_shown(row) for number, row in state.groups.items() if number in ids]

    return {
        "user_groups": rows(own),
        "user_accessible_groups": rows(accessible),
        "all_groups": rows(set(state.groups)),
    }


def post_group(state: State, user: User, body: Row) -> Any:
    required(body, "name")
    texts(body, "name", "nickname", "description")
    booleans(body, "auto_accept_requests")
    admins = known_ids(body, "group_admins", [known.id for known in state.users.values()])
    taken = any(row["name"] == body["name"] for row in state.groups.values())
    require(not taken, f"Group with name {body['name']} already exists. Please select a new one.")
    return {"id": state.add_group(body["name"], {user.id, *admins}, nickname=body.get("nickname"))}


def post_group_stream(state: State, user: User, body: Row, group_id: int) -> Any:
    required(body, "stream_id")
    stream_id = body["stream_id"]
    group = state.groups.get(group_id)
    require(group is not None and (user.is_admin or user.id in group["members"]), f"No group with ID {group_id}.")
    require(is_integer(stream_id) and stream_id in state.streams, f"No stream with ID {stream_id!r}.")
    has_access = all(stream_id in state.streams_of(member) for member in group["members"])
    require(has_access, f"Not all users have stream access with ID {stream_id}", 403)
    require(stream_id not in group["streams"], "Specified stream is already associated with this group.")
    group["streams"].add(stream_id)
    return {"group_id": group_id, "stream_id": stream_id}


def get_filters(state: State, user: User, body: Row) -> Any:
    return list(state.filters_of(user).values())


def post_filter(state: State, user: User, body: Row) -> Any:
    only(body, "name", "stream_id", "group_id", "broker_id", "altdata")
    required(body, "name", "stream_id", "group_id")
    texts(body, "name")
    known_ids({"stream_ids": [body["stream_id"]]}, "stream_ids", state.streams_of(user.id))
    groups = state.groups if user.is_admin else state.groups_of(user)
    known_ids({"group_ids": [body["group_id"]]}, "group_ids", groups)
    row = {name: body[name] for name in ("name", "stream_id", "group_id")}
    return {"id": state.add(state.filters, row)}


def get_instruments(state: State, user: User, body: Row) -> Any:
    return list(state.instruments.values())


def _shown(row: Row) -> Row:
    return {name: sorted(value) if isinstance(value, set) else value for name, value in row.items()}
