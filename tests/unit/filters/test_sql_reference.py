"""Conditions in SQL beside an evaluator that goes row by row and has three values: true, false and None.

Each expression is drawn as its text and as a function of a row, so that neither knows of the other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from fink_broker.filters.sql import SqlRule
from fink_broker.filters.view import AlertView

Row = dict[str, Any]


class Drawn(NamedTuple):
    text: str
    value: Callable[[Row], Any]


KINDS = {
    "i": pa.int64(), "j": pa.int64(), "x": pa.float64(), "y": pa.float64(), "s": pa.string(), "t": pa.string(),
    "b": pa.bool_(), "c": pa.bool_(), "l": pa.list_(pa.int64()), "m": pa.list_(pa.float64()),
}  # fmt: skip
INTEGERS = st.integers(-4, 4) | st.sampled_from([2**31, 2**53 + 1, 2**62, -(2**62), 2**63 - 1])
FLOATS = st.sampled_from([-2.5, -1.0, -0.0, 0.0, 0.5, 1.0, 3.0, 1e-300, 1e300])
TEXTS = st.sampled_from(["", "a", "A", "ab", "a.b", "a%", "é", "it's", "a\\"])
ROWS = st.fixed_dictionaries(
    {
        **dict.fromkeys("ij", st.none() | INTEGERS),
        **dict.fromkeys("xy", st.none() | FLOATS | st.just(math.nan)),
        **dict.fromkeys("st", st.none() | TEXTS),
        **dict.fromkeys("bc", st.none() | st.booleans()),
        "l": st.none() | st.lists(st.none() | INTEGERS, max_size=3),
        "m": st.none() | st.lists(st.none() | FLOATS | st.just(math.nan), max_size=3),
    }
)


def quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def column(name: str) -> Drawn:
    return Drawn(name, lambda row: row[name])


def literal(value: Any) -> Drawn:
    written = quoted(value) if isinstance(value, str) else str(value)
    return Drawn(f"({written})", lambda _row: value)


def strict(template: str, function: Callable[..., Any]) -> Callable[..., Drawn]:
    """An expression that is null where an argument is, or where there is no finite result."""

    def combine(*parts: Drawn) -> Drawn:
        def value(row: Row) -> Any:
            values = [part.value(row) for part in parts]
            return None if None in values else bounded(function, values)

        return Drawn(template.format(*[part.text for part in parts]), value)

    return combine


def bounded(function: Callable[..., Any], values: list[Any]) -> Any:
    try:
        found = function(*values)
    except (ZeroDivisionError, OverflowError, ValueError):
        return None
    if isinstance(found, float) and not math.isfinite(found):
        return None
    return None if type(found) is int and not -(2**63) <= found < 2**63 else found


def loose(template: str, function: Callable[..., Any]) -> Callable[..., Drawn]:
    """An expression that is told of nulls."""
    return lambda *parts: Drawn(
        template.format(*[part.text for part in parts]), lambda row: function(*[part.value(row) for part in parts])
    )


def either(*values: Any) -> Any:
    return True if True in values else None if None in values else False


def both(*values: Any) -> Any:
    return False if False in values else None if None in values else True


def contrary(value: Any) -> Any:
    return None if value is None else not value


def first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def among(value: Any, *choices: Any) -> Any:
    return either(*[None if value is None or choice is None else value == choice for choice in choices])


def has(values: list[Any] | None, value: Any) -> Any:
    return None if values is None or value is None else either(*[None if v is None else v == value for v in values])


def remainder(value: int, divisor: int) -> int:
    return int(math.copysign(1, value)) * (abs(value) % abs(divisor))


def drawn(strategy: st.SearchStrategy[Drawn], *builders: tuple[Callable[..., Drawn], int]) -> st.SearchStrategy[Drawn]:
    return st.one_of([st.builds(builder, *[strategy] * count) for builder, count in builders])


def whole(inner: st.SearchStrategy[Drawn]) -> st.SearchStrategy[Drawn]:
    return drawn(
        inner,
        (strict("({} + {})", lambda a, b: a + b), 2),
        (strict("({} - {})", lambda a, b: a - b), 2),
        (strict("({} * {})", lambda a, b: a * b), 2),
        (strict("({} % {})", remainder), 2),
        (strict("(- {})", lambda a: -a), 1),
        (strict("abs({})", abs), 1),
        (loose("coalesce({}, {})", first), 2),
        (loose("nullif({}, {})", lambda a, b: None if a is not None and a == b else a), 2),
        (loose("greatest({}, {})", lambda a, b: max((v for v in (a, b) if v is not None), default=None)), 2),
        (loose("least({}, {})", lambda a, b: min((v for v in (a, b) if v is not None), default=None)), 2),
    )


LISTS = st.sampled_from(
    [
        loose("size({})", lambda a: None if a is None else len(a))(column("l")),
        loose("array_max({})", lambda a: max((v for v in a or () if v is not None), default=None))(column("l")),
        loose("array_min({})", lambda a: min((v for v in a or () if v is not None), default=None))(column("l")),
        loose("element_at({}, -1)", lambda a: a[-1] if a else None)(column("l")),
        loose("{}[1]", lambda a: a[1] if a and len(a) > 1 else None)(column("l")),
    ]
)
WHOLE = st.recursive(
    st.sampled_from(["i", "j"]).map(column) | INTEGERS.map(literal) | LISTS, whole, max_leaves=4
)  # fmt: skip


def decimal(inner: st.SearchStrategy[Drawn]) -> st.SearchStrategy[Drawn]:
    return drawn(
        inner,
        (strict("({} + {})", lambda a, b: a + b), 2),
        (strict("({} - {})", lambda a, b: a - b), 2),
        (strict("({} * {})", lambda a, b: a * b), 2),
        (strict("({} / {})", lambda a, b: a / b), 2),
        (strict("({} % {})", math.fmod), 2),
        (strict("sqrt({})", math.sqrt), 1),
        (strict("floor({})", lambda a: float(math.floor(a))), 1),
        (strict("abs({})", abs), 1),
        (loose("coalesce({}, {})", first), 2),
    ) | st.builds(strict("cast({} AS double)", float), WHOLE)


DECIMAL = st.recursive(
    st.sampled_from(["x", "y"]).map(column)
    | FLOATS.map(literal)
    | st.just(loose("array_max({})", lambda a: max((v for v in a or () if v is not None), default=None))(column("m"))),
    decimal,
    max_leaves=4,
)
TEXT = st.recursive(
    st.sampled_from(["s", "t"]).map(column) | TEXTS.map(literal),
    lambda inner: drawn(
        inner,
        (strict("concat({}, {})", lambda a, b: a + b), 2),
        (strict("upper({})", str.upper), 1),
        (strict("substring({}, 1, 1)", lambda a: a[:1]), 1),
        (strict("substring({}, -1)", lambda a: a[-1:]), 1),
    ),
    max_leaves=3,
)


def comparisons(values: st.SearchStrategy[Drawn]) -> st.SearchStrategy[Drawn]:
    return drawn(
        values,
        (strict("({} = {})", lambda a, b: a == b), 2),
        (strict("({} <> {})", lambda a, b: a != b), 2),
        (strict("({} < {})", lambda a, b: a < b), 2),
        (strict("({} >= {})", lambda a, b: a >= b), 2),
        (loose("({} <=> {})", lambda a, b: a == b), 2),
        (loose("({} IS NULL)", lambda a: a is None), 1),
        (loose("({} IN ({}, {}))", among), 3),
        (loose("({} NOT IN ({}, NULL))", lambda a, b: contrary(among(a, b, None))), 2),
        (loose("({} BETWEEN {} AND {})", lambda a, b, c: both(order(b, a), order(a, c))), 3),
    )


def order(low: Any, high: Any) -> Any:
    return None if low is None or high is None else low <= high


PATTERNS = st.sampled_from([("a%", str.startswith), ("%b", str.endswith), ("%.%", str.__contains__)])
LIKES = st.builds(
    lambda text, pattern: strict(
        "({} LIKE " + quoted(pattern[0]) + ")", lambda a: pattern[1](a, pattern[0].strip("%"))
    )(text),
    TEXT,
    PATTERNS,
)
HAS = loose("array_contains({}, {})", has)
ATOMS = st.one_of(
    comparisons(WHOLE),
    comparisons(DECIMAL),
    comparisons(TEXT),
    LIKES,
    st.sampled_from(["b", "c"]).map(column),
    st.builds(HAS, st.just(column("l")), WHOLE),
)
CONDITION = st.recursive(
    ATOMS,
    lambda inner: drawn(
        inner,
        (loose("({} AND {})", both), 2),
        (loose("({} OR {})", either), 2),
        (loose("({} OR {} OR {})", either), 3),
        (loose("(NOT {})", contrary), 1),
        (loose("({} IS NOT TRUE)", lambda a: a is not True), 1),
        (loose("(CASE WHEN {} THEN {} ELSE {} END)", lambda a, b, c: b if a else c), 3),
        (loose("if({}, {}, {})", lambda a, b, c: b if a else c), 3),
    ),
    max_leaves=6,
)


def plain(row: Row) -> Row:
    """A row as rules see it: NaN is null."""
    listed = None if row["m"] is None else [None if v is None or math.isnan(v) else v for v in row["m"]]
    kept = {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in row.items()}
    return kept | {"m": listed}


@settings(max_examples=120, deadline=None)
@given(CONDITION, st.lists(ROWS, min_size=1, max_size=12))
def test_a_condition_holds_where_the_row_by_row_evaluator_says_so(condition: Drawn, rows: list[Row]) -> None:
    table = pa.table({name: pa.array([row[name] for row in rows], kind) for name, kind in KINDS.items()})
    for text, wanted in (
        (condition.text, [condition.value(plain(row)) is True for row in rows]),
        (f"{condition.text} IS NULL", [condition.value(plain(row)) is None for row in rows]),
    ):
        assert SqlRule(text).decide(AlertView(table)).tolist() == wanted, text


@settings(max_examples=30, deadline=None)
@given(st.lists(CONDITION, min_size=2, max_size=6), st.lists(ROWS, min_size=1, max_size=5))
def test_rules_that_share_a_view_do_not_disturb_one_another(conditions: list[Drawn], rows: list[Row]) -> None:
    table = pa.table({name: pa.array([row[name] for row in rows], kind) for name, kind in KINDS.items()})
    view = AlertView(table)
    for condition in conditions:
        alone = SqlRule(condition.text).decide(AlertView(table))
        assert SqlRule(condition.text).decide(view).tolist() == alone.tolist()


@settings(max_examples=30, deadline=None)
@given(CONDITION, st.lists(ROWS, min_size=2, max_size=8))
def test_an_alert_is_judged_alone(condition: Drawn, rows: list[Row]) -> None:
    """What a rule says of an alert does not depend on the others of the batch."""
    table = pa.table({name: pa.array([row[name] for row in rows], kind) for name, kind in KINDS.items()})
    rule = SqlRule(condition.text)
    together = rule.decide(AlertView(table)).tolist()
    assert [rule.decide(AlertView(table.slice(number, 1)))[0] for number in range(len(rows))] == together
