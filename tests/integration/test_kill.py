"""kill -9 of every job, in the middle of a batch, right after one and while it starts: nothing lost or doubled."""

from __future__ import annotations

import contextlib
import io
import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fastavro
import psutil
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from confluent_kafka import Producer
from distributing import read_topic
from pipeline import create_topic, total, until

from fink_broker.archive import AlertTable, Layout
from fink_broker.config import load_config
from fink_broker.monitor import read_counts
from fink_broker.service.state import StateStore

pytestmark = pytest.mark.integration

#: what each job writes
TABLES = {"stream2raw": "raw", "raw2science": "science", "distribution": "topics"}
ALERTS, ALERTS_PER_SECOND, SEED = 800, 10, 20240101
PATIENCE_SECONDS = 180
#: When, and which process of each job; the last of the stream is killed first, so that work comes to all of them.
#: The third round follows at once on the second: the jobs have only just been started again.
ROUNDS = {
    "in a batch": {"distribution": "python", "raw2science": "all", "stream2raw": "java"},
    "after a commit": {"distribution": "all", "raw2science": "java", "stream2raw": "python"},
    "while it starts": {"distribution": "python", "raw2science": "python", "stream2raw": "all"},
}

#: topics of a user: the same condition as a rule and as a function, and one that is added while jobs are killed
ENTRY = '[[topic]]\nname = "{name}"\nowner = "me"\ndescription = "A test."\noutput = "thin"\n{how}\n\n'
RULE = ENTRY.format(name="bright_rule", how='rule = "magpsf < 18"')
FUNCTION = ENTRY.format(name="bright_function", how='function = "bright:is_bright"')
ADDED = ENTRY.format(name="faint_rule", how='rule = "magpsf >= 18"')
MODULE = "def is_bright(magpsf):\n    return magpsf < 18\n"


def _is_java(process: psutil.Process) -> bool:
    """Tell whether a process is a Java one; the workers of Python come and go meanwhile."""
    try:
        return process.name() == "java"
    except psutil.NoSuchProcess:
        return False


class Broker:
    """The three jobs as users start them, and a hand that kills them."""

    def __init__(self, conf: Path) -> None:
        self.conf = conf
        self.layout = Layout(load_config(conf).config.storage.online)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.log = (conf.parent / "jobs.log").open("ab")
        self.store = StateStore(conf.parent / "state")
        self._commits_at_start: dict[str, int] = {}

    def start(self, job: str) -> None:
        command = [sys.executable, "-m", "fink_broker", "start", job, "-c", str(self.conf)]
        self._commits_at_start[job] = self.commits(job)
        self.processes[job] = subprocess.Popen(command, stdout=self.log, stderr=self.log, start_new_session=True)

    def folder(self, job: str) -> Path:
        return Path(self.layout.table(TABLES[job]))

    def commits(self, job: str) -> int:
        return len(list(self.folder(job).glob("_commits/*/*.json")))

    def is_at_work(self, job: str) -> bool:
        """Tell whether the job has finished a batch since it was started, so that what it writes now is of the next."""
        return self.commits(job) > self._commits_at_start[job]

    def begun(self, job: str) -> object:
        """Return something that changes when the job begins to write a batch."""
        if job != "distribution":
            return {path.name for path in self.folder(job).glob("_staging/*")}
        plan = Path(self.layout.checkpoint(job)) / "plan.json"
        return plan.stat().st_mtime_ns if plan.exists() else None

    def wait_for(self, phase: str, job: str, dice: random.Random) -> None:
        """Return in a phase of the job's work, at a moment drawn by lot."""
        if phase == "while it starts":
            time.sleep(dice.uniform(0.5, 3))
            return
        until(lambda: self.is_at_work(job), f"{job} has finished a batch", PATIENCE_SECONDS, pause=0.02)
        commits, begun = self.commits(job), self.begun(job)
        if phase == "after a commit":
            until(lambda: self.commits(job) > commits, f"{job} has finished another", PATIENCE_SECONDS, pause=0.002)
            return
        until(lambda: self.begun(job) not in (begun, set()), f"{job} has begun another", PATIENCE_SECONDS, pause=0.002)
        time.sleep(dice.uniform(0, 0.1))

    def kill(self, job: str, victim: str) -> None:
        """Kill the job's Python, its Java if it has one, or all of it, without warning."""
        process = self.processes[job]
        family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        java = [child for child in family if _is_java(child)]
        if victim == "java" and java:
            os.kill(java[0].pid, signal.SIGKILL)
        elif victim == "all":
            process.kill()  # first: it must not see its children die
            for child in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
        else:
            process.kill()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _is_up(self, job: str) -> bool:
        state = self.store.read(job)
        return state is not None and state.process.pid == self.processes[job].pid and state.up

    def wait_until_all_are_up(self) -> None:
        until(lambda: all(map(self._is_up, TABLES)), "all jobs are up", PATIENCE_SECONDS)

    def stop(self) -> None:
        for process in self.processes.values():
            process.terminate()
        codes = {job: process.wait(PATIENCE_SECONDS) for job, process in self.processes.items()}
        assert codes == dict.fromkeys(TABLES, 0), "every job drains and exits with 0"


@contextlib.contextmanager
def started(conf: Path) -> Iterator[Broker]:
    """Start all jobs; whatever comes, none is left behind."""
    broker = Broker(conf)
    try:
        for job in TABLES:
            broker.start(job)
        yield broker
    finally:
        for job, process in broker.processes.items():
            if process.poll() is None:
                broker.kill(job, "all")
        broker.log.close()


