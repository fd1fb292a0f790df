"""Calls processors of fink-science, in an interpreter where they can be imported; started by the benchmark.

Takes one JSON object a line on its standard input and answers each with one. It imports nothing of this project. Each
processor is called as the plain function behind its Spark UDF, on pandas Series, so nothing of Spark is counted.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

Batch = pd.DataFrame
#: Draws of the fast transient rate, as in production.
DRAWS = 10_000
ANOMALY_MODELS = (None, "_beta", "_anais", "_emille", "_julien", "_maria")
#: Where a processor of anomalies unpacks its models.
UNPACKED = ("/tmp", "forest_*_AAD*.onnx")  # noqa: S108 - the processor's own choice
FLUX_FIELDS = ("cdistnr", "cmagpsf", "csigmapsf", "cmagnr", "csigmagnr", "cisdiffpos", "cfid", "cjd")
RATE_FIELDS = (
    "magpsf", "sigmapsf", "jd", "jdstarthist", "fid", "cmagpsf", "csigmapsf", "cjd", "cfid", "cdiffmaglim",
)  # fmt: skip
FEATURE_FIELDS = (
    "cmagpsf", "cjd", "csigmapsf", "cfid", "objectId", "cdistnr", "cmagnr", "csigmagnr", "cisdiffpos",
)  # fmt: skip


def processor(package: str) -> Any:
    """Import the processor of a package."""
    return importlib.import_module(f"fink_science.ztf.{package}.processor")


def plain(function: Any) -> Callable[..., Any]:
    """Return the function behind a UDF."""
    return getattr(function, "func", function)


def repeated(value: Any, batch: Batch) -> pd.Series:
    """Return a constant as a column, as ``lit`` gives it."""
    return pd.Series([value] * len(batch))


def roid(batch: Batch) -> Any:
    fields = ("cjd", "cmagpsf", "ndethist", "sgscore1", "ssdistnr", "distpsnr1")
    return plain(processor("asteroids").roid_catcher)(*[batch[name] for name in fields])


def nalerthist(batch: Batch) -> Any:
    return plain(processor("nalerthist").nalerthist)(batch["cmagpsf"])


def rate(batch: Batch) -> Any:
    function = plain(processor("fast_transient_rate").magnitude_rate)
    return function(*[batch[name] for name in RATE_FIELDS], repeated(DRAWS, batch), repeated(None, batch))


def features(batch: Batch) -> pd.Series:
    function = plain(processor("ad_features").extract_features_ad_raw)
    return pd.Series([function(*row) for row in zip(*[batch[name] for name in FEATURE_FIELDS], strict=True)])


def anomaly(batch: Batch) -> Any:
    function, found = plain(processor("anomaly_detection").anomaly_score), made_before(features, batch)
    return [function(found, None if model is None else repeated(model, batch)) for model in ANOMALY_MODELS]


def flux(batch: Batch) -> Any:
    function = plain(processor("standardized_flux").standardized_flux)
    return function(batch["candid"], batch["objectId"], *[batch[name] for name in FLUX_FIELDS])


def blazar(batch: Batch) -> Any:
    standardized = made_before(flux, batch).apply(lambda pair: np.asarray(pair["flux"]))
    function = plain(processor("blazar_low_state").quiescent_state)
    return function(batch["candid"], batch["objectId"], standardized, batch["cjd"])


def other_catalogue(name: str, radius: float) -> Callable[[Batch], Any]:
    def match(batch: Batch) -> Any:
        function = plain(processor("xmatch").crossmatch_other_catalog)
        return function(
            batch["candid"], batch["ra"], batch["dec"], repeated(name, batch), radius_arcsec=repeated(radius, batch)
        )

    return match


def mangrove(batch: Batch) -> Any:
    function = plain(processor("xmatch").crossmatch_mangrove)
    return function(batch["candid"], batch["ra"], batch["dec"], radius_arcsec=repeated(60.0, batch))


def only_import(package: str) -> Callable[[Batch], Any]:
    def fail(_batch: Batch) -> Any:
        processor(package)
        raise NotImplementedError("not called by this benchmark")

    return fail


PROCESSORS: dict[str, Callable[[Batch], Any]] = {
    "asteroids": roid,
    "nalerthist": nalerthist,
    "fast_transient_rate": rate,
    "ad_features": features,
    "anomaly_detection": anomaly,
    "standardized_flux": flux,
    "blazar_low_state": blazar,
    "xmatch gcvs": other_catalogue("gcvs", 1.5),
    "xmatch vsx": other_catalogue("vsx", 1.5),
    "xmatch 3hsp": other_catalogue("3hsp", 60.0),
    "xmatch 4lac": other_catalogue("4lac", 60.0),
    "xmatch mangrove": mangrove,
    **{name: only_import(name) for name in ("hostless_detection", "kilonova", "microlensing", "random_forest_snia",
                                            "snn")},
}  # fmt: skip

#: Results that other processors take, by function, first candid and size of the batch.
_made: dict[tuple[str, int, int], Any] = {}


def made_before(function: Callable[[Batch], Any], batch: Batch) -> Any:
    """Return what a processor gave for a batch; made, and not counted, by :func:`prepare`."""
    key = (function.__name__, int(batch["candid"].iloc[0]), len(batch))
    if key not in _made:
        _made[key] = function(batch)
    return _made[key]


def prepare(name: str, batch: Batch) -> None:
    """Make what a processor takes from another."""
    needed = {"anomaly_detection": features, "blazar_low_state": flux}
    if name in needed:
        made_before(needed[name], batch)


def supply_what_is_gone() -> None:
    """Give back what newer pandas and NumPy have dropped and processors still call."""
    if not hasattr(np, "trapz"):
        np.trapz = np.trapezoid  # type: ignore[attr-defined]
    read_csv = pd.read_csv

    def with_squeeze(*args: Any, squeeze: bool = False, **settings: Any) -> Any:
        frame = read_csv(*args, **settings)
        return frame.squeeze("columns") if squeeze else frame

    pd.read_csv = with_squeeze


def unpacked() -> set[Path]:
    """Return the models a processor has unpacked, by this process or another."""
    folder, pattern = UNPACKED
    return set(Path(folder).glob(pattern))


class Worker:
    """The alerts, and what can be asked for."""

    def __init__(self) -> None:
        self._distinct = pd.DataFrame()
        self._count = self._size = self._first = 0

    def load(self, file: str, count: int, size: int, first_candid: int) -> dict[str, Any]:
        """Take the distinct alerts, and how many they shall make."""
        self._distinct = pd.read_parquet(file)
        self._count, self._size, self._first = count, size, first_candid
        return {}

    def names(self) -> dict[str, Any]:
        """Return the names of all processors."""
        return {"names": list(PROCESSORS)}

    def supply(self) -> dict[str, Any]:
        """Supply what is gone."""
        supply_what_is_gone()
        return {}

    def attempt(self, name: str) -> dict[str, Any]:
        """Call a processor on each distinct alert once; return its error, empty if it works."""
        try:
            for batch in self._batches(min(self._count, len(self._distinct))):
                PROCESSORS[name](batch)
        except Exception as error:
            return {"error": f"{type(error).__name__}: {error}"[:300]}
        return {"error": ""}

    def run(self, name: str) -> dict[str, Any]:
        """Call a processor on all batches; return the seconds it took."""
        seconds = 0.0
        for batch in self._batches(self._count):
            try:
                prepare(name, batch)
                began = time.perf_counter()
                PROCESSORS[name](batch)
                seconds += time.perf_counter() - began
            except Exception as error:
                return {"error": f"{type(error).__name__}: {error}"[:300]}
        return {"error": "", "seconds": seconds}

    def _batches(self, count: int) -> Iterator[Batch]:
        for start in range(0, count, self._size):
            numbers = np.arange(start, min(start + self._size, count))
            batch = self._distinct.iloc[numbers % len(self._distinct)].reset_index(drop=True)
            yield batch.assign(candid=self._first + numbers)


def main() -> None:
    warnings.simplefilter("ignore")
    # what processors print must not come between the answers
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    before = unpacked()
    worker = Worker()
    try:
        for line in sys.stdin:
            asked = json.loads(line)
            print(json.dumps(getattr(worker, asked.pop("do"))(**asked)), file=answers)
    finally:
        for file in unpacked() - before:
            file.unlink()


if __name__ == "__main__":
    main()
