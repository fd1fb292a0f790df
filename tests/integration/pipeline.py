"""What integration tests of the jobs share: topics, messages, and a job that runs while a block lasts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from fink_broker.archive import AlertTable, Layout
from fink_broker.config.model import Config
from fink_broker.stream.kafka_io import MAX_MESSAGE_BYTES
from fink_broker.stream.query import Job, Supervisor

#: what ended the jobs that run in threads
FAILURES: list[BaseException] = []


def create_topic(servers: str, name: str, partitions: int = 4) -> None:
    """Create a topic and wait until it is there."""
    new = NewTopic(name, partitions, 1, config={"max.message.bytes": str(MAX_MESSAGE_BYTES)})
    admin = AdminClient({"bootstrap.servers": servers})
    for answer in admin.create_topics([new]).values():
        answer.result(30)


def send(servers: str, topic: str, values: list[bytes | None]) -> None:
    """Send messages, spread over the topic's partitions, and wait until Kafka has them."""
    producer = Producer({"bootstrap.servers": servers, "message.max.bytes": MAX_MESSAGE_BYTES, "linger.ms": 10})
    for value in values:
        producer.produce(topic, value)
        producer.poll(0)
    assert producer.flush(60) == 0


@contextmanager
def running(job: Job, config: Config, spark) -> Iterator[list[str]]:
    """Run a job in a thread while the block lasts, then drain it; gives the list of what it says."""
    stop, said = threading.Event(), []
    checkpoint = Layout(config.storage.online).checkpoint(job.name)

    def work() -> None:
        try:
            Supervisor(job, config, checkpoint, stop, said.append).run(spark)
        except BaseException as error:
            FAILURES.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield said
    finally:
        stop.set()
        thread.join(60)
        if FAILURES:
            raise FAILURES.pop()
    assert not thread.is_alive(), "the job did not drain within a minute"


def until(condition: Callable[[], bool], what: str, seconds: float = 60, pause: float = 0.1) -> None:
    """Wait for a condition, asking again after each pause; fail with its description if it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        if FAILURES:
            raise FAILURES[0]
        assert time.monotonic() < deadline, f"after {seconds:.0f} s still not: {what}"
        time.sleep(pause)


def total(job_table: AlertTable, *names: str) -> int:
    """Return the sum of some counts over all commits of a table."""
    return sum(commit.counts.get(name, 0) for commit in job_table.log.read_all() for name in names)
