"""Alerts for the benchmark of science: real ones, repeated to any number under fresh candids."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.progress import track

from fink_broker.alert.batch import struct_from_packets
from fink_broker.science.pipeline import Pipeline
from fink_broker.science.testing import batch_of
from fink_broker.simulate.retime import retime
from fink_broker.simulate.sources import open_source

Packet = dict[str, Any]

#: Packets of a synthetic sky, where no real ones are given.
SYNTHETIC_PACKETS = 1000
#: Candid of the first alert; no real one begins like this.
FIRST_CANDID = 9 * 10**17
#: Rows in a file of the raw table.
ROWS_IN_FILE = 1000
#: Arrays of the light curve: the history and then the current value, as c<field>.
CURVE_FIELDS = ("jd", "fid", "magpsf", "sigmapsf", "diffmaglim", "magnr", "sigmagnr", "isdiffpos", "distnr")
#: Fields of the alert itself that upstream's processors read.
ROOT_FIELDS = ("objectId", "candid")
CANDIDATE_FIELDS = (
    "ra", "dec", "jd", "fid", "magpsf", "sigmapsf", "jdstarthist", "ndethist", "sgscore1", "ssdistnr", "distpsnr1",
)  # fmt: skip


def read_packets(real: str, night: str) -> list[Packet]:
    """Return decoded packets, images included, mixed, so that any part of them is like the whole.

    Parameters
    ----------
    real : str
        Folder or file of packets taken as they are, or ``synthetic``.
    night : str
        Folder or file of packets whose times were edited: they get those of their images. Empty: none.
    """
    packets = [alert.record for alert in open_source(real, print, synthetic_count=SYNTHETIC_PACKETS, seed=0).alerts()]
    if night:
        source = open_source(night, print, synthetic_count=0, seed=0)
        packets += [retime(alert.record) for alert in source.alerts()]
    random.Random(0).shuffle(packets)
    return packets


class Alerts:
    """Packets, gone through again and again, each time under other candids.

    Parameters
    ----------
    packets : sequence of dict
        Decoded packets.
    count : int
        How many alerts they make.
    """

    def __init__(self, packets: Sequence[Packet], count: int) -> None:
        self.packets = packets
        self.count = count

    def batches(self, pipeline: Pipeline, size: int, count: int | None = None) -> Iterator[pa.StructArray]:
        """Yield the alerts as batches for a pipeline, each made when it is asked for.

        Parameters
        ----------
        pipeline : Pipeline
            Whose fields and images are given.
        size : int
            Alerts in a batch; the last one may be smaller.
        count : int, optional
            How many alerts; all.
        """
        distinct = batch_of(pipeline, self.packets)
        for indices, candids in self._turns(size, count or self.count):
            batch = distinct.take(indices)
            columns = dict(zip(batch.type.names, batch.flatten(), strict=True)) | {"candid": candids}
            yield pa.StructArray.from_arrays(list(columns.values()), names=list(columns))

    def write_raw(self, folder: Path, schema: pa.Schema) -> None:
        """Write the alerts as files of a raw table.

        Parameters
        ----------
        folder : Path
            Where; made.
        schema : pyarrow.Schema
            Schema of the raw table.
        """
        folder.mkdir()
        now = datetime.now(UTC)
        more = {
            "origin": {"topic": "ztf_20240101_programid1", "partition": 0, "offset": 0, "timestamp": now},
            "brokerIngestTimestamp": now,
            "night": "20240101",
        }
        distinct = pa.Table.from_pylist([packet | more for packet in self.packets], schema)
        place = schema.get_field_index("candid")
        turns = list(self._turns(ROWS_IN_FILE, self.count))
        for number, (indices, candids) in enumerate(track(turns, description="writing alerts", transient=True)):
            table = distinct.take(indices).set_column(place, schema.field(place), candids)
            # as the jobs write: images do not repeat
            pq.write_table(table, folder / f"{number}.parquet", compression="snappy", use_dictionary=False)

    def write_curves(self, file: Path) -> None:
        """Write the distinct packets as processors of fink-science take them: light curves as arrays ``c<field>``."""
        fields = sorted({*CANDIDATE_FIELDS, *CURVE_FIELDS})
        batch = struct_from_packets(self.packets, ROOT_FIELDS, fields, CURVE_FIELDS)
        columns = {name: batch.field(name) for name in (*ROOT_FIELDS, *CANDIDATE_FIELDS)}
        for name in CURVE_FIELDS:
            history, current = batch.field(f"prv_{name}"), batch.field(name)
            values = [[*(past or []), now] for past, now in zip(history.to_pylist(), current.to_pylist(), strict=True)]
            columns[f"c{name}"] = pa.array(values, history.type)
        pq.write_table(pa.table(columns), file)

    def _turns(self, size: int, count: int) -> Iterator[tuple[pa.Array, pa.Array]]:
        """Yield which packets come next, and the candids they get."""
        for start in itertools.count(0, size):
            stop = min(start + size, count)
            if start >= stop:
                return
            numbers = np.arange(start, stop)
            yield pa.array(numbers % len(self.packets)), pa.array(FIRST_CANDID + numbers)