def fresh_packets(packets: list[bytes], number: int) -> dict[int, bytes]:
    """Return real packets under fresh candids of the same length, so that their bytes stay what they are."""
    made = {}
    for count in range(number):
        packet = packets[count % len(packets)]
        old = next(fastavro.reader(io.BytesIO(packet)))["candid"]
        new = old - old % 10**9 + count
        made[new] = packet.replace(varint(old), varint(new))
    return made


def varint(value: int) -> bytes:
    value <<= 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


@contextlib.contextmanager
def sending(servers: str, topic: str, packets: dict[int, bytes]) -> Iterator[threading.Event]:
    """Give what lets alerts flow, so many a second, while it is set; when the block ends the rest comes at once."""
    flowing, ended = threading.Event(), threading.Event()

    def send() -> None:
        producer = Producer({"bootstrap.servers": servers, "linger.ms": 10})
        for packet in packets.values():
            flowing.wait()
            producer.produce(topic, packet)
            producer.poll(0)
            ended.wait(1 / ALERTS_PER_SECOND)
        assert producer.flush(60) == 0

    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(send)
        try:
            yield flowing
        finally:
            ended.set()
            flowing.set()
        sent.result()


def test_nothing_is_lost_or_doubled_under_kill_9(kafka, unpacked, tmp_path):
    topic, prefix = f"ztf_20240101_{uuid.uuid4().hex[:8]}", f"k{uuid.uuid4().hex[:6]}_"
    create_topic(kafka, topic)
    conf, own = tmp_path / "kill.conf", tmp_path / "topics.toml"
    own.write_text(RULE + FUNCTION)
    (tmp_path / "bright.py").write_text(MODULE)
    conf.write_text(
        f"""
[storage]
online = '{tmp_path}/online'
state = '{tmp_path}/state'
[kafka]
servers = '{kafka}'
topic = '{topic}'
[stream]
trigger_seconds = 0.2
max_alerts_per_batch = 100
[crossmatch]
simbad = ['none']
gaia = ['none']
gaia_variability = ['none']
spicy = ['none']
[distribution]
servers = '{kafka}'
prefix = '{prefix}'
partitions = 3
[filters]
file = '{own}'
function_seconds = 30
sdss = 'none'
"""
    )
    packets = fresh_packets(unpacked("ztf_public_20231018"), ALERTS)
    assert len(packets) == ALERTS
    dice = random.Random(SEED)
    with started(conf) as broker:
        with sending(kafka, topic, packets) as flowing:
            for phase, victims in ROUNDS.items():
                if phase != "while it starts":
                    broker.wait_until_all_are_up()
                    flowing.set()
                for job, victim in victims.items():
                    broker.wait_for(phase, job, dice)
                    broker.kill(job, victim)
                    broker.start(job)
                flowing.clear()
                if phase == "in a batch":
                    own.write_text(ADDED + RULE + FUNCTION)
        broker.wait_until_all_are_up()
        raw, science, topics = (AlertTable(broker.layout.table(name)) for name in TABLES.values())
        until(lambda: total(raw, "in") >= ALERTS, "all alerts came in", 180)
        until(lambda: total(science, "in") == total(raw, "out"), "all went through science", 180)
        until(lambda: total(topics, "in") == total(science, "out"), "all were filtered", 180)
        broker.stop()

    in_raw = Counter(pq.read_table(raw.storage.root, columns=["candid"])["candid"].to_pylist())
    assert in_raw == dict.fromkeys(packets, 1), "every candid is in raw exactly once"
    in_science = Counter(pq.read_table(science.storage.root, columns=["candid"])["candid"].to_pylist())
    assert set(in_science.values()) == {1}, "no candid is in science twice"
    assert len(in_science) + total(science, "cut") == ALERTS
    assert total(raw, "in") == ALERTS + total(raw, "duplicate")
    assert read_counts(load_config(conf).config).open_ends() == []

    sent: Counter[tuple[str, int]] = Counter()
    for name in (*load_config(conf).config.distribution.topics, "bright_rule", "bright_function", "faint_rule"):
        for message in read_topic(kafka, f"{prefix}{name}_ztf"):
            sent[name, int(dict(message.headers())["candid"])] += 1
    assert set(sent.values()) == {1}, "no message is there twice"
    kept = pq.read_table(topics.storage.root, columns=["candid", "topics"]).to_pylist()
    passed = Counter((name, row["candid"]) for row in kept for name in row["topics"])
    assert sent == passed, "each alert is on each of its topics, and on no other"
    committed: Counter[str] = Counter()
    for commit in topics.log.read_all():
        for topic_name, number in commit.details["topics"].items():
            committed[topic_name.removeprefix(prefix).removesuffix("_ztf")] += number
    assert Counter(name for name, _ in sent) == committed

    alerts = pq.read_table(science.storage.root, columns=["candid", "candidate"])
    magnitude = pc.struct_field(alerts["candidate"].combine_chunks(), "magpsf").to_numpy()
    candids = alerts["candid"].to_numpy()
    bright, faint = set(candids[magnitude < 18].tolist()), set(candids[magnitude >= 18].tolist())
    of = {name: {candid for topic_name, candid in sent if topic_name == name} for name, _ in sent}
    assert of["bright_rule"] == of["bright_function"] == bright
    assert set() < of["faint_rule"] < faint, "it takes nothing of what came before it was added"
