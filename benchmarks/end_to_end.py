"""The whole broker on this machine: throughput, latency from Kafka in to Kafka out and to HBase, for each stage.

Starts Kafka, HBase, the jobs and the API as a user would (``--no-archive``: without HBase, its job and the API), warms
them up, sends alerts at a set rate and then as fast as Kafka takes them, and reads from the commits of each stage when
each alert was through. An alert counts as out when the batch that sent it is committed, which is a little later than
the message itself.

With ``--versus NAME=VALUE`` each round runs two ways, the second with that variable in the environment, in
turn, and the ratios are reported with their spread:

    python -m benchmarks.end_to_end --versus FINK__STREAM__TRIGGER_SECONDS=5
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow.parquet as pq
import typer
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from rich.console import Console
from rich.table import Table

from benchmarks.measure import TreeMemory, load_packets, machine, spread
from fink_broker.archive import AlertTable, Commit, Layout
from fink_broker.config import Config, load_config
from fink_broker.monitor.counts import Counts, read_counts
from fink_broker.service import control
from fink_broker.service.ports import free_port
from fink_broker.service.state import StateStore

JOBS = ("kafka", "stream2raw", "raw2science", "distribution")
ARCHIVE = ("hbase", "archive", "api")
TOPIC = "ztf_20240101_programid1"
#: how the figures call what they time
STAGES = {
    "raw": "stage raw",
    "science": "stage science",
    "topics": "stage topics",
    "all": "Kafka to Kafka",
    "archived": "Kafka to HBase",
}
PERCENTILES = (50, 95, 99)


@dataclass(frozen=True)
class Phase:
    """What one phase of a round came to.

    Parameters
    ----------
    alerts : int
        Alerts sent.
    per_second : float
        Alerts through all stages for each second from the first sent to the last committed.
    latency : dict
        For each stage, and for all, the seconds of `PERCENTILES`.
    peak_gib : float
        Largest memory of all processes of the broker.
    cpu_ms : dict
        For each service, and the sender, milliseconds of processor time an alert.
    """

    alerts: int
    per_second: float
    latency: dict[str, list[float]]
    peak_gib: float
    cpu_ms: dict[str, float]


class Broker:
    """All services in a folder of their own.

    Parameters
    ----------
    home : Path
        The folder.
    extra : str
        ``NAME=VALUE`` for the environment of the services, or empty.
    services : tuple of str
        Which services.
    """

    def __init__(self, home: Path, extra: str, services: tuple[str, ...]) -> None:
        conf = home / "fink.conf"
        conf.write_text(
            f"[storage]\nonline = '{home}/online'\nstate = '{home}/state'\n"
            f"[kafka]\nembedded_port = {free_port()}\nembedded_sasl_port = 0\n[filters]\nsdss = 'none'\n"
            f"[hbase]\nembedded_port = {free_port()}\nembedded_zookeeper_port = {free_port()}\n"
            f"[api]\nport = {free_port()}\n[crossmatch]\n"
            + "".join(f"{name} = ['none']\n" for name in ("simbad", "gaia", "gaia_variability", "spicy"))
        )
        self.config: Config = load_config(conf).config
        self.store = StateStore(self.config.storage.state)
        self._conf, self._extra, self._services = str(conf), extra, services

    def start(self) -> None:
        """Start all services, and wait until they are up."""
        name, _, value = self._extra.partition("=")
        before = dict(os.environ)
        if name:
            os.environ[name] = value
        try:
            started = {name: control.spawn(self.store, name, ["-c", self._conf]) for name in self._services}
        finally:
            os.environ.clear()
            os.environ.update(before)
        for service, process in started.items():
            control.wait_until_up(self.store, service, process)
        admin = AdminClient({"bootstrap.servers": self.config.input_servers})
        partitions = self.config.simulator.partitions
        for future in admin.create_topics([NewTopic(TOPIC, partitions)]).values():
            future.result()

    def stop(self) -> None:
        """End all services."""
        for group in control.in_stop_order([state for state in control.known(self.store) if state.running]):
            control.stop_together(self.store, group, 60.0)

    def pids(self) -> list[int]:
        """Return the pids of the services."""
        return [state.process.pid for state in control.known(self.store) if state.running]

    def cpu_seconds(self) -> dict[str, float]:
        """Return the processor time each service has used, with its Java machine and workers, and the sender."""
        used = {"sender": time.process_time()}
        for state in control.known(self.store):
            if (process := state.process.find()) is not None:
                family = [process, *process.children(recursive=True)]
                used[state.name] = sum(member.cpu_times().user + member.cpu_times().system for member in family)
        return used

    def send(self, packets: list[bytes], rate: float) -> float:
        """Send packets at a rate in alerts per second (0: as fast as Kafka takes them); return when the first left."""
        producer = Producer({"bootstrap.servers": self.config.input_servers, "linger.ms": 5, "acks": "all"})
        first = time.time()
        for number, packet in enumerate(packets):
            while rate and (early := first + number / rate - time.time()) > 0:
                producer.poll(min(early, 0.01))
            while True:
                try:
                    producer.produce(TOPIC, packet)
                    break
                except BufferError:
                    producer.poll(0.05)
        producer.flush()
        return first

    def wait_for(self, total: int, seconds: float) -> Counts:
        """Wait until so many alerts are through all stages."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            counts = read_counts(self.config)
            through = counts.raw.count("in") >= total and not counts.open_ends()
            if through and counts.science.count("in") == counts.raw.count("out") and self._is_archived(counts):
                return counts
            for state in control.known(self.store):
                if state.died:
                    raise SystemExit(f"{state.name} died: {state.why}")
            time.sleep(0.5)
        raise SystemExit(f"Not all alerts are through after {seconds:.0f} s: {read_counts(self.config).open_ends()}")

    def _is_archived(self, counts: Counts) -> bool:
        return "archive" not in self._services or counts.archived.count("in") == counts.science.count("out")


