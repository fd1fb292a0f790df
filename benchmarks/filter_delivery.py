"""What the distribution does with an alert but for Kafka: read it whole, judge it, encode it for its topics."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.filter_table import StoredAlerts
from benchmarks.measure import spread
from fink_broker.filters.engine import Engine
from fink_broker.filters.filter import Filter
from fink_broker.stream.batch_tally import BatchTally
from fink_broker.stream.routing import names_by_alert, route
from fink_broker.stream.sending import headers_of, partition_of

#: As many as topics have by default.
PARTITIONS = 10
STAGES = ("read", "judge", "encode and address", "note what was said", "all")


def deliver(engine: Engine, stored: StoredAlerts) -> tuple[dict[str, float], int, int]:
    """Do the work of the distribution; return processor seconds by stage, messages, and bytes of values."""
    seconds: defaultdict[str, float] = defaultdict(float)
    messages = size = 0
    tally, began = BatchTally(), time.process_time()
    for batch in stored.batches():
        seconds["read"] += (read := time.process_time()) - began
        verdicts = engine.judge(batch)
        seconds["judge"] += (judged := time.process_time()) - read
        candids, objects = batch["candid"].to_pylist(), batch["objectId"].to_pylist()
        for message in route(batch, verdicts):
            partition_of(objects[message.row], PARTITIONS)
            headers_of(candids[message.row], objects[message.row], message.filter.name, message.filter.identity)
            messages, size = messages + 1, size + len(message.value)
        seconds["encode and address"] += (encoded := time.process_time()) - judged
        tally.add(batch, verdicts)
        told = {kind: names_by_alert(verdicts, len(batch), kind) for kind in ("passed", "failed")}
        pa.table({"candid": batch["candid"], "objectId": batch["objectId"], **told})
        began = time.process_time()
        seconds["note what was said"] += began - encoded
    return dict(seconds) | {"all": sum(seconds.values())}, messages, size


def measure(
    filters: Sequence[Filter], stored: dict[int, StoredAlerts], rounds: int, console: Console
) -> dict[str, Any]:
    """Measure each stage for batches of each size in turn; print and return milliseconds an alert."""
    ms: dict[int, dict[str, list[float]]] = {size: {stage: [] for stage in STAGES} for size in stored}
    messages = size_bytes = 0
    first = next(iter(stored.values()))
    with Engine(filters, schema=next(first.batches()).schema) as engine:
        for number in track(range(rounds + 1), description="delivery", transient=True):
            for size, alerts in stored.items():
                seconds, messages, size_bytes = deliver(engine, alerts)
                for stage in STAGES if number else ():
                    ms[size][stage].append(1000 * seconds[stage] / alerts.count)
    table = Table(title="the distribution without Kafka; ms an alert", title_justify="left")
    table.add_column("median (least to most)")
    for size in stored:
        table.add_column(f"batches of {size}", justify="right")
    for stage in STAGES:
        table.add_row(stage, *[spread(of[stage], digits=4) for of in ms.values()])
    console.print(table)
    rates = ", ".join(f"{1000 / statistics.median(of['all']):,.0f}" for of in ms.values())
    console.print(
        f"  {messages / first.count:.2f} messages an alert of {size_bytes / max(messages, 1) / 1000:.1f} kB; "
        f"{rates} alerts/s in the median\n",
        highlight=False,
    )
    return {"ms": ms, "messages_an_alert": messages / first.count, "bytes_a_message": size_bytes / max(messages, 1)}
