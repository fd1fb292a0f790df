"""From Kafka messages to alerts, inside the JVM: the line that decodes a packet is in :func:`_alert`.

A ZTF packet is an Avro container file. Its layout (magic, metadata, sync marker, then a block of count, bytes and
sync marker) is itself Avro, so ``from_avro`` reads the container first and the alert inside it second, with the
schema its writer used, into the one reading schema of the survey. No row enters Python.

A message that cannot be decoded keeps its bytes and gets a reason instead of an alert.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.avro.functions import from_avro

from fink_broker.alert import schema as avro
from fink_broker.alert.survey import Survey
from fink_broker.alert.writer_schema import check_names, read_writer_schema
from fink_broker.config import Config
from fink_broker.errors import ConfigError, DataError

log = logging.getLogger(__name__)

#: takes the JSON texts of a writer's and of the reading schema; raises DataError if they do not go together
Check = Callable[[str, str], None]

PERMISSIVE = {"mode": "PERMISSIVE"}
UNKNOWN_SCHEMA = "unknown schema"
#: more writer's schemas than this in one batch come from no telescope
MOST_SCHEMAS = 32

#: columns of decoded messages
ALERT, REASON, ORIGIN, VALUE = "alert", "reason", "origin", "value"
_HEADER, _FINGERPRINT = "header", "fingerprint"


@dataclass
class WriterSchemas:
    """The writers' schemas met so far, by fingerprint of the packaging, and the reading schema over them.

    Parameters
    ----------
    reading : str
        The reading schema (JSON text); widened as writers bring new fields.
    reserved : set of str
        Names, in lower case, of columns the broker adds: no new field of a packet may have one.
    """

    reading: str
    reserved: frozenset[str] = frozenset()
    known: dict[int, str] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)
    header_bytes: dict[int, int] = field(default_factory=dict)

    def learn(self, fingerprint: int, text: bytes | str, header_bytes: int = 0, check: Check | None = None) -> None:
        """Take in the schema of a writer: from now on its packets are decoded, or refused with a reason.

        Parameters
        ----------
        fingerprint : int
            Hash of the container's metadata.
        text : bytes or str
            The schema's JSON text.
        header_bytes : int
            Length of the container's header, the first sync marker included.
        check : callable, optional
            Raises DataError if what is written with a schema cannot be read with another (JSON texts).
        """
        try:
            writer = read_writer_schema(text)
            if reason := avro.refusal(writer):
                raise DataError(reason)
            reading = self._widened(writer)
            if check is not None:
                check(json.dumps(writer), reading)
        except DataError as error:
            self.refused[fingerprint] = error.message
            return
        self.reading = reading
        self.known[fingerprint] = json.dumps(writer)
        self.header_bytes[fingerprint] = header_bytes

    def _widened(self, writer: avro.Schema) -> str:
        """Return the reading schema with the fields that only this writer has."""
        reading = json.loads(self.reading)
        new_fields = avro.missing_fields(reading, writer)
        if not new_fields:
            return self.reading
        if taken := [name for name in new_fields if name.lower() in self.reserved]:
            raise DataError(f"The writer's schema has a field {taken[0]}, and the broker has a column of that name.")
        widened = avro.evolve(reading, writer)
        check_names(widened)
        log.warning("a writer brings new fields, kept from now on: %s", ", ".join(new_fields))
        return json.dumps(widened)

    def forget_beyond(self, most: int) -> None:
        """Keep only the latest schemas, so that a stream of ever new ones cannot grow the plan."""
        for table in (self.known, self.refused, self.header_bytes):
            for fingerprint in list(table)[: max(0, len(table) - most)]:
                del table[fingerprint]


def schema_of_bare_packets(config: Config) -> str:
    """Return the writer's schema of packets that do not carry it.

    Raises
    ------
    ConfigError
        If the configuration names none or it cannot be read.
    """
    path = config.kafka.packet_schema
    if not path:
        raise ConfigError(
            f"kafka.packet_format is {config.kafka.packet_format!r}, so the packets do not carry their schema.",
            "Name its Avro file in kafka.packet_schema.",
        )
    try:
        text = Path(path).read_text()
        reason = avro.refusal(read_writer_schema(text))
    except (OSError, DataError) as error:
        raise ConfigError(f"kafka.packet_schema {path} cannot be read: {error}.") from error
    if reason:
        raise ConfigError(f"kafka.packet_schema {path} describes {reason}.")
    return text


def split(messages: DataFrame, packet_format: str) -> DataFrame:
    """Take the packaging off: add the header, the fingerprint of the writer's schema, and the bare datum.

    Parameters
    ----------
    messages : DataFrame
        Kafka's columns: topic, partition, offset, timestamp, value.
    packet_format : {"container", "bare", "enveloped"}
        How packets travel.
    """
    origin = F.struct("topic", "partition", "offset", "timestamp").alias(ORIGIN)
    if packet_format == "container":
        header = from_avro(F.col(VALUE), json.dumps(avro.CONTAINER_SCHEMA), PERMISSIVE)
        split_off = messages.select(VALUE, origin, header.alias(_HEADER))
        fingerprint = F.xxhash64(F.map_entries(F.col(_HEADER)["meta"]))
        return split_off.select("*", fingerprint.alias(_FINGERPRINT))
    datum = F.col(VALUE) if packet_format == "bare" else F.expr(f"substring({VALUE}, 6)")
    header = F.struct(datum.alias("data"))
    return messages.select(VALUE, origin, header.alias(_HEADER), F.lit(0).cast("long").alias(_FINGERPRINT))


def discover(split_messages: DataFrame, writers: WriterSchemas) -> int:
    """Learn the writers' schemas of a batch that are not known yet; return how many there were."""
    unknown = ~F.col(_FINGERPRINT).isin([*writers.known, *writers.refused])
    text = F.col(_HEADER)["meta"]["avro.schema"]
    found = (
        split_messages.where(text.isNotNull() & unknown)
        .select(_FINGERPRINT, text.alias("text"), VALUE, F.col(_HEADER)["sync"].alias("sync"))
        .dropDuplicates([_FINGERPRINT])
        .limit(MOST_SCHEMAS)
        .collect()
    )
    for row in found:
        sync = bytes(row["sync"])
        header_bytes = bytes(row[VALUE]).index(sync) + len(sync)
        writers.learn(row[_FINGERPRINT], bytes(row["text"]), header_bytes, _check_in_java(split_messages.sparkSession))
    return len(found)