def run_phase(broker: Broker, packets: list[bytes], rate: float, sent_before: int) -> Phase:
    """Send some packets and measure how they pass."""
    before = broker.cpu_seconds()
    with TreeMemory(broker.pids, seconds=2.0) as memory:
        first = broker.send(packets, rate)
        after_sending = time.process_time()
        counts = broker.wait_for(sent_before + len(packets), 60 + len(packets) / 20)
    after = broker.cpu_seconds() | {"sender": after_sending}
    last = max(commit.committed for commit in (*counts.topics.commits, *counts.archived.commits))
    return Phase(
        alerts=len(packets),
        per_second=len(packets) / (last - first),
        latency=latencies(broker.config, counts, since=first),
        peak_gib=memory.peak_bytes / 1024**3,
        cpu_ms={name: 1000 * (after[name] - seconds) / len(packets) for name, seconds in before.items()},
    )


def latencies(config: Config, counts: Counts, since: float) -> dict[str, list[float]]:
    """Return the latency in seconds at `PERCENTILES`, for each stage, of alerts that came in after ``since``."""
    table = AlertTable(Layout(config.storage.online).table("science"))
    raw = {commit.id: commit.committed for commit in counts.raw.commits}
    sent = {done: commit.committed for commit in counts.topics.commits for done in commit.inputs}
    archived = {done: commit.committed for commit in counts.archived.commits for done in commit.inputs}
    rows = [
        row
        for commit in counts.science.commits
        if commit.committed > since and commit.id in sent
        for row in moments(table, commit, raw, (sent[commit.id], archived.get(commit.id, np.nan)))
    ]
    arrived, in_raw, in_science, out, in_hbase = np.concatenate(rows, axis=1)
    steps = {"raw": in_raw - arrived, "science": in_science - in_raw, "topics": out - in_science, "all": out - arrived}
    if archived:
        steps["archived"] = in_hbase - arrived
    return {
        stage: [float(p) for p in np.percentile(step[arrived > since], PERCENTILES)] for stage, step in steps.items()
    }


def moments(
    table: AlertTable, commit: Commit, raw: dict[str, float], done: tuple[float, float]
) -> Iterator[np.ndarray]:
    """Yield when the alerts of each file of a science commit came in, were in raw, science, topics, HBase (unix s)."""
    in_raw = max(raw[name] for name in commit.inputs)
    for file in commit.files:
        path = f"{table.storage.root}/{file.path}"
        times = pq.ParquetFile(path).read(columns=["origin.timestamp"])["origin"].combine_chunks()
        arrived = times.field("timestamp").cast("int64").to_numpy(zero_copy_only=False) / 1e6
        rest = np.array([[in_raw], [commit.committed], *([moment] for moment in done)]).repeat(len(arrived), axis=1)
        yield np.vstack([arrived, rest])


