"""distribution: from the science table to filtered Kafka topics.

Every alert of a committed science batch is held against all filters once; each topic whose filter takes it gets it
once. It needs no Spark: a batch is read by Arrow, judged and encoded column by column, and handed to Kafka's own
client. What a kill -9 at any instant leaves behind:

1. The plan of a batch (its inputs, and where the topics end) is written — a kill before leaves nothing.
2. Messages are sent — a kill leaves some of them in Kafka. At the next start they are read back by their headers, the
   same inputs are judged again, and what is there already is left out.
3. The verdicts are written beside the topics table's commit, which comes last — from here on the batch is done.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq
from confluent_kafka import KafkaError, KafkaException

from fink_broker.alert.survey import SURVEYS
from fink_broker.archive import AlertTable, Commit, Layout
from fink_broker.archive.reading import read_rows
from fink_broker.archive.storage import Storage
from fink_broker.config import Config
from fink_broker.config.kafka_access import output_access
from fink_broker.errors import DataError, ServiceError
from fink_broker.filters.verdict import Verdict
from fink_broker.metrics.registry import sending_numbers
from fink_broker.stream import kafka_io
from fink_broker.stream.batch_tally import BatchTally
from fink_broker.stream.filter_set import FilterSet
from fink_broker.stream.handoff import Intake
from fink_broker.stream.routing import route, verdict_table
from fink_broker.stream.sending import Ends, Sender, Sent, headers_of, partition_of, sent_since
from fink_broker.stream.space import Space

log = logging.getLogger(__name__)

PLAN = "plan.json"
#: between two looks for new commits of the science table
PAUSE_SECONDS = 0.2


def run(config: Config, stop: threading.Event, say: Callable[[str], None]) -> None:
    """Run the job until told to stop (a service entry point)."""
    Distribution(config).run(stop, say)


@dataclass(frozen=True)
class Plan:
    """A batch that is about to be sent: the science commits it takes in, and where the topics ended before."""

    inputs: list[str]
    ends: Ends

    def to_json(self) -> bytes:
        """Return it as JSON."""
        return json.dumps({"inputs": self.inputs, "ends": self.ends}).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Plan:
        """Read it back.

        Raises
        ------
        ValueError
            If the text is no plan.
        """
        try:
            content = json.loads(text)
            ends = {
                topic: {int(number): int(end) for number, end in by.items()} for topic, by in content["ends"].items()
            }
            return cls([str(name) for name in content["inputs"]], ends)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"it lacks {error}") from error


class Distribution:
    """The job: the science table's commits, all filters in one pass, Kafka topics.

    Parameters
    ----------
    config : Config
        The configuration in force.
    """

    name = "distribution"

    def __init__(self, config: Config) -> None:
        layout = Layout(config.storage.online)
        self.config = config
        self.survey = SURVEYS[config.survey]
        self.science, self.topics = AlertTable(layout.table("science")), AlertTable(layout.table("topics"))
        self.filters = FilterSet(config)
        self._intake = Intake(self.science, self.topics)
        self._space = Space(config.storage, [config.storage.online])
        self._plans = Storage(layout.checkpoint(self.name))
        self._options = output_access(config, os.environ)

    def topic(self, filter_name: str) -> str:
        """Return the topic of a filter."""
        return self.survey.output_topic(self.config.distribution.prefix, filter_name)

    def run(self, stop: threading.Event, say: Callable[[str], None]) -> None:
        """Run until told to stop; Kafka's troubles are waited out.

        Raises
        ------
        FinkError
            What went wrong, in a sentence.
        """
        self.science.create()
        self.topics.create()
        say("starting: reading filters")
        with self.filters:
            while kafka_io.wait_for_kafka(self._options, stop, say):
                try:
                    self._run(stop, say)
                    return
                except KafkaException as error:
                    self._must_pass(error.args[0])
                    sending_numbers().waits.inc()
                    say(f"waiting for Kafka ({error.args[0].str()})")
                    stop.wait(1.0)

    def _run(self, stop: threading.Event, say: Callable[[str], None]) -> None:
        """Send batch after batch until told to stop; a batch that has begun is finished first."""
        sender = Sender(self._options, self.config.distribution.compression, stop)
        self._create_topics(sender)
        self._recover(sender, say)
        say("running")
        while not stop.wait(PAUSE_SECONDS):
            if self.filters.refresh():
                self._create_topics(sender)
            commits = self._intake.waiting()
            if commits and self._space.wait(stop, say):
                self._process(commits, sender, {})

    def _recover(self, sender: Sender, say: Callable[[str], None]) -> None:
        """Finish the batch that was cut short, if one was."""
        self.topics.recover()
        self._intake.recover()
        plan = self._read_plan()
        commits = self._intake.waiting(most=len(plan.inputs)) if plan else []
        if plan is None or [commit.id for commit in commits] != plan.inputs:
            return
        sent = sent_since(self._options, plan.ends, say)
        sender.ends = {**sender.ends, **plan.ends}
        log.info("a batch was cut short after %s messages; it goes on", len(sent))
        self._process(commits, sender, sent)

    def _read_plan(self) -> Plan | None:
        if not self._plans.exists(PLAN):
            return None
        try:
            return Plan.from_json(self._plans.read(PLAN))
        except ValueError as error:
            raise DataError(
                f"{self._plans.uri(PLAN)}, the plan of the batch that was sent last, is damaged: {error}.",
                "Remove it: if that batch was cut short, some of its alerts will be on their topics twice.",
            ) from error

    @staticmethod
    def _must_pass(error: KafkaError) -> None:
        """Raise ServiceError if an error of Kafka's is none that time may mend."""
        if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            raise ServiceError(
                "Kafka refuses an alert because of its size.",
                f"Let every output topic, and Kafka itself, take messages of {kafka_io.MAX_MESSAGE_BYTES} bytes: "
                "max.message.bytes of the topics, message.max.bytes of Kafka.",
            )
        if error.code() not in kafka_io.PASSING and not error.retriable():
            raise ServiceError(
                f"Kafka does not take the alerts: {error.str()}.",
                "Check the section [distribution] of the configuration and the rights of its user. Nothing was lost.",
            )

    def _process(self, commits: list[Commit], sender: Sender, sent: Sent) -> None:
        """Judge, encode, send what is not there yet, commit."""
        started = time.time()
        batch_id = f"topics-{commits[0].id}"
        inputs = [commit.id for commit in commits]
        self._plans.make_folder("")
        self._plans.write_atomically(PLAN, Plan(inputs, sender.ends).to_json())
        tally, total = BatchTally(), 0
        self.topics.discard(batch_id)
        for night, chunks in self._chunks(commits):
            told = []
            for alerts in chunks:
                told.append(self._send(alerts, sender, sent, tally))
                total += len(alerts)
            self._keep(batch_id, night, pa.concat_tables(told))
        sender.flush()
        files = self.topics.publish(batch_id)
        now = time.time()
        counts = {"in": sum(commit.counts["out"] for commit in commits), "out": total}
        self.topics.commit(Commit(batch_id, inputs, files, counts, started, now, tally.details(now)))
        self._intake.take(commits)
        log.info("%s alerts, %s messages (%s)", total, tally.messages.total(), batch_id)

    def _send(self, alerts: pa.Table, sender: Sender, sent: Sent, tally: BatchTally) -> pa.Table:
        """Send some alerts to the topics they pass; return what was said of each."""
        judgement = self.filters.begin(alerts)
        self._route(alerts, judgement.trusted, sender, sent, tally)
        self._route(alerts, judgement.late(), sender, sent, tally)  # others' messages are on their way meanwhile
        verdicts = judgement.all()
        tally.add(alerts, verdicts)
        return verdict_table(alerts, verdicts, self._already(alerts, sent, verdicts, tally))

    def _route(self, alerts: pa.Table, verdicts: list[Verdict], sender: Sender, sent: Sent, tally: BatchTally) -> None:
        candids, objects = alerts["candid"].to_pylist(), alerts["objectId"].to_pylist()
        for message in route(alerts, verdicts):
            topic, candid, object_id = self.topic(message.filter.name), candids[message.row], objects[message.row] or ""
            if (topic, candid) not in sent:
                partition = partition_of(object_id, self.config.distribution.partitions)
                headers = headers_of(candid, object_id, message.filter.name, message.filter.identity)
                sender.send(topic, partition, message.key, message.value, headers)
            tally.messages[topic] += 1

    def _already(
        self, alerts: pa.Table, sent: Sent, verdicts: list[Verdict], tally: BatchTally
    ) -> dict[int, list[str]]:
        """Return by row the filters that let an alert pass before the batch was cut short, and would not now."""
        if not sent:
            return {}
        places = {candid: row for row, candid in enumerate(alerts["candid"].to_pylist())}
        passed = {verdict.filter.name: verdict.passed for verdict in verdicts}
        before: dict[int, list[str]] = {}
        for (topic, candid), name in sent.items():
            row = places.get(candid)
            if row is not None and not (name in passed and passed[name][row]):
                before.setdefault(row, []).append(name)
                tally.messages[topic] += 1
        return before

    def _chunks(self, commits: list[Commit]) -> Iterator[tuple[str, Iterator[pa.Table]]]:
        """Give the alerts of some commits by night, some at a time: an alert is 70 kB."""
        files = [file for commit in commits for file in commit.files]
        for night in sorted({file.partition for file in files}):
            ours = [file for file in files if file.partition == night]
            yield night, (part for file in ours for part in read_rows(self.science, file))

    def _keep(self, batch_id: str, night: str, said: pa.Table) -> None:
        """Stage what the filters said of the alerts of a night."""
        folder = f"_staging/{batch_id}/night={night}"
        self.topics.storage.make_folder(folder)
        with self.topics.storage.files.open_output_stream(f"{self.topics.storage.root}/{folder}/0.parquet") as stream:
            pq.write_table(said, stream)

    def _create_topics(self, sender: Sender) -> None:
        settings = self.config.distribution
        topics = [self.topic(entry.name) for entry in self.filters.all]
        created = kafka_io.create_topics(
            self._options,
            topics,
            settings.partitions,
            settings.replication,
            {
                "retention.ms": str(int(settings.retention_days * 86_400_000)),
                "max.message.bytes": str(kafka_io.MAX_MESSAGE_BYTES),
                "compression.type": "producer",
            },
        )
        for name in created:
            log.info("created the topic %s", name)
        sender.look(topics)
