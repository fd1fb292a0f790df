"""kill -9 at random moments, many times: nothing lost, nothing doubled, counts close."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
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

JOBS = ("stream2raw", "raw2science", "distribution")
ALERTS, KILLS, SEED = 2000, 15, 20240101

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
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.log = (conf.parent / "jobs.log").open("ab")

    def start(self, job: str) -> None:
        command = [sys.executable, "-m", "fink_broker", "start", job, "-c", str(self.conf)]
        self.processes[job] = subprocess.Popen(command, stdout=self.log, stderr=self.log, start_new_session=True)

    def kill(self, job: str, dice: random.Random) -> str:
        """Kill the job's Python, its Java, or all of it, without warning."""
        process = self.processes[job]
        family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        java = [child for child in family if _is_java(child)]
        victim = dice.choice(["python", "java", "all"])
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
        return victim

    def is_up(self, store: StateStore, job: str) -> bool:
        state = store.read(job)
        return state is not None and state.process.pid == self.processes[job].pid and state.up

    def stop(self) -> None:
        store = StateStore(self.conf.parent / "state")
        until(lambda: all(self.is_up(store, job) for job in JOBS), "all jobs are up", 120)
        for process in self.processes.values():
            process.terminate()
        codes = {job: process.wait(120) for job, process in self.processes.items()}
        assert codes == dict.fromkeys(JOBS, 0), "every job drains and exits with 0"


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


def send_slowly(servers: str, topic: str, packets: dict[int, bytes], seconds: float) -> None:
    producer = Producer({"bootstrap.servers": servers, "linger.ms": 10})
    for packet in packets.values():
        producer.produce(topic, packet)
        producer.poll(0)
        time.sleep(seconds / len(packets))
    assert producer.flush(60) == 0


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
    dice, broker = random.Random(SEED), Broker(conf)
    sender = threading.Thread(target=send_slowly, args=(kafka, topic, packets, 150))
    for job in JOBS:
        broker.start(job)
    sender.start()
    victims = Counter()
    for count in range(KILLS):
        time.sleep(dice.uniform(5, 25))
        job = JOBS[count % len(JOBS)]
        victims[job, broker.kill(job, dice)] += 1
        if count == KILLS // 2:
            own.write_text(ADDED + RULE + FUNCTION)
        broker.start(job)
    sender.join()

    layout = Layout(load_config(conf).config.storage.online)
    raw, science, topics = (AlertTable(layout.table(name)) for name in ("raw", "science", "topics"))
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
    assert of["faint_rule"] < faint, "it takes nothing of what came before it was added"
    print(json.dumps({"kills": {f"{job} {who}": n for (job, who), n in victims.items()}}))