def _check_in_java(spark: SparkSession) -> Check:
    """Return a check that the decoder in the JVM takes two schemas: what it would raise later would end the job."""

    def check(writer: str, reading: str) -> None:
        datum = from_avro(F.lit(b"").cast("binary"), writer, {**PERMISSIVE, "avroSchema": reading})
        try:
            spark.range(1).select(datum).collect()
        except Exception as error:  # Spark and Avro raise many kinds
            raise DataError(
                f"The decoder does not take the writer's schema: {' '.join(str(error).split())[:100]}."
            ) from error

    return check


def decode(split_messages: DataFrame, writers: WriterSchemas, config: Config, survey: Survey) -> DataFrame:
    """Decode every message: columns alert, reason (null if all is well), origin, value.

    Parameters
    ----------
    split_messages : DataFrame
        From :func:`split`.
    writers : WriterSchemas
        Messages of a schema that is not among them get the reason ``unknown schema``.
    """
    decoded = split_messages.select("*", _alert(writers).alias(ALERT))
    reason = F.coalesce(_unreadable(config, writers), _implausible(survey))
    return decoded.select(ALERT, reason.alias(REASON), ORIGIN, VALUE)


def _alert(writers: WriterSchemas) -> Column:
    """Decode a datum with the schema it was written with, into the reading schema."""
    options = {**PERMISSIVE, "avroSchema": writers.reading}
    datum = F.col(_HEADER)["data"]
    nothing = from_avro(F.lit(None).cast("binary"), writers.reading, PERMISSIVE)
    decoded = nothing
    for fingerprint, text in writers.known.items():
        decoded = F.when(F.col(_FINGERPRINT) == fingerprint, from_avro(datum, text, options)).otherwise(decoded)
    return decoded


def _unreadable(config: Config, writers: WriterSchemas) -> Column:
    """Return why the bytes of a message cannot be decoded, or null."""
    value, header = F.col(VALUE), F.col(_HEADER)
    empty: Any = F.when(value.isNull() | (F.length(value) == 0), "empty message")
    if config.kafka.packet_format != "container":
        if config.kafka.packet_format == "enveloped":
            empty = empty.when(F.expr(f"substring({VALUE}, 1, 1) <> X'00'"), "no schema registry envelope")
        return empty
    reason = (
        empty.when(F.expr(f"substring({VALUE}, 1, 4) <> X'4F626A01'"), "not an Avro container")
        .when(header["count"].isNull(), "truncated or damaged container")
        .when(header["meta"]["avro.schema"].isNull(), "a container without its schema")
    )
    for fingerprint, text in writers.refused.items():
        reason = reason.when(F.col(_FINGERPRINT) == fingerprint, text)
    codec = header["meta"]["avro.codec"].cast("string")
    return (
        reason.when(~F.col(_FINGERPRINT).isin(list(writers.known)), UNKNOWN_SCHEMA)
        .when(codec.isNotNull() & (codec != "null"), F.concat(F.lit("compressed container: "), codec))
        .when(header["count"] != 1, F.concat(header["count"].cast("string"), F.lit(" alerts in one container")))
        .when(header["sync"] != header["end_sync"], "damaged container: its sync markers differ")
        .when(F.length(value) != _one_block_bytes(writers), "more than one block in the container")
    )


def _one_block_bytes(writers: WriterSchemas) -> Column:
    """Return the length in bytes of a container that holds one alert and nothing else."""
    size = F.length(F.col(_HEADER)["data"])
    header: Any = F.lit(0)
    for fingerprint, length in writers.header_bytes.items():
        header = F.when(F.col(_FINGERPRINT) == fingerprint, length).otherwise(header)
    # Avro writes the block's size as a variable-length integer: 7 bits a byte, one bit for the sign
    size_bytes = F.when(size < 2**6, 1).when(size < 2**13, 2).when(size < 2**20, 3).when(size < 2**27, 4).otherwise(5)
    return header + 1 + size_bytes + size + 16


def _implausible(survey: Survey) -> Column:
    """Return why a decoded record is no alert, or null."""
    alert = F.col(ALERT)
    jd = alert["candidate"]["jd"]
    return (
        F.when(alert["candid"].isNull(), "cannot be decoded with its own schema, or has no candid")
        .when(alert["objectId"].isNull() | (alert["objectId"] == ""), "no objectId")
        .when(jd.isNull() | F.isnan(jd), "no exposure time (candidate.jd)")
        .when(
            (jd < survey.jd_first) | (jd >= survey.jd_last),
            F.concat(F.lit("exposure time out of range: jd "), jd),
        )
    )


def night_column(jd: Column, survey: Survey) -> Column:
    """Return the observing night YYYYMMDD (string) of exposure times in jd (days)."""
    days = F.floor(jd + F.lit(survey.night_offset_days) - F.lit(2440587.5)).cast("int")
    return F.date_format(F.date_add(F.lit("1970-01-01").cast("date"), days), "yyyyMMdd")