@contextmanager
def running_broker(extra: str, services: tuple[str, ...]) -> Iterator[Broker]:
    """Run a broker in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="fink-end-to-end-") as folder:
        broker = Broker(Path(folder), extra, services)
        try:
            broker.start()
            yield broker
        finally:
            broker.stop()


def run_round(
    extra: str, services: tuple[str, ...], packets: list[bytes], warm_up: int, rate: float, seconds: float
) -> dict[str, Phase]:
    """Start a broker, warm it up, and run both phases."""
    paced = int(rate * seconds)
    with running_broker(extra, services) as broker:
        broker.send(packets[:warm_up], rate)
        broker.wait_for(warm_up, 240)
        at_rate = run_phase(broker, packets[warm_up : warm_up + paced], rate, warm_up)
        at_once = run_phase(broker, packets[warm_up + paced :], 0, warm_up + paced)
    return {f"{rate:g} alerts/s": at_rate, "as fast as it goes": at_once}


def report(console: Console, rounds: dict[str, list[dict[str, Phase]]]) -> None:
    """Print the figures of every way, and the ratios between two."""
    for phase in next(iter(rounds.values()))[0]:
        table = Table(title=f"Sent at {phase}" if "alerts/s" in phase else f"Sent {phase}", title_justify="left")
        table.add_column("median (least to most)")
        for way in rounds:
            table.add_column(way or "as configured", justify="right")
        lines = {way: figures([results[phase] for results in done]) for way, done in rounds.items()}
        for name in next(iter(lines.values())):
            table.add_row(name, *[spread(figure[name]) for figure in lines.values()])
        console.print(table)
        if len(lines) == 2:
            first, second = lines.values()
            for name, values in first.items():
                ratios = [b / a for a, b in zip(values, second[name], strict=True)]
                console.print(f"  {name}: second over first {spread(ratios, ' ×')}")


def figures(phases: list[Phase]) -> dict[str, list[float]]:
    """Return every figure by its name, a value for each round."""
    table = {"alerts/s through all stages": [phase.per_second for phase in phases]}
    for stage in phases[0].latency:
        for place, percentile in enumerate(PERCENTILES):
            name = STAGES[stage]
            table[f"latency p{percentile}, {name}, s"] = [phase.latency[stage][place] for phase in phases]
    for name in phases[0].cpu_ms:
        table[f"processor time, {name}, ms an alert"] = [phase.cpu_ms[name] for phase in phases]
    return table | {"memory of all processes, GiB": [phase.peak_gib for phase in phases]}


def main(
    source: Annotated[str, typer.Option(help="Folder or file of alerts, or synthetic.")] = "synthetic",
    rate: Annotated[float, typer.Option(help="Alerts per second of the first phase.")] = 100.0,
    seconds: Annotated[float, typer.Option(help="How long the first phase sends.")] = 60.0,
    burst: Annotated[int, typer.Option(help="Alerts of the second phase.")] = 6000,
    warm_up: Annotated[int, typer.Option(help="Alerts sent, at the rate, before anything is measured.")] = 2000,
    rounds: Annotated[int, typer.Option(help="How often everything is done, each time with fresh services.")] = 1,
    archive: Annotated[bool, typer.Option(help="Whether HBase, its job and the API run, too.")] = True,
    versus: Annotated[str, typer.Option(help="NAME=VALUE in the environment of a second way.")] = "",
) -> None:
    """Measure throughput and latency from Kafka to Kafka."""
    console = Console()
    console.print(machine(), highlight=False)
    total = warm_up + int(rate * seconds) + burst
    console.print(f"Preparing {total:,} alerts of {source} ...", highlight=False)
    packets = load_packets(source, total)
    console.print(f"{sum(map(len, packets)) / total / 1000:.1f} kB an alert", highlight=False)
    ways = ["", versus] if versus else [""]
    services = (*JOBS, *ARCHIVE) if archive else JOBS
    results: dict[str, list[dict[str, Phase]]] = {way: [] for way in ways}
    for number in range(rounds):
        for way in ways if number % 2 == 0 else ways[::-1]:
            console.print(f"round {number + 1}: {way or 'as configured'}", highlight=False)
            results[way].append(run_round(way, services, packets, warm_up, rate, seconds))
    report(console, results)


if __name__ == "__main__":
    typer.run(main)
