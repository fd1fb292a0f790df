"""Functions of texts, LIKE and RLIKE.

Patterns are those of RE2, whose time is at most the length of the text times that of the pattern with its repeats
written out: both are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from fink_broker.errors import ConfigError
from fink_broker.filters.sql.handler import Compile, Handler, quote, text
from fink_broker.filters.sql.kernels import kernel
from fink_broker.filters.sql.kinds import BOOLEAN, TEXT, WHOLE
from fink_broker.filters.sql.logic import invert
from fink_broker.filters.sql.node import Node, Value, apply, text_of, whole_of

#: Characters of a text that is joined, or matched with a pattern; longer ones are null. Those of alerts are shorter.
LONGEST_MATCHED = 1_000
#: Characters of a pattern.
LONGEST_PATTERN = 200
#: Characters of a pattern times all the counts of its repeats, ``{n}``.
LARGEST_PATTERN = 1_000
_COUNTS = re.compile(r"[{](\d+)(?:,(\d*))?[}]")
_NO_TEXT = pa.scalar(None, pa.string())

_OF_ONE: dict[type[exp.Expr], str] = {exp.Lower: "utf8_lower", exp.Upper: "utf8_upper"}
_SEARCHES: dict[type[exp.Expr], Callable[..., Value]] = {
    exp.StartsWith: pc.starts_with,
    exp.EndsWith: pc.ends_with,
    exp.Contains: pc.match_substring,
}


def of_one(tree: exp.Expr, compile_one: Compile) -> Node:
    """Compile ``lower`` or ``upper``."""
    name = _OF_ONE[type(tree)]
    return apply(name, TEXT, kernel(name), text(tree.this, compile_one))


def trimmed(tree: exp.Expr, compile_one: Compile) -> Node:
    """Compile ``trim``: without the spaces on both sides."""
    return apply("trim", TEXT, lambda texts: pc.utf8_trim(texts, characters=" "), text(tree.this, compile_one))


def length(tree: exp.Expr, compile_one: Compile) -> Node:
    """Compile the number of characters."""
    return apply("length", WHOLE, lambda texts: pc.utf8_length(texts).cast(WHOLE), text(tree.this, compile_one))


def search(tree: exp.Expr, compile_one: Compile) -> Node:
    """Compile ``startswith``, ``endswith`` or ``contains``."""
    function = _SEARCHES[type(tree)]
    pattern = _written(tree.expression, tree, compile_one)
    searched = text(tree.this, compile_one)
    return apply(function.__name__, BOOLEAN, lambda texts: function(texts, pattern=pattern), searched, by=pattern)


def like(tree: exp.Expr, compile_one: Compile) -> Node:
    r"""Compile LIKE or ILIKE: ``%`` is any text, ``_`` one character, ``\%`` and ``\_`` these signs."""
    expression = _like_expression(_pattern(tree, compile_one))
    flags = "(?is)" if isinstance(tree, exp.ILike) else "(?s)"
    found = _matches(f"{flags}^(?:{expression})$", text(tree.this, compile_one), tree)
    return invert(found) if tree.args.get("negate") else found


def regular(tree: exp.Expr, compile_one: Compile) -> Node:
    """Compile RLIKE: whether a regular expression is found somewhere in the text."""
    pattern = _pattern(tree, compile_one)
    size = len(pattern)
    for least, most in _COUNTS.findall(pattern):
        size *= max(1, *(int(count[:6]) for count in (least, most) if count))
    if size > LARGEST_PATTERN:
        raise ConfigError(
            f"{quote(tree)} has repeats that make it too long.",
            f"Its length times all counts in braces may be {LARGEST_PATTERN}; use + or * for 'any number of'.",
        )
    return _matches(pattern, text(tree.this, compile_one), tree)


def _pattern(tree: exp.Expr, compile_one: Compile) -> str:
    pattern = _written(tree.expression, tree, compile_one)
    if len(pattern) > LONGEST_PATTERN:
        raise ConfigError(
            f"The pattern in {quote(tree)} has {len(pattern)} characters.",
            f"Use at most {LONGEST_PATTERN}; a choice among many texts is better written with IN.",
        )
    return pattern


def _like_expression(pattern: str) -> str:
    signs = re.findall(r"\\.|.", pattern, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    return "".join(wild.get(sign) or _plain(sign[-1]) for sign in signs)


def _plain(sign: str) -> str:
    return sign if sign.isalnum() or not sign.isascii() else f"\\x{{{ord(sign):x}}}"


def _matches(pattern: str, searched: Node, tree: exp.Expr) -> Node:
    def match(texts: Value) -> Value:
        return pc.match_substring_regex(_bounded(texts), pattern=pattern)

    try:
        match(pa.array([""]))
    except pa.ArrowInvalid as error:
        raise ConfigError(
            f"{quote(tree)} holds no regular expression: {str(error).removeprefix('Invalid regular expression: ')}.",
            "The syntax is that of RE2, without look-ahead and back references.",
        ) from None
    return apply("match", BOOLEAN, match, searched, by=pattern)


def _bounded(texts: Value) -> Value:
    """Return texts, null in place of those beyond `LONGEST_MATCHED`."""
    return pc.if_else(pc.less_equal(pc.binary_length(texts), LONGEST_MATCHED), texts, _NO_TEXT)


def _written(tree: exp.Expr, where: exp.Expr, compile_one: Compile) -> str:
    written = text_of(compile_one(tree))
    if written is None:
        raise ConfigError(f"{quote(tree)} in {quote(where)} is no text in quotes.", "Patterns are the same for all.")
    return written


def part(tree: exp.Expr, compile_one: Compile) -> Node:
    """Compile ``substring(text, start, length)``: characters count from 1, negative ones from the end."""
    given = [tree.args.get("start"), tree.args.get("length")]
    first, count = (whole_of(compile_one(place)) if place is not None else None for place in given)
    if first is None or (given[1] is not None and count is None) or max(abs(first), abs(count or 0)) > 2**31:
        raise ConfigError(f"The places in {quote(tree)} are no whole numbers.", "Write substring(objectId, 4, 2).")
    begin = first - 1 if first > 0 else first
    end = None if count is None else begin + max(count, 0)
    if end is not None and begin < 0 <= end:
        end = None  # from the end of the text, and up to it
    node = text(tree.this, compile_one)

    def cut(texts: Value) -> Value:
        return pc.utf8_slice_codeunits(texts, start=begin, stop=end)

    return apply("substring", TEXT, cut, node, by=(begin, end))


def joined(tree: exp.Expr, compile_one: Compile) -> Node:
    """Compile ``concat`` or ``||``: null if one of the texts is, or if the whole is longer than `LONGEST_MATCHED`."""
    parts = tree.expressions if isinstance(tree, exp.Concat) else [tree.this, tree.expression]
    join = kernel("binary_join_element_wise")
    nodes = [text(one, compile_one) for one in parts]
    return apply("concat", TEXT, lambda *texts: _bounded(join(*texts, pa.scalar(""))), *nodes)


HANDLERS: dict[type[exp.Expr], Handler] = {
    **dict.fromkeys(_OF_ONE, of_one),
    **dict.fromkeys(_SEARCHES, search),
    exp.Trim: trimmed,
    exp.Length: length,
    exp.Like: like,
    exp.ILike: like,
    exp.RegexpLike: regular,
    exp.Substring: part,
    exp.Concat: joined,
    exp.DPipe: joined,
}
