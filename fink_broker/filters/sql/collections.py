"""Expressions on lists (the history of an alert) and maps, as they are written; how they are computed is in lists."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from fink_broker.errors import ConfigError
from fink_broker.filters.sql import lists
from fink_broker.filters.sql.handler import Compile, Handler, quote, wrong
from fink_broker.filters.sql.kernels import finite
from fink_broker.filters.sql.kinds import BOOLEAN, NUMBER, TEXT, WHOLE, common
from fink_broker.filters.sql.node import Node, Value, apply, as_kind, literal, text_of, whole_of

_EXTREMES: dict[type[exp.Expr], tuple[str, Callable[..., Value]]] = {
    exp.ArrayMin: ("array_min", lists.least),
    exp.ArrayMax: ("array_max", lists.greatest),
}


def _list(tree: exp.Expr, compile_one: Compile) -> Node:
    node = compile_one(tree)
    if not pa.types.is_list(node.kind):
        raise wrong(tree, node.kind, "a list")
    return node


def size(tree: exp.Expr, compile_one: Compile) -> Node:
    """Compile the number of values in a list."""
    return apply("size", WHOLE, lists.size, _list(tree.this, compile_one))


def extreme(tree: exp.Expr, compile_one: Compile) -> Node:
    """Compile the least or greatest value of a list."""
    name, function = _EXTREMES[type(tree)]
    node = _list(tree.this, compile_one)
    if node.kind.value_type not in (WHOLE, NUMBER):
        raise wrong(tree.this, node.kind, "a list of numbers")
    return apply(name, node.kind.value_type, function, node)


def has(tree: exp.Expr, compile_one: Compile) -> Node:
    """Compile ``array_contains(list, value)``."""
    node, value = _list(tree.this, compile_one), compile_one(tree.expression)
    kind = node.kind.value_type
    if common([kind, value.kind], quote(tree)) not in (BOOLEAN, WHOLE, NUMBER, TEXT):
        raise wrong(tree.this, node.kind, "a list of single values")
    if value.kind == NUMBER and kind == WHOLE:
        node = as_kind(node, pa.list_(NUMBER))
    return apply("array_contains", BOOLEAN, lists.contains, node, as_kind(value, node.kind.value_type))


def element(tree: exp.Expr, compile_one: Compile) -> Node:
    """Compile ``list[0]``, ``element_at(list, 1)``, ``map['key']`` or ``element_at(map, 'key')``."""
    node, places = compile_one(tree.this), tree.expressions
    index = compile_one(places[0]) if len(places) == 1 else literal(None, WHOLE)
    if pa.types.is_map(node.kind):
        key = text_of(index)
        if key is None or node.kind.key_type != TEXT:
            raise ConfigError(
                f"The key in {quote(tree)} is no text in quotes.", "Write element_at(mangrove, 'lum_dist')."
            )
        return of_map(node, key)
    if not pa.types.is_list(node.kind):
        raise wrong(tree.this, node.kind, "a list or a map")
    place = whole_of(index)
    if place is None or abs(place) > 2**31:
        raise ConfigError(f"The place in {quote(tree)} is no whole number.", "Write element_at(…, -1) for the last.")
    if tree.args.get("offset"):  # element_at counts from 1
        if place == 0:
            raise ConfigError(f"The place in {quote(tree)} is 0.", "element_at counts from 1, and from -1 at the end.")
        place -= place > 0
    elif place < 0:
        raise ConfigError(f"The place in {quote(tree)} is negative.", "Write element_at(…, -1) for the last.")
    return apply("element", node.kind.value_type, lambda values: lists.element(values, place), node, by=place)


def of_map(node: Node, key: str) -> Node:
    """Return the value of a map under a key; null where it has none."""
    kind = node.kind.item_type
    wanted = NUMBER if pa.types.is_floating(kind) else WHOLE if pa.types.is_integer(kind) else kind

    def look_up(maps: Value) -> Value:
        found = pc.map_lookup(maps, query_key=pa.scalar(key), occurrence="first")
        found = pc.cast(found, wanted, safe=False)
        return finite(found) if wanted == NUMBER else found

    return apply("map", wanted, look_up, node, by=key)


HANDLERS: dict[type[exp.Expr], Handler] = {
    **dict.fromkeys(_EXTREMES, extreme),
    exp.ArraySize: size,
    exp.ArrayContains: has,
    exp.Bracket: element,
}
