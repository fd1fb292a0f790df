r"""From the text of a condition to its tree, and what is refused on the way: the text is a stranger's.

The dialect is that of Spark: ``\'`` is a quote within a text, names may stand in backticks, ``==`` is ``=``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, TokenError
from sqlglot.tokens import Token, TokenType

from fink_broker.errors import ConfigError

DIALECT = "spark"
LONGEST_TEXT = 20_000
#: Characters of a text in quotes.
LONGEST_QUOTED = 1_000
#: Brackets and CASE within one another; the parser recurses into each of them.
DEEPEST = 24
_OPENING = {TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE, TokenType.CASE}
_CLOSING = {TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE, TokenType.END}
_TEXTS = {TokenType.STRING, TokenType.RAW_STRING}
_QUOTED = _TEXTS | {TokenType.IDENTIFIER}
#: What may follow a backslash within a text; Spark drops the backslash of all others without a word.
_ESCAPES = re.compile(r"\\([^\\'\"ntr%_])")
#: How the parser begins to say so; it goes on with a class of its own.
_MISSING = "Required keyword"


def parse(text: str) -> exp.Expr:
    """Return the tree of a condition.

    Parameters
    ----------
    text : str
        What would stand behind ``WHERE``.

    Raises
    ------
    ConfigError
        If it is no single condition in SQL, is too long, nested too deeply, or holds comments or control characters.
    """
    _check_characters(text)
    try:
        tokens = sqlglot.tokenize(text, read=DIALECT)
        _check_tokens(text, tokens)
        tree = sqlglot.parse_one(text, into=exp.Condition, dialect=DIALECT)
    except TokenError:
        raise ConfigError("The rule ends within a quoted text or name.", "Close the quote it opens.") from None
    except ParseError as error:
        raise _not_parsed(error) from None
    except RecursionError:
        raise too_deep() from None
    return tree


def too_deep() -> ConfigError:
    """Return the error of a rule nested too deeply."""
    return ConfigError(
        "The rule is nested too deeply.", f"Use at most {DEEPEST} brackets, CASE or NOT within one another."
    )


def _check_characters(text: str) -> None:
    if not text.strip():
        raise ConfigError("The rule is empty.", "Write a condition such as candidate.drb > 0.5.")
    if len(text) > LONGEST_TEXT:
        raise ConfigError(
            f"The rule has {len(text)} characters.",
            f"Use at most {LONGEST_TEXT}; a long list of positions or names is better a watchlist.",
        )
    for place, sign in enumerate(text):
        if unicodedata.category(sign) in ("Cc", "Cs") and sign not in "\t\n\r":
            raise ConfigError(
                f"The rule holds the control character U+{ord(sign):04X} at place {place + 1}.", "Take it out."
            )


def _check_tokens(text: str, tokens: Sequence[Token]) -> None:
    depth = run = 0
    outside = list(text)
    for number, token in enumerate(tokens):
        if token.comments:
            raise ConfigError("The rule holds a comment.", "Put it into the description of the filter.")
        if token.token_type == TokenType.SEMICOLON:
            raise ConfigError("The rule holds a semicolon.", "Write one condition; join several with AND or OR.")
        if token.token_type in _QUOTED:
            outside[token.start : token.end + 1] = " " * (token.end + 1 - token.start)
        if token.token_type in _TEXTS and number and tokens[number - 1].token_type in _TEXTS:
            raise ConfigError(
                f"Two texts follow one another before '{_short(token.text)}'.",
                r"Write \' for a quote within a text, concat(a, b) to join two.",
            )
        if token.token_type in _TEXTS and len(token.text) > LONGEST_QUOTED:
            raise ConfigError(
                f"The text '{_short(token.text)}' has {len(token.text)} characters.",
                f"Use at most {LONGEST_QUOTED}: no text of an alert is longer.",
            )
        if token.token_type == TokenType.STRING:
            _check_escapes(text[token.start : token.end + 1])
        depth += (token.token_type in _OPENING) - (token.token_type in _CLOSING)
        run = run + 1 if token.token_type in (TokenType.NOT, TokenType.DASH) else 0
        if depth + run > DEEPEST:
            raise too_deep()
    for sign in outside:
        if not sign.isascii():
            raise ConfigError(
                f"The rule holds the sign '{sign}' (U+{ord(sign):04X}) outside of quotes.",
                "Names and operators are plain letters and signs: >= for ≥, ' for ’; names of others in backticks.",
            )


def _check_escapes(quoted: str) -> None:
    # two backslashes are one in the text, whatever follows them
    lost = _ESCAPES.search(quoted[1:-1].replace("\\\\", ""))
    if lost:
        raise ConfigError(
            f"The backslash before '{lost[1]}' would be lost.",
            f"Write it twice, \\\\{lost[1]}, or the text as r'…'; in a regular expression [0-9] is a digit, [.] a dot.",
        )


def _not_parsed(error: ParseError) -> ConfigError:
    if not error.errors:
        return ConfigError("The rule is no condition in SQL.", "Write a condition such as candidate.drb > 0.5.")
    found = error.errors[0]
    description, near = str(found.get("description", "")), str(found.get("highlight", ""))
    if _MISSING in description:
        what = "something is missing"
    elif "Expecting )" in description:
        what = "a bracket is not closed"
    elif "number of provided arguments" in description:
        what = "a function has too many arguments"
    else:
        what = "this does not belong here"
    return ConfigError(
        f"The rule is no condition in SQL: {what}, at '{_short(near)}' in line {found.get('line')},"
        f" column {found.get('col')}.",
        "Write one condition, as behind WHERE: candidate.drb > 0.5 AND roid <> 3.",
    )


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"
