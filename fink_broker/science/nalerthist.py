"""Number of detections in the packet."""

from __future__ import annotations

import pyarrow as pa

from fink_broker.config import Config
from fink_broker.science.batch import AlertBatch
from fink_broker.science.module import Column, Module, Needs, Outputs


def build(_config: Config) -> Module:
    """Return the module."""
    return Module(
        name="nalerthist",
        version="1",
        reference="Fink: number of detections in history and current alert",
        needs=Needs(history=("magpsf",)),
        outputs=(Column("nalerthist", pa.int32(), "", "detections in the packet, the current one included", 0),),
        compute=_compute,
    )


def _compute(batch: AlertBatch) -> Outputs:
    return {"nalerthist": batch.curves.detections}
