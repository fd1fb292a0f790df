"""What a transfer is asked for: nights, classes, a condition, columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from fink_broker.alert.lightcurve import Mask
from fink_broker.errors import UsageError
from fink_broker.filters.filter import Output
from fink_broker.filters.rule import Rule
from fink_broker.filters.sql import SqlRule
from fink_broker.filters.view import AlertView

OUTPUTS: tuple[Output, ...] = ("full", "light_curve", "thin")

#: How a class begins that is not a ``finkclass``, and the column it is looked up in.
ORIGINS = {"(TNS) ": "tns", "(SIMBAD) ": "cdsxmatch"}
FINKCLASS = "finkclass"


@dataclass(frozen=True)
class Selection:
    """Which alerts, and what of them. Two transfers of one selection send the same kind of messages.

    Parameters
    ----------
    start, stop : str
        First and last observing night, ``YYYYMMDD``.
    classes : tuple of str
        Alerts of any of these: values of ``finkclass``, or types as ``(TNS) SN Ia`` and ``(SIMBAD) QSO``; none: all.
    where : str
        SQL condition they meet as well; empty: none.
    output : {"full", "light_curve", "thin"}
        full: the whole alert. light_curve: without images. thin: without images and history.
    columns : tuple of str
        Columns instead, fields of groups with a dot.
    """

    start: str
    stop: str
    classes: tuple[str, ...] = ()
    where: str = ""
    output: Output = "full"
    columns: tuple[str, ...] = ()

    @classmethod
    def asked(
        cls,
        start: str,
        stop: str,
        *,
        classes: Sequence[str] = (),
        where: str = "",
        output: str = "",
        columns: Sequence[str] = (),
    ) -> Selection:
        """Return the selection a user asks for, with nights as ``YYYY-MM-DD``.

        Raises
        ------
        UsageError
            If a night is no date, the last is before the first, or output is unknown or asked for besides columns.
        """
        first, last = _night(start, "--start"), _night(stop, "--stop")
        if last < first:
            raise UsageError(f"The last night {stop} is before the first, {start}.", "Exchange --start and --stop.")
        kind = next((known for known in OUTPUTS if known == (output or "full")), None)
        if kind is None:
            raise UsageError(f"'{output}' is no kind of output.", f"Take one of {', '.join(OUTPUTS)}.")
        chosen = tuple(dict.fromkeys(name.strip() for name in columns if name.strip()))
        if output and chosen:
            raise UsageError("--output and --columns exclude each other.", "Give one of them.")
        wanted = tuple(sorted({" ".join(name.split()) for name in classes if name.strip()}))
        return cls(first, last, wanted, where.strip(), kind, chosen)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Selection:
        """Return the selection that was written as a dict of JSON."""
        return cls(**{**content, "classes": tuple(content["classes"]), "columns": tuple(content["columns"])})

    def holds(self, night: str) -> bool:
        """Tell whether a night (``YYYYMMDD``) is among those asked for."""
        return self.start <= night <= self.stop

    def __str__(self) -> str:
        parts = [f"nights {_dashed(self.start)} to {_dashed(self.stop)}"]
        parts += [f"classes {', '.join(self.classes)}"] if self.classes else []
        parts += [f"where {self.where}"] if self.where else []
        return "; ".join([*parts, f"columns {', '.join(self.columns)}" if self.columns else self.output])


class Condition:
    """The classes and the SQL condition of a selection, as one question to a batch of alerts.

    Parameters
    ----------
    selection : Selection
        Whose.

    Attributes
    ----------
    values : dict of str to set of str
        Classes asked for, by the column they are looked up in.

    Raises
    ------
    ConfigError
        If the SQL cannot be understood.
    """

    def __init__(self, selection: Selection) -> None:
        self._rule: Rule | None = SqlRule(selection.where) if selection.where else None
        self.values: dict[str, set[str]] = {}
        for name in selection.classes:
            beginning = next((known for known in ORIGINS if name.startswith(known)), "")
            column = ORIGINS.get(beginning, FINKCLASS)
            self.values.setdefault(column, set()).add(name.removeprefix(beginning))

    @property
    def takes_all(self) -> bool:
        """Whether every alert passes."""
        return self._rule is None and not self.values

    @property
    def reads(self) -> tuple[str, ...]:
        """Paths of the columns it reads; before :meth:`check`, fields of the SQL as they are written."""
        return tuple(dict.fromkeys([*self.values, *(self._rule.reads if self._rule else ())]))

    def check(self, schema: pa.Schema) -> None:
        """See whether it can be evaluated on alerts of this schema.

        Raises
        ------
        ConfigError
            If it reads a column that is not there or of another type.
        """
        for column in self.values:
            AlertView.type_of(schema, column)
        if self._rule is not None:
            self._rule.check(schema)

    def decide(self, alerts: pa.Table) -> Mask:
        """Return which alerts pass (bool, shape (n,)); a missing value never passes."""
        view = AlertView(alerts)
        passed = np.ones(len(view), dtype=bool)
        if self.values:
            of_class = [view.is_in(column, frozenset(values)) for column, values in self.values.items()]
            passed &= np.any(of_class, axis=0)
        if self._rule is not None:
            passed &= self._rule.decide(view)
        return passed


def _night(date: str, option: str) -> str:
    try:
        return datetime.strptime(date, "%Y-%m-%d").strftime("%Y%m%d")
    except ValueError as error:
        raise UsageError(f"'{date}' is no date.", f"Write {option} as YYYY-MM-DD.") from error


def _dashed(night: str) -> str:
    return f"{night[:4]}-{night[4:6]}-{night[6:]}"
