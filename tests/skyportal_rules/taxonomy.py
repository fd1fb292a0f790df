"""Taxonomies, and the classifications in their terms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .checks import Refusal, booleans, is_integer, is_number, known_ids, only, require, required, texts
from .state import Row, State, User

FIELDS = ("obj_id", "classification", "taxonomy_id", "probability", "group_ids", "origin", "ml", "author_name")


def get_taxonomies(state: State, user: User, body: Row) -> Any:
    return list(state.taxonomies.values())


def get_taxonomy(state: State, user: User, body: Row, number: int) -> Any:
    require(number in state.taxonomies, f"Taxonomy {number} does not exist or is not available to user.")
    return state.taxonomies[number]


def post_taxonomy(state: State, user: User, body: Row) -> Any:
    only(body, "name", "version", "hierarchy", "hierarchy_file", "group_ids", "provenance", "isLatest")
    required(body, "name", "version")
    texts(body, "name", "version", "provenance")
    booleans(body, "isLatest")
    require("hierarchy_file" not in body, "hierarchy_file: this server reads hierarchy only")
    required(body, "hierarchy")
    _check_hierarchy(body["hierarchy"])
    known_ids(body, "group_ids", state.groups)
    name, version = body["name"], body["version"]
    namesakes = [row for row in state.taxonomies.values() if row["name"] == name]
    require(all(row["version"] != version for row in namesakes), f"Taxonomy {name} {version} already exists.")
    is_latest = body.get("isLatest", True)
    for row in namesakes if is_latest else ():
        row["isLatest"] = False
    row = {"name": name, "version": version, "hierarchy": body["hierarchy"], "isLatest": is_latest}
    return {"taxonomy_id": state.add(state.taxonomies, row)}


def get_classifications(state: State, user: User, body: Row, obj_id: str) -> Any:
    require(obj_id in state.objects, f"Source {obj_id} does not exist.", 404)
    return [row for row in state.classifications.values() if row["obj_id"] == obj_id]


def post_classification(state: State, user: User, body: Row) -> Any:
    row = _classification(state, user, body)
    return {"classification_id": state.add(state.classifications, row)}


def put_classification(state: State, user: User, body: Row, number: int) -> Any:
    known = state.classifications.get(number)
    if known is None or known["author_id"] != user.id:
        raise Refusal(f"No accessible classification with ID {number}.", 403)
    row = _classification(state, user, body)
    require(row["obj_id"] == known["obj_id"], "obj_id: not the object of this classification")
    known.update(row)
    return {"classification_id": number}


def _classification(state: State, user: User, body: Row) -> Row:
    only(body, *FIELDS)
    required(body, "obj_id", "classification", "taxonomy_id")
    texts(body, "obj_id", "classification", "origin")
    booleans(body, "ml")
    obj_id, name, taxonomy_id = body["obj_id"], body["classification"], body["taxonomy_id"]
    require(obj_id in state.objects, f"Object {obj_id} does not exist.")
    require(is_integer(taxonomy_id) and taxonomy_id in state.taxonomies, f"No taxonomy with ID {taxonomy_id!r}.")
    allowed = set(_classes(state.taxonomies[taxonomy_id]["hierarchy"]))
    require(name in allowed, f"That classification ({name}) is not in the allowed classes for the chosen taxonomy")
    probability = body.get("probability")
    in_range = probability is None or (is_number(probability) and 0 <= probability <= 1)
    require(in_range, f"probability: not between 0 and 1: {probability!r:.60}")
    known_ids(body, "group_ids", state.groups)
    return {
        "obj_id": obj_id,
        "classification": name,
        "taxonomy_id": taxonomy_id,
        "probability": probability,
        "author_id": user.id,
        "author_name": user.name,
    }


def _check_hierarchy(node: Any) -> None:
    require(isinstance(node, dict), "hierarchy: each entry is an object with class, subclasses, other names")
    only(node, "class", "subclasses", "other names")
    require(isinstance(node.get("class"), str) and node["class"], "hierarchy: class is missing")
    others, below = node.get("other names", []), node.get("subclasses", [])
    are_texts = isinstance(others, list) and all(isinstance(name, str) for name in others)
    require(are_texts, "hierarchy: other names is a list of texts")
    require(isinstance(below, list), "hierarchy: subclasses is a list")
    for child in below:
        _check_hierarchy(child)


def _classes(node: Row) -> Iterator[str]:
    yield node["class"]
    yield from node.get("other names", [])
    for child in node.get("subclasses", []):
        yield from _classes(child)
