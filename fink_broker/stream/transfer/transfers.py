"""Transfers: planned once, sent, gone on with after whatever ended them, listed, removed."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from fink_broker.alert.wire import encode
from fink_broker.alert.wire_schema import wire_schema_text
from fink_broker.archive import AlertTable, DataFile, Layout
from fink_broker.config import Config
from fink_broker.config.paths import free_gib
from fink_broker.errors import FinkError, ServiceError, UsageError
from fink_broker.stream.kafka_io import Say
from fink_broker.stream.transfer.archived import tracklets_of
from fink_broker.stream.transfer.kafka import TransferTopics
from fink_broker.stream.transfer.manifest import Manifest, ManifestStore, Part, check_name
from fink_broker.stream.transfer.numbering import Numbering
from fink_broker.stream.transfer.planning import MAX_ALERTS, check_size, plan
from fink_broker.stream.transfer.schemas import JoinedSchema
from fink_broker.stream.transfer.selected import SelectedAlerts
from fink_broker.stream.transfer.selection import Condition, Selection
from fink_broker.stream.transfer.sending import NumberedSender
from fink_broker.stream.transfer.stopping import Stopped

#: How a transfer stands of which all is in Kafka.
COMPLETE = "complete"
#: Told how much is done of how much.
Show = Callable[[int, int], None]


def _show_nothing(_done: int, _all: int) -> None:
    pass


@dataclass(frozen=True)
class Listed:
    """A transfer as it stands: what was agreed on, messages in Kafka (None: it is not known), and a word."""

    manifest: Manifest
    sent: int | None
    state: str


class Transfers:
    """All transfers of a broker.

    Parameters
    ----------
    config : Config
        Names the archive (``storage.online``) and the Kafka (section ``distribution``).
    stop : threading.Event
        Ends all work.
    say : callable
        Told what takes time.
    """

    def __init__(self, config: Config, stop: threading.Event, say: Say) -> None:
        self._config, self._stop, self._say = config, stop, say
        self.store = ManifestStore(config.storage.online, config.storage.state)
        self._science = AlertTable(Layout(config.storage.online).table("science"))

    def new_topic(self, now: float) -> str:
        """Return a name for a topic, made of the time (unix seconds)."""
        day = time.strftime("%Y-%m-%d-%H%M%S", time.gmtime(now))
        return f"ftransfer_{self._config.survey}_{day}_{round(now % 1 * 1e6) % 1_000_000:06d}"

    def plan(self, selection: Selection, topic: str, show: Show = _show_nothing) -> Manifest:
        """Return what a transfer would send; nothing is written.

        Raises
        ------
        UsageError, ConfigError, DataError
            If it cannot be.
        Stopped
            If told to stop.
        """
        check_name(topic)
        return plan(self._science, selection, topic, self._stop, show)

    def known(self, selection: Selection, topic: str) -> Manifest | None:
        """Return the transfer of a selection to a topic if it was begun before.

        Raises
        ------
        UsageError
            If the topic was made for another selection.
        """
        check_name(topic)
        manifest = self.store.read(topic)
        if manifest is not None and manifest.selection != selection:
            raise UsageError(
                f"The topic {topic} was made for another selection ({manifest.selection}).",
                "Take another --topic, or --remove that one first.",
            )
        return manifest

    def begin(self, manifest: Manifest, most_alerts: int = MAX_ALERTS) -> None:
        """Keep a planned transfer, so that it can be sent.

        Raises
        ------
        UsageError
            If it is too large, or the topic exists.
        """
        check_size(manifest, most_alerts, self._free_bytes())
        with self.store.only_one(manifest.topic):
            taken = self._topics().existing() & {manifest.topic, manifest.schema_topic}
            if taken or self.store.read(manifest.topic) is not None:
                raise UsageError(
                    f"The topic {manifest.topic} exists, and not from this transfer.", "Take another --topic."
                )
            self.store.write(manifest)

    def send(self, topic: str, show: Show = _show_nothing) -> int:
        """Send what of a transfer is not in Kafka yet; return how many messages that were.

        Parameters
        ----------
        topic : str
            One that was begun.
        show : callable
            Told how many of the messages of this run are delivered.

        Raises
        ------
        UsageError
            If there is no such transfer, or another process works on it.
        ServiceError
            If Kafka refuses, or the topic holds what this transfer did not send.
        DataError
            If the archive is no longer what it was.
        Stopped
            If told to stop.
        """
        with self.store.only_one(topic):
            manifest = self.store.find(topic)
            if manifest.finished and self.is_whole(manifest):
                return 0
            selected = self._selected(manifest)
            topics = self._topics()
            fresh = manifest.topic not in topics.existing()
            topics.create(manifest)
            topics.fill_schema(manifest)
            ends = [0] * manifest.partitions if fresh else topics.settled_ends(topic, manifest.partitions)
            _check_ends(manifest, ends, topics.last_numbers(topic, ends))
            sender = NumberedSender(topics.options, topic, ends, self._stop, self._say, compression=topics.compression)
            self._send_alerts(manifest, selected, ends, sender, show)
            ends = topics.ends(topic, manifest.partitions)
            _check_ends(manifest, ends, topics.last_numbers(topic, ends))
            if sum(ends) != manifest.alerts:
                raise ServiceError(
                    f"Kafka has {sum(ends):,} of the {manifest.alerts:,} alerts it said it had.",
                    f"`fink transfer --resume {topic}` sends the rest.",
                )
            self.store.write(manifest.complete(round(time.time(), 3)))
        return sender.delivered

    def is_whole(self, manifest: Manifest) -> bool:
        """Tell whether Kafka holds all of a transfer, and nothing else.

        Raises
        ------
        ServiceError
            If the first messages are gone, or the topic holds what this transfer did not send.
        Stopped
            If told to stop.
        """
        topics = self._topics()
        ends = _ends(manifest, topics)
        _check_ends(manifest, ends, topics.last_numbers(manifest.topic, ends))
        return sum(ends) == manifest.alerts and _has_schema(manifest, topics)

    def list_all(self) -> list[Listed]:
        """Return all transfers, the oldest first, with what Kafka has of them."""
        return [self._listed(manifest) for manifest in self.store.read_all()]

    def remove(self, topic: str) -> None:
        """Remove the topics of a transfer, and forget it.

        Raises
        ------
        UsageError
            If there is no such transfer, or it is running.
        ServiceError
            If Kafka refuses.
        Stopped
            If told to stop.
        """
        check_name(topic)
        with self.store.only_one(topic):
            if not self.store.exists(topic):  # even one that cannot be read can be removed
                self.store.find(topic)
            self._topics().remove([topic, f"{topic}_schema"])
            self.store.remove(topic)

    def _topics(self) -> TransferTopics:
        return TransferTopics(self._config, self._stop, self._say)

    def _free_bytes(self) -> float | None:
        """Return the bytes our own Kafka may still write; None where Kafka is another's."""
        free = None if self._config.distribution.servers else free_gib(self._config.storage.state)
        return None if free is None else max(0.0, free - self._config.storage.min_free_gib) * 1024**3

    def _selected(self, manifest: Manifest) -> SelectedAlerts:
        joined = JoinedSchema([manifest.archived_schema])
        selected = SelectedAlerts(self._science, manifest.selection, Condition(manifest.selection), joined)
        if json.loads(wire_schema_text(selected.content.schema)) != json.loads(manifest.avro):
            raise ServiceError(
                f"The transfer to {manifest.topic} was begun by version {manifest.version} of the broker, which wrote "
                "other messages.",
                "Remove it (--remove) and start it again.",
            )
        return selected

    def _send_alerts(
        self, manifest: Manifest, selected: SelectedAlerts, ends: list[int], sender: NumberedSender, show: Show
    ) -> None:
        total, numbering = manifest.alerts - sum(ends), Numbering(ends)
        for night, parts in itertools.groupby(manifest.parts, key=lambda part: part.night):
            tracklets: dict[int, str] | None = None
            for part in parts:
                if not numbering.has_to_send(part):
                    numbering.skip(part)
                    continue
                if tracklets is None:
                    tracklets = self._tracklets(manifest, selected, night)
                for rows in selected.rows(_file(part)):
                    numbers, missing = numbering.take(part, len(rows))
                    packed = selected.content.pack(rows.take(missing), tracklets)
                    candids = packed["candid"].to_pylist()
                    for number, candid, value in zip(numbers[missing].tolist(), candids, encode(packed), strict=True):
                        if not sender.send(number, candid, value):
                            raise Stopped
                    show(sender.delivered, total)
                numbering.close(part)
        sender.finish(lambda: show(sender.delivered, total))
        if self._stop.is_set():
            raise Stopped

    def _tracklets(self, manifest: Manifest, selected: SelectedAlerts, night: str) -> dict[int, str]:
        if "tracklet" not in selected.content.added:
            return {}
        return tracklets_of(self._science, [_file(part) for part in manifest.parts if part.night == night])

    def _listed(self, manifest: Manifest) -> Listed:
        """Return how a transfer stands: a finished one is complete as long as Kafka has what was sent."""
        unfinished = "running" if self.store.is_running(manifest.topic) else "interrupted"
        try:
            topics = self._topics()
            sent = sum(_ends(manifest, topics))
            whole = sent == manifest.alerts and _has_schema(manifest, topics)
        except (FinkError, Stopped) as error:
            why = f": {error.message}" if isinstance(error, FinkError) else ""
            return Listed(manifest, None, f"not known{why}" if manifest.finished else unfinished)
        if not manifest.finished:
            return Listed(manifest, sent, unfinished)
        return Listed(manifest, sent, COMPLETE if whole else "incomplete: Kafka no longer has all that was sent")


def _ends(manifest: Manifest, topics: TransferTopics) -> list[int]:
    """Return how many messages each partition holds; none where the topic is gone or was not made yet."""
    there = manifest.topic in topics.existing()
    return topics.ends(manifest.topic, manifest.partitions) if there else [0] * manifest.partitions


def _has_schema(manifest: Manifest, topics: TransferTopics) -> bool:
    if manifest.schema_topic not in topics.existing():
        return False
    return any(topics.ends(manifest.schema_topic, manifest.partitions))


def _check_ends(manifest: Manifest, ends: list[int], last: list[int | None]) -> None:
    """See that every partition holds its first messages, and nothing else."""
    for partition, (end, number) in enumerate(zip(ends, last, strict=True)):
        wanted = partition + manifest.partitions * (end - 1) if end else None
        if end > manifest.messages_of(partition) or number != wanted:
            raise ServiceError(
                f"Partition {partition} of {manifest.topic} holds what this transfer did not send there.",
                f"Remove it (`fink transfer --remove {manifest.topic}`) and start it again.",
            )


def _file(part: Part) -> DataFile:
    return DataFile(part.path, part.night, part.rows, 0)
