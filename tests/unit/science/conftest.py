"""Real packets, decoded, and a pipeline that asks nobody outside."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import fastavro
import pyarrow as pa
import pytest

from fink_broker.science import testing
from fink_broker.science.registry import Pipeline, build_pipeline
from fink_broker.simulate.retime import retime

Packet = dict[str, Any]


@pytest.fixture(scope="session")
def pipeline() -> Pipeline:
    return build_pipeline(testing.offline_config())


@pytest.fixture(scope="session")
def batch_of(pipeline: Pipeline) -> Callable[[Sequence[Packet]], pa.StructArray]:
    """Return a function that makes packets into what the pipeline takes."""

    def make(packets: Sequence[Packet]) -> pa.StructArray:
        return testing.batch_of(pipeline, packets)

    return make


@pytest.fixture(scope="session")
def decoded(unpacked: Callable[..., list[bytes]]) -> Callable[[str], list[Packet]]:
    """Return a function that gives the decoded packets of a real set, without the difference image."""
    sets: dict[str, list[Packet]] = {}

    def decode(name: str) -> list[Packet]:
        if name.endswith("_retimed"):
            return [retime(packet) for packet in decode(name.removesuffix("_retimed"))]
        if name not in sets:
            packets = [packet for content in unpacked(name) for packet in fastavro.reader(io.BytesIO(content))]
            sets[name] = [{k: v for k, v in packet.items() if k != "cutoutDifference"} for packet in packets]
        return sets[name]

    return decode
