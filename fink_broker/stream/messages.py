"""The wire format of filtered topics: what every Fink client reads.

Value: one bare Avro datum of the full alert. Key: the JSON text of its schema. Headers: what lets a reader drop
repeats without decoding. Records are inlined under unique names, unions have the value first, times are text.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.avro.functions import to_avro

from fink_broker.alert.survey import Survey
from fink_broker.filters.engine import TOPICS
from fink_broker.science.outcome import OUTCOMES
from fink_broker.science.registry import known_columns
from fink_broker.stream.enrich import CUT, ENDED, STARTED

#: columns that stay in the house
PRIVATE = ("origin", "night", *OUTCOMES, TOPICS)

#: names, in lower case, of columns that jobs add to those of a packet, whatever science modules run
ADDED_COLUMNS = frozenset(
    name.lower()
    for name in (
        *PRIVATE,
        *known_columns(),
        CUT,
        STARTED,
        ENDED,
        "brokerIngestTimestamp",
        "fink_broker_version",
        "fink_science_version",
        "timestamp",
    )
)


def messages(alerts: DataFrame, prefix: str, partitions: int, survey: Survey) -> DataFrame:
    """Return the Kafka messages of alerts: one for each topic an alert passed.

    Parameters
    ----------
    alerts : DataFrame
        Rows of the science table with the column ``topics``.
    prefix : str
        Prefix of topic names.
    partitions : int
        Partitions of each topic; an object's alerts share one, so their order is kept.
    survey : Survey
        Gives the suffix of topic names.
    """
    public = alerts.select(*_public_columns(alerts))
    schema = writer_schema(public)
    packet = F.struct(*_public_columns(alerts))
    encoded = alerts.where(F.size(TOPICS) > 0).select(
        to_avro(packet, schema).alias("value"),
        F.pmod(F.xxhash64("objectId"), F.lit(partitions)).cast("int").alias("partition"),
        "candid",
        "objectId",
        TOPICS,
    )
    one_a_topic = encoded.withColumn("topic", F.explode(TOPICS))
    return one_a_topic.select(
        F.lit(schema).cast("binary").alias("key"),
        "value",
        "partition",
        F.array(
            _header("candid", F.col("candid").cast("string")),
            _header("objectId", F.col("objectId")),
            _header("filter", F.col("topic")),
        ).alias("headers"),
        F.concat(F.lit(prefix), "topic", F.lit(f"_{survey.name}")).alias("topic"),
    )


def writer_schema(public: DataFrame) -> str:
    """Return the Avro schema (JSON text) with which rows of this DataFrame are written."""
    jvm = public.sparkSession._jvm
    schema = jvm.org.apache.spark.sql.avro.SchemaConverters.toAvroType(
        public._jdf.schema(), False, "topLevelRecord", ""
    )
    return str(schema.toString())


def _header(name: str, value: Column) -> Column:
    return F.struct(F.lit(name).alias("key"), value.cast("binary").alias("value"))


def _public_columns(alerts: DataFrame) -> list[Column]:
    """Return the columns of a message: times as text, and the exposure time as ``timestamp`` for older clients."""
    columns = []
    for field in alerts.schema.fields:
        if field.name in PRIVATE:
            continue
        column = F.col(field.name)
        columns.append(_text(column).alias(field.name) if field.dataType.typeName() == "timestamp" else column)
    exposure = F.timestamp_micros(((F.col("candidate.jd") - 2440587.5) * 86_400_000_000).cast("long"))
    return [*columns, _text(exposure).alias("timestamp")]


def _text(time: Column) -> Column:
    """Return a time as UTC text, always with six digits after the second so that every reader parses one form."""
    return F.date_format(time, "yyyy-MM-dd HH:mm:ss.SSSSSS")
