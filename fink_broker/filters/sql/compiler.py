"""From the tree of a condition to the steps that evaluate it. What is not listed here does not exist in rules."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from fink_broker.errors import ConfigError
from fink_broker.filters.names import near_names
from fink_broker.filters.sql import casts, collections, logic, numbers, texts
from fink_broker.filters.sql.columns import Columns
from fink_broker.filters.sql.handler import Compile, Handler, quote
from fink_broker.filters.sql.kinds import BOOLEAN, NOTHING, TEXT
from fink_broker.filters.sql.node import Node, column, literal
from fink_broker.filters.sql.parsing import too_deep

MOST_OPERATIONS = 2_000
#: LIKE and RLIKE in one rule: they are what takes time.
MOST_PATTERNS = 20
#: Operations within one another; AND and OR of whatever length count once.
DEEPEST_OPERATIONS = 60

#: Functions by name, for hints and for the documentation.
FUNCTIONS = (
    "abs", "acos", "array_contains", "array_max", "array_min", "asin", "atan", "atan2", "cast", "ceil", "coalesce",
    "concat", "contains", "cos", "degrees", "element_at", "endswith", "exp", "floor", "greatest", "if", "ifnull",
    "isnan", "isnotnull", "isnull", "least", "length", "ln", "log", "log10", "log2", "lower", "mod", "nullif",
    "nvl", "pow", "power", "radians", "round", "sign", "sin", "size", "sqrt", "startswith", "substring", "tan",
    "trim", "try_cast", "upper",
)  # fmt: skip


def _not_null(tree: exp.Expr, compile_one: Compile) -> Node:
    return logic.invert(logic.is_null(tree, compile_one))


#: Functions the parser has no class for, of one argument.
_NAMED: dict[str, Handler] = {
    "isnull": logic.is_null,
    "isnotnull": _not_null,
    "cardinality": collections.size,
}

_HANDLERS: dict[type[exp.Expr], Handler] = {
    **logic.HANDLERS,
    **numbers.HANDLERS,
    **texts.HANDLERS,
    **collections.HANDLERS,
    **casts.HANDLERS,
}
_WHAT_IS_ALLOWED = (
    "There are comparisons, AND, OR, NOT, IN, BETWEEN, LIKE, RLIKE, IS NULL, CASE, CAST, + - * / %, ||, and functions"
    " of numbers, texts and lists."
)
_PATTERNS = (exp.Like, exp.ILike, exp.RegexpLike)
_LEAVES = (exp.Literal, exp.RawString, exp.Boolean, exp.Null, exp.Column, exp.Dot)
#: Parts of other expressions, looked at with them.
_PARTS = (exp.Identifier, exp.DataType, exp.Paren)

_USUAL = frozenset({"this", "expression", "expressions"})
#: Arguments a handler looks at, where they are not the usual ones. Any other that is given makes the form unknown.
_ARGUMENTS: dict[type[exp.Expr], frozenset[str]] = {
    exp.Between: frozenset({"this", "low", "high"}),
    exp.Case: frozenset({"this", "ifs", "default"}),
    exp.If: frozenset({"this", "true", "false"}),
    exp.Cast: frozenset({"this", "to"}),
    exp.TryCast: frozenset({"this", "to"}),
    exp.Like: frozenset({"this", "expression", "negate"}),
    exp.ILike: frozenset({"this", "expression", "negate"}),
    exp.Round: frozenset({"this", "decimals"}),
    exp.Substring: frozenset({"this", "start", "length"}),
    exp.Bracket: frozenset({"this", "expressions", "offset"}),
    exp.Trim: frozenset({"this"}),
    exp.ArraySize: frozenset({"this"}),
    exp.Column: frozenset({"this", "table", "db", "catalog"}),
    exp.Literal: frozenset({"this", "is_string"}),
}
#: Notes of the parser to itself.
_NOTES = frozenset({"safe", "typed", "coalesce", "ignore_nulls", "big_int", "flatten"})


def check_tree(tree: exp.Expr) -> None:
    """See whether a tree holds nothing but what rules may hold.

    Raises
    ------
    ConfigError
        If it holds anything else, or too much of it.
    """
    if tree.find(exp.Query):
        raise ConfigError("The rule holds a query of its own.", "A rule looks at one alert at a time, without SELECT.")
    operations = patterns = 0
    for node, depth in _with_depth(tree):
        if isinstance(node, _PARTS):
            continue
        if isinstance(node, (exp.Column, exp.Dot)) and not all(isinstance(name, exp.Identifier) for name in node.parts):
            raise ConfigError(f"{quote(node)} is no column.", "Name one with its path: candidate.magpsf.")
        if not isinstance(node, _LEAVES):
            operations += 1
            patterns += isinstance(node, _PATTERNS)
            _check_known(node)
        given = {name for name, value in node.args.items() if value not in (None, False, [])}
        if given - _ARGUMENTS.get(type(node), _USUAL) - _NOTES:
            raise ConfigError(f"This form of {quote(node)} is not known here.", "Write it in a simpler way.")
        if depth > DEEPEST_OPERATIONS:
            raise ConfigError(
                f"The rule has more than {DEEPEST_OPERATIONS} operations within one another.",
                "Shorten its sums, or split it with AND or OR, of which there may be many.",
            )
    if operations > MOST_OPERATIONS:
        raise ConfigError(
            f"The rule has {operations} operations.",
            f"Use at most {MOST_OPERATIONS}; write a = 1 OR a = 2 as a IN (1, 2).",
        )
    if patterns > MOST_PATTERNS:
        raise ConfigError(
            f"The rule has {patterns} LIKE and RLIKE.",
            f"Use at most {MOST_PATTERNS}; RLIKE '^(AGN|Blazar)' holds a choice, and IN whole texts.",
        )


def compile_tree(tree: exp.Expr, columns: Columns) -> Node:
    """Compile a checked tree for tables with some columns.

    Raises
    ------
    ConfigError
        If a column is not there, or a value is of a type that does not fit.
    """

    def compile_one(part: exp.Expr) -> Node:
        part = part.unnest()
        if isinstance(part, (exp.Column, exp.Dot)):
            return _column(part, columns)
        if isinstance(part, _LEAVES):
            return _literal(part)
        if isinstance(part, exp.Anonymous):
            return _NAMED[_name(part)](exp.IsNan(this=part.expressions[0].copy()), compile_one)
        return _HANDLERS[type(part)](part, compile_one)

    try:
        return compile_one(tree)
    except RecursionError:
        raise too_deep() from None


def column_names(tree: exp.Expr) -> tuple[str, ...]:
    """Return the names of the columns in a tree, as they are written."""
    found = [_path(node) for node, _ in _with_depth(tree) if isinstance(node, (exp.Column, exp.Dot))]
    return tuple(sorted(set(found)))


def _with_depth(tree: exp.Expr) -> Iterator[tuple[exp.Expr, int]]:
    """Give all nodes but those within columns, with how many operations they are in."""
    waiting = [(tree, 0)]
    while waiting:
        node, depth = waiting.pop()
        yield node, depth
        if isinstance(node, (exp.Column, exp.Dot)):
            continue
        for child in node.iter_expressions():
            same = isinstance(node, (exp.And, exp.Or)) and type(child.unnest()) is type(node)
            waiting.append((child, depth + (not same and not isinstance(node, exp.Paren))))


def _check_known(node: exp.Expr) -> None:
    if isinstance(node, exp.Anonymous) and _name(node) in _NAMED:
        if len(node.expressions) != 1:
            raise ConfigError(f"{quote(node)} takes one argument.", f"Write {_name(node)}(column).")
        return
    if type(node) in _HANDLERS or (isinstance(node, exp.If) and isinstance(node.parent, exp.Case)):
        return
    if isinstance(node, exp.Window):
        raise ConfigError("The rule holds a window over several alerts.", "A rule looks at one alert at a time.")
    if isinstance(node, (exp.Anonymous, exp.Func)):
        raise ConfigError(
            f"There is no function '{_name(node)}' in rules.", near_names(_name(node), FUNCTIONS, "functions")
        )
    raise ConfigError(f"{quote(node)} is not allowed in rules.", _WHAT_IS_ALLOWED)


def _name(node: exp.Expr) -> str:
    name = node.name if isinstance(node, exp.Anonymous) else node.sql_name()  # type: ignore[attr-defined]
    return str(name).lower()


def _path(node: exp.Column | exp.Dot) -> str:
    return ".".join(part.name for part in node.parts)


def _literal(node: exp.Expr) -> Node:
    if isinstance(node, exp.Null):
        return literal(None, NOTHING)
    if isinstance(node, exp.Boolean):
        return literal(bool(node.this), BOOLEAN)
    if isinstance(node, exp.Literal) and not node.is_string:
        return numbers.literal_number(node)
    return literal(str(node.this), TEXT)


def _column(node: exp.Column | exp.Dot, columns: Columns) -> Node:
    name = _path(node)
    in_map = columns.find_map(name)
    if in_map:
        return collections.of_map(column(in_map[0], columns.type_of(in_map[0])), in_map[1])
    path = columns.find(name)
    return column(path, columns.type_of(path))
