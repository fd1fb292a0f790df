"""A condition in SQL as a rule of a filter, or as the choice of rows of any table of alerts."""

from __future__ import annotations

import pyarrow as pa

from fink_broker.alert.lightcurve import Mask
from fink_broker.filters.sql.columns import COLUMNS_OF
from fink_broker.filters.sql.compiler import check_tree, column_names, compile_tree
from fink_broker.filters.sql.handler import wrong
from fink_broker.filters.sql.kernels import to_mask
from fink_broker.filters.sql.kinds import BOOLEAN
from fink_broker.filters.sql.node import Node
from fink_broker.filters.sql.parsing import parse
from fink_broker.filters.view import AlertView, BySchema


class SqlRule:
    """A condition in SQL, as it would stand behind ``WHERE``, in the dialect of Spark.

    It is compiled into calls of Arrow, once for each schema; rules that share a part of a condition compute it once
    for each batch. A missing value is neither true nor false; what has no finite result (a division by zero, the
    logarithm of a negative number) is missing.

    Parameters
    ----------
    text : str
        ``candidate.drb > 0.5 AND size(prv_candidates.magpsf) >= 3``. A column may be named by the last part of its
        path where that is clear.

    Raises
    ------
    ConfigError
        If it is no condition in SQL, or holds what rules may not hold.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._tree = parse(text)
        check_tree(self._tree)
        self._compiled: BySchema[Node] = BySchema(self._compile)
        self._reads = column_names(self._tree)

    @property
    def text(self) -> str:
        """The condition as it is written."""
        return self._text

    @property
    def reads(self) -> tuple[str, ...]:
        """Paths of the columns it reads; before the first :meth:`check`, names as they are written."""
        return self._reads

    def check(self, schema: pa.Schema) -> None:
        """See whether it can be evaluated on tables of this schema, and which columns its names mean there.

        Raises
        ------
        ConfigError
            If it reads a column that is not there, compares a text with a number, or is no condition.
        """
        self._reads = tuple(sorted(self._compiled[schema].reads))

    def decide(self, view: AlertView) -> Mask:
        """Return which alerts pass (bool, shape (n,)); where the condition is null they do not.

        Raises
        ------
        ConfigError
            As :meth:`check`.
        """
        return to_mask(self._compiled[view.schema].on(view), len(view))

    def _compile(self, schema: pa.Schema) -> Node:
        node = compile_tree(self._tree, COLUMNS_OF[schema])
        if node.kind != BOOLEAN:
            raise wrong(self._tree, node.kind, "a condition")
        return node

    def __repr__(self) -> str:
        return f"SqlRule({self._text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SqlRule) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self._text)
