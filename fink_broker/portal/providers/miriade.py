"""Miriade over HTTP, of the IMCCE: ephemerides of asteroids and comets seen from Palomar (IAU code I41)."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fink_broker.portal.providers.outside import Ask
from fink_broker.portal.providers.service import Knowing

OBSERVER = "I41"
#: most epochs of a request, the service's limit
MOST_EPOCHS = 5000
MOST_BYTES = 32 * 2**20
MOST_COLUMNS = 100
#: light curves remembered, for an hour
MOST_CURVES = 64
HOUR = 3600.0


class MiriadeService(Knowing[tuple[str, bool, str], pa.Table]):
    """Miriade's ``ephemcc``."""

    name = "Miriade"
    most_bytes = MOST_BYTES
    most_known = MOST_CURVES
    known_seconds = HOUR

    def at(self, name: str, is_comet: bool, jd: npt.NDArray[np.float64]) -> pa.Table | None:
        """Return ephemerides, one row an epoch, or None if the object is not known."""
        key = name, is_comet, hashlib.sha256(np.ascontiguousarray(jd).tobytes()).hexdigest()
        known = self._known.get(key)
        if known is not None:
            return known
        parts = []
        for start in range(0, len(jd), MOST_EPOCHS):
            part = self._ask(name, is_comet, jd[start : start + MOST_EPOCHS])
            if part is None:
                return None
            parts.append(part)
        return self._known.keep(key, pa.concat_tables(parts, promote_options="permissive"))

    def _ask(self, name: str, is_comet: bool, jd: npt.NDArray[np.float64]) -> pa.Table | None:
        parameters = {
            "-name": f"{'c' if is_comet else 'a'}:{name}",
            "-mime": "json",
            "-rplane": "1",  # equator
            "-tcoor": "5",  # what observers need: distances, phase, elongation
            "-output": "--jd,--colors(SDSS:r,SDSS:g),--iofile(ephemcc-photom.xml)",
            "-observer": OBSERVER,
            "-tscale": "UTC",
            "-from": "fink",
        }
        epochs = "\n".join(f"{epoch:.6f}" for epoch in jd.tolist())
        ask = Ask(f"{self._url}/ephemcc.php", parameters, {"epochs": ("epochs", epochs.encode())})
        content = self._service.ask_json(ask)
        data = content.get("data") if isinstance(content, dict) else None
        if data is None:  # it says that it does not know the object, in one of several ways
            return None
        if not isinstance(data, list) or len(data) != len(jd) or not all(isinstance(row, dict) for row in data):
            raise self._service.makes_no_sense("it does not have one row an epoch")
        return columns_of(data)


def columns_of(data: list[dict[str, Any]]) -> pa.Table:
    """Return rows of JSON as a table: numbers where all values of a column are, else texts.

    Parameters
    ----------
    data : list of dict
        The rows; what is missing in one is null.
    """
    names = list(dict.fromkeys(str(name) for row in data for name in row))[:MOST_COLUMNS]
    return pa.table({name: _column([row.get(name) for row in data]) for name in names})


def _column(values: list[Any]) -> pa.Array:
    try:
        if not any(isinstance(value, bool) for value in values):
            return pa.array([None if value is None else float(value) for value in values], pa.float64())
    except (TypeError, ValueError, OverflowError):
        pass
    return pa.array([None if value is None else str(value) for value in values], pa.string())
