"""Checks that every science module must pass; for the broker's own tests and for those of others."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from fink_broker.alert.batch import struct_from_packets
from fink_broker.config import Config
from fink_broker.config.model import CrossmatchConfig
from fink_broker.science.module import Module
from fink_broker.science.outcome import FAILED
from fink_broker.science.pipeline import Pipeline
from fink_broker.science.registry import known_outputs, order

Packet = dict[str, Any]

#: Values a number of a packet can have and should not.
BAD_NUMBERS = (None, math.nan, math.inf, -math.inf, 0.0, -999.0, 1e30)
#: jd (days) of the current measurement of the made-up alerts.
NOW = 2460236.75
_FIELDS = ("jd", "fid", "magpsf", "sigmapsf", "magnr", "sigmagnr", "isdiffpos", "distnr", "diffmaglim", "ra", "dec")


def offline_config() -> Config:
    """Return the default configuration, but for services: nobody outside is asked."""
    services = {
        name: ["none"] for name, field in CrossmatchConfig.model_fields.items() if "service" in _list(field.default)
    }
    return Config(crossmatch=CrossmatchConfig.model_validate(services))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def ordinary_alert(candid: int = 1, points: int = 12) -> Packet:
    """Return a made-up alert with a rising light curve in two bands, without images."""
    history = [_point(NOW - (points - k) * 1.02, 1 + k % 2, 19.5 - 0.1 * k) for k in range(points)]
    current = _point(NOW, 1, 19.5 - 0.1 * points)
    current |= {
        "ndethist": points + 1, "jdstarthist": history[0]["jd"] if history else NOW, "rb": 0.9, "drb": 0.9,
        "classtar": 0.9, "sgscore1": 0.1, "distpsnr1": 3.0, "ssdistnr": -999.0, "nbad": 0,
    }  # fmt: skip
    return {"objectId": f"ZTF23test{candid:03d}", "candid": candid, "candidate": current, "prv_candidates": history}


def hostile_light_curves() -> dict[str, Packet]:
    """Return alerts with light curves that no telescope should send, by what is wrong with them."""

    def with_history(change: Callable[[int, Packet], Packet | None], points: int = 12) -> Packet:
        packet = ordinary_alert(points=points)
        changed = (change(k, point) for k, point in enumerate(packet["prv_candidates"]))
        return packet | {"prv_candidates": [point for point in changed if point is not None]}

    def everywhere(**values: Any) -> Packet:
        packet = with_history(lambda _k, point: point | values)
        return packet | {"candidate": packet["candidate"] | values}

    limit = {"magpsf": None, "sigmapsf": None}
    alerts = {
        "no history": ordinary_alert() | {"prv_candidates": None},
        "empty history": ordinary_alert() | {"prv_candidates": []},
        "one point": ordinary_alert(points=1),
        "all null": everywhere(**dict.fromkeys(_FIELDS)),
        "all equal": everywhere(magpsf=19.0, sigmapsf=0.1, magnr=18.0, sigmagnr=0.1),
        "all upper limits": everywhere(**limit),
        "history of upper limits": with_history(lambda _k, point: point | limit),
        "unsorted": with_history(lambda k, point: point | {"jd": NOW - (k * 7 % 12) - 1.0}),
        "repeated times": with_history(lambda k, point: point | {"jd": NOW - 1.0 - k // 3}),
        "one time only": everywhere(jd=NOW),
        "i band only": everywhere(fid=3),
        "g band only": everywhere(fid=1),
        "no such band": everywhere(fid=-999),
        "negative differences": everywhere(isdiffpos="f"),
        "neither sign": everywhere(isdiffpos=None),
        "errors of zero": everywhere(sigmapsf=0.0, sigmagnr=0.0),
        "1,000 points": ordinary_alert(points=999),
        "1,000 equal points": everywhere_long(),
    }
    for value in (None, math.nan, math.inf):
        packet = ordinary_alert()
        alerts[f"whole candidate of {value}"] = packet | {
            "candidate": {
                name: value if isinstance(number, float) else None if value is None else number
                for name, number in packet["candidate"].items()
            }
        }
    for value in BAD_NUMBERS:
        for field in ("jd", "magpsf", "sigmapsf", "magnr", "diffmaglim", "distnr"):
            alerts[f"{field} of {value}"] = everywhere(**{field: value})
            packet = ordinary_alert()
            packet["prv_candidates"][5][field] = value
            alerts[f"one {field} of {value}"] = packet
    return {name: packet | {"candid": number} for number, (name, packet) in enumerate(alerts.items())}


def everywhere_long() -> Packet:
    """Return an alert of 1,000 points that are all the same but for their times."""
    packet = ordinary_alert(points=999)
    for point in [*packet["prv_candidates"], packet["candidate"]]:
        point |= {"magpsf": 19.0, "sigmapsf": 0.1, "fid": 1}
    return packet


def _point(jd: float, fid: int, magnitude: float) -> Packet:
    return {
        "jd": jd, "fid": fid, "magpsf": magnitude, "sigmapsf": 0.08, "magnr": 20.1, "sigmagnr": 0.1, "isdiffpos": "t",
        "distnr": 1.0, "diffmaglim": 20.5, "ra": 150.1, "dec": 2.2,
    }  # fmt: skip


def batch_of(pipeline: Pipeline, packets: Sequence[Packet]) -> pa.StructArray:
    """Return packets as the batch that a pipeline takes."""
    return struct_from_packets(
        packets, pipeline.root_fields, pipeline.candidate_fields, pipeline.history_fields, pipeline.cutouts
    )


def check_module(module: Module, packets: Sequence[Packet] = ()) -> None:
    """Check that a module meets the rules: defined on hostile light curves, and each alert on its own.

    Parameters
    ----------
    module : Module
        Columns it needs of other modules are given by the broker's own, which ask no service.
    packets : sequence of dict
        Further alerts to try it on, decoded.

    Raises
    ------
    AssertionError
        If it raises or warns, gives another result in another batch, or not what it declares.
    """
    check_pipeline(Pipeline([*known_outputs(module, offline_config()), module]), packets)


def check_pipeline(pipeline: Pipeline, packets: Sequence[Packet] = (), seed: int = 0) -> None:
    """Check all modules of a pipeline as :func:`check_module` does.

    Raises
    ------
    AssertionError
        As there.
    """
    alerts = [*hostile_light_curves().values(), *copy.deepcopy(list(packets))]
    pipeline = Pipeline(order(pipeline.modules))  # names, columns and fields are checked
    batch = batch_of(pipeline, alerts)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        together = pipeline.run(batch)
    failed = {name for names in together.field(FAILED).to_pylist() for name in names}
    if failed:
        raise AssertionError(f"raised or warned on hostile light curves: {', '.join(sorted(failed))}")
    check_batch_independence(pipeline, batch, together, seed)


def check_batch_independence(pipeline: Pipeline, batch: pa.StructArray, together: pa.StructArray, seed: int) -> None:
    """Check that shuffling, repeating and splitting a batch changes no bit of an alert's result.

    Raises
    ------
    AssertionError
        If it does, with the columns that differ.
    """
    random = np.random.default_rng(seed)
    picked = pa.array(random.integers(0, len(batch), size=int(len(batch) * 1.2)))
    _assert_same(pipeline.run(batch.take(picked)), together.take(picked), "shuffled and repeated")
    for start in random.integers(0, len(batch), size=5).tolist():
        _assert_same(pipeline.run(batch.slice(start, 1)), together.slice(start, 1), "alone")
    middle = len(batch) // 3
    for start, stop in ((0, middle), (middle, len(batch))):
        part = slice(start, stop)
        _assert_same(pipeline.run(batch[part]), together[part], "split")


def _assert_same(found: pa.StructArray, expected: pa.StructArray, how: str) -> None:
    names = expected.type.names
    # repr: NaN equals NaN, and every bit of a number counts
    pairs = zip(names, found.flatten(), expected.flatten(), strict=True)
    differ = [name for name, left, right in pairs if repr(left.to_pylist()) != repr(right.to_pylist())]
    if differ:
        raise AssertionError(f"{how}, alerts differ in: {', '.join(differ)}")
