"""Real packets, decoded, and a pipeline that asks nobody outside."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable, Sequence
from typing import Any

import fastavro
import pyarrow as pa
import pytest

from fink_broker.alert.batch import struct_from_packets
from fink_broker.config.model import Config, CrossmatchConfig
from fink_broker.science.registry import Pipeline, build_pipeline

Packet = dict[str, Any]


@pytest.fixture(scope="session")
def pipeline() -> Pipeline:
    return build_pipeline(Config(crossmatch=CrossmatchConfig(simbad=["none"])))


@pytest.fixture(scope="session")
def batch_of(pipeline: Pipeline) -> Callable[[Sequence[Packet]], pa.StructArray]:
    """Return a function that makes packets into what the pipeline takes."""

    def make(packets: Sequence[Packet]) -> pa.StructArray:
        return struct_from_packets(packets, pipeline.root_fields, pipeline.candidate_fields, pipeline.history_fields)

    return make


@pytest.fixture(scope="session")
def decoded(unpacked: Callable[..., list[bytes]]) -> Callable[[str], list[Packet]]:
    """Return a function that gives the decoded packets of a real set, without images."""
    sets: dict[str, list[Packet]] = {}

    def decode(name: str) -> list[Packet]:
        if name.endswith("_retimed"):
            return [retime(packet) for packet in decode(name.removesuffix("_retimed"))]
        if name not in sets:
            packets = [packet for content in unpacked(name) for packet in fastavro.reader(io.BytesIO(content))]
            sets[name] = [{k: v for k, v in packet.items() if not k.startswith("cutout")} for packet in packets]
        return sets[name]

    return decode


def retime(packet: Packet) -> Packet:
    """Give a packet of the edited night its own times and position back: the number of the image tells the time."""
    packet = copy.deepcopy(packet)
    candidate, history = packet["candidate"], packet["prv_candidates"] or []
    edited = abs(image_time(candidate["pid"]) - candidate["jd"]) > 1e-3
    for point in [*history, candidate]:
        point["jd"] = image_time(point["pid"])
    if edited:
        detections = [point["jd"] for point in history if point["magpsf"] is not None]
        candidate["jdstarthist"] = min([*detections, candidate["jd"]])
        candidate["ra"], candidate["dec"] = candidate["ranr"], candidate["decnr"]
    return packet


def image_time(pid: int) -> float:
    """Return the jd (days) of the image with this number."""
    return 2457754.5 + pid // 10**9 + (pid // 10**4 % 10**5) / 1e5
