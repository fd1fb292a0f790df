"""Sources, candidates and annotations."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from .checks import Refusal, is_integer, known_ids, position, require, required, texts
from .state import Row, State, User

OBJECT_ID = re.compile(r"[A-Za-z0-9_\-;:+.]+")


def post_source(state: State, user: User, body: Row) -> Any:
    own = state.groups_of(user)
    require(own, "You must belong to one or more groups before you can add sources.")
    groups = known_ids(body, "group_ids", state.groups if user.is_admin else own) or own
    _make_object(state, body)
    state.sources.update((body["id"], group) for group in groups)
    return {"id": body["id"], "saved_to_groups": groups}


def post_candidate(state: State, user: User, body: Row) -> Any:
    required(body, "id", "filter_ids", "passed_at")
    passed_at = _utc(body["passed_at"])
    passing = body.get("passing_alert_id")
    require(passing is None or is_integer(passing), "passing_alert_id: not an integer")
    wanted = body["filter_ids"]
    require(isinstance(wanted, list) and all(map(is_integer, wanted)), "filter_ids: not a list of integers")
    accessible = state.filters_of(user)
    filters = [number for number in dict.fromkeys(wanted) if number in accessible]
    require(filters, "At least one valid filter ID must be provided.")
    obj_id = body["id"]
    for number in filters:
        known = state.candidates_of.get((obj_id, number), {}) if isinstance(obj_id, str) else {}
        is_older = passed_at not in known and any(passed_at < other for other in known)
        require(not is_older, f"passed_at is before that of a candidate of {obj_id} that is there already")
    _make_object(state, body)
    ids = []
    for number in filters:
        known = state.candidates_of.setdefault((obj_id, number), {})
        if passed_at not in known:
            row = {"obj_id": obj_id, "filter_id": number, "passed_at": passed_at, "passing_alert_id": passing}
            known[passed_at] = state.add(state.candidates, row)
        ids.append(known[passed_at])
    return {"ids": ids}


def get_annotations(state: State, user: User, body: Row, obj_id: str) -> Any:
    require(obj_id in state.objects, f"Object {obj_id} does not exist.", 404)
    return [row for row in state.annotations.values() if row["obj_id"] == obj_id]


def post_annotation(state: State, user: User, body: Row, obj_id: str) -> Any:
    require(obj_id in state.objects, f"Object {obj_id} does not exist.", 404)
    required(body, "origin", "data")
    row = _annotation(state, body)
    is_taken = (obj_id, row["origin"]) in state.annotation_ids
    require(not is_taken, f"Annotation with origin {row['origin']} of object {obj_id} already exists.")
    number = state.add(state.annotations, {"obj_id": obj_id, "author_id": user.id, **row})
    state.annotation_ids[obj_id, row["origin"]] = number
    return {"annotation_id": number}


def put_annotation(state: State, user: User, body: Row, obj_id: str, number: int) -> Any:
    known = state.annotations.get(number)
    if known is None or known["author_id"] != user.id:
        raise Refusal(f"Cannot find or access annotation with ID {number}.", 403)
    require(known["obj_id"] == obj_id, "The object of the annotation is not that of the path.")
    row = _annotation(state, body)
    origin = row.get("origin", known["origin"])
    is_taken = state.annotation_ids.get((obj_id, origin), number) != number
    require(not is_taken, f"Annotation with origin {origin} of object {obj_id} already exists.")
    del state.annotation_ids[obj_id, known["origin"]]
    state.annotation_ids[obj_id, origin] = number
    known.update(row)
    return {}


def _annotation(state: State, body: Row) -> Row:
    texts(body, "origin")
    row = {name: body[name] for name in ("origin", "data") if body.get(name) is not None}
    require(re.match(r"\w+", row.get("origin", "x")), "origin: must begin with a letter or digit")
    require(isinstance(row.get("data", {}), dict), "data: not an object")
    known_ids(body, "group_ids", state.groups)
    return row


def _make_object(state: State, body: Row) -> None:
    required(body, "id")
    obj_id = body["id"]
    require(isinstance(obj_id, str) and OBJECT_ID.fullmatch(obj_id), f"id: characters not allowed: {obj_id!r:.60}")
    is_new = obj_id not in state.objects
    position(body, is_new=is_new)
    if is_new:
        state.objects[obj_id] = {"id": obj_id, "ra": body["ra"], "dec": body["dec"]}


def _utc(text: Any) -> str:
    """Return a time as ISO text in UTC to the microsecond, which sorts as the times do."""
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise Refusal(f"passed_at: not a time: {text!r:.60}") from None
    moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")
