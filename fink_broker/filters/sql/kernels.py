"""Arithmetic that gives null where there is no finite result, so that neither NaN nor infinity ever appears."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fink_broker.filters.sql.node import Value

_NO_NUMBER = pa.scalar(None, pa.float64())
_NO_WHOLE = pa.scalar(None, pa.int64())


def kernel(name: str) -> Callable[..., Value]:
    """Return a function of Arrow that needs no options, without the checks of its wrapper."""
    function = pc.get_function(name)
    return lambda *values: function.call(list(values))


_is_finite, _if_else, _is_null = kernel("is_finite"), kernel("if_else"), kernel("is_null")


def to_number(values: Value) -> Value:
    """Return whole numbers as numbers (float64), rounded beyond 2^53."""
    return pc.cast(values, pa.float64(), safe=False)


def finite(values: Value) -> Value:
    """Return numbers (float64), null in place of NaN and infinity."""
    return _if_else(_is_finite(values), values, _NO_NUMBER)


def finite_kernel(name: str) -> Callable[..., Value]:
    """Return a function of numbers (float64): null where the result is not finite."""
    function = kernel(name)
    return lambda *values: finite(function(*values))


def whole_kernel(name: str) -> Callable[..., Value]:
    """Return a function of whole numbers (int64): null where the result does not fit in 64 bits."""
    checked, rough = kernel(f"{name}_checked"), kernel(name)

    def compute(*values: Value) -> Value:
        try:
            return checked(*values)
        except pa.ArrowInvalid:  # some row overflows: there the result is off by a multiple of 2^64
            found, about = rough(*values), rough(*map(to_number, values))
            error = pc.abs(pc.subtract(to_number(found), about))
            return _if_else(pc.less(error, 2.0**62), found, _NO_WHOLE)

    return compute


def whole_remainder(dividend: Value, divisor: Value) -> Value:
    """Return the remainder of whole numbers, with the sign of the dividend; null for a divisor of 0."""
    # a divisor of -1 leaves nothing, and overflows with the least number there is
    safe = _if_else(pc.is_in(divisor, value_set=pa.array([0, -1])), pa.scalar(1), divisor)
    found = pc.call_function("remainder", [dividend, safe])
    return _if_else(pc.equal(divisor, 0), _NO_WHOLE, found)


def truncated(values: Value) -> Value:
    """Return numbers as whole numbers, cut towards zero; null where they do not fit in 64 bits."""
    cut = pc.trunc(values)
    fits = pc.and_(pc.greater_equal(cut, -(2.0**63)), pc.less(cut, 2.0**63))
    return _if_else(fits, cut, _NO_NUMBER).cast(pa.int64())


_NUMERAL = r"^[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]+)?$"
_WHOLE_NUMERAL = r"^[+-]?[0-9]{1,18}$"


def number_of_text(texts: Value) -> Value:
    """Return the numbers (float64) that texts spell; null where they spell none."""
    return finite(_spelled(texts, _NUMERAL).cast(pa.float64()))


def whole_of_text(texts: Value) -> Value:
    """Return the whole numbers (int64) that texts spell, cut towards zero; null where they spell none."""
    exact = _spelled(texts, _WHOLE_NUMERAL).cast(pa.int64())
    return pc.coalesce(exact, truncated(number_of_text(texts)))


def _spelled(texts: Value, pattern: str) -> Value:
    bare = pc.utf8_trim_whitespace(texts)
    bare = _if_else(pc.match_substring_regex(bare, pattern), bare, pa.scalar(None, pa.string()))
    return pc.utf8_ltrim(bare, "+")


TRUE_WORDS, FALSE_WORDS = ("t", "true", "y", "yes", "1"), ("f", "false", "n", "no", "0")


def boolean_of_text(texts: Value) -> Value:
    """Return what texts say, as Spark has it: t, true, y, yes, 1 or f, false, n, no, 0; null for all others."""
    word = pc.utf8_lower(pc.utf8_trim_whitespace(texts))
    says_yes = pc.is_in(word, value_set=pa.array(TRUE_WORDS))
    known = pc.or_(says_yes, pc.is_in(word, value_set=pa.array(FALSE_WORDS)))
    return _if_else(known, says_yes, pa.scalar(None, pa.bool_()))


def to_mask(values: Value, length: int) -> np.ndarray:
    """Return where a condition (bool) holds, shape (length,); null does not."""
    if isinstance(values, pa.Scalar):
        return np.full(length, values.as_py() is True)
    return np.asarray(values.fill_null(False).to_numpy(zero_copy_only=False), dtype=bool)
