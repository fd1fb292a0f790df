"""The Spark session of a job."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pyspark.sql import SparkSession

from fink_broker.config import Config
from fink_broker.config.paths import java_parts_folder
from fink_broker.errors import ServiceError

#: A corrupt length in a packet must fail that packet, not allocate gigabytes (bytes, characters, items).
AVRO_LIMITS = {
    "org.apache.avro.limits.bytes.maxLength": 64 * 1024 * 1024,
    "org.apache.avro.limits.string.maxLength": 16 * 1024 * 1024,
    "org.apache.avro.limits.collectionItems.maxLength": 1_000_000,
}

JAVA_OPTIONS = " ".join(["-Duser.timezone=UTC"] + [f"-D{name}={value}" for name, value in AVRO_LIMITS.items()])

LOG_SETTINGS = Path(__file__).with_name("log4j2.properties")


def open_session(config: Config, name: str) -> SparkSession:
    """Return the Spark session of a job.

    Raises
    ------
    ServiceError
        If the Java archives of the Kafka and Avro connectors are not there.
    """
    jars = sorted(str(path) for path in java_parts_folder("spark").glob("*.jar"))
    if not jars:
        raise ServiceError(
            f"The Kafka and Avro connectors of Spark are not in {java_parts_folder('spark')}.",
            "Run `fink init`, which fetches them.",
        )
    if config.spark.master.startswith("local"):
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        os.environ["PYSPARK_PYTHON"] = sys.executable  # workers run in the environment of the launcher
    builder = SparkSession.builder.appName(f"fink {name}").master(config.spark.master)
    for key, value in (_settings(config, jars) | config.spark.options).items():
        builder = builder.config(key, value)
    spark: SparkSession = builder.getOrCreate()
    spark.sparkContext.setLogLevel(config.spark.log_level)
    return spark


def _settings(config: Config, jars: list[str]) -> dict[str, str]:
    # On one machine jars go on the class path as they are; a cluster gets them shipped.
    local = config.spark.master.startswith("local")
    java_options = f"{JAVA_OPTIONS} {config.spark.java_options}"
    return {
        "spark.driver.extraClassPath" if local else "spark.jars": (":" if local else ",").join(jars),
        "spark.driver.memory": config.spark.driver_memory,
        "spark.executor.memory": config.spark.executor_memory,
        "spark.driver.extraJavaOptions": f"{java_options} -Dlog4j2.configurationFile={LOG_SETTINGS.as_uri()}",
        "spark.executor.extraJavaOptions": java_options,
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        "spark.sql.parquet.compression.codec": "snappy",
        # images do not repeat: looking for repeats in them only costs
        "spark.hadoop.parquet.enable.dictionary": "false",
        # rows read at once: 4096, the default, would be 300 MB of alerts
        "spark.sql.parquet.columnarReaderBatchSize": "256",
        "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
        # several nights in one batch are written side by side rather than sorted first
        "spark.sql.maxConcurrentOutputFileWriters": "32",
        "spark.hadoop.mapreduce.fileoutputcommitter.algorithm.version": "2",
        "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
        "spark.sql.execution.arrow.maxRecordsPerBatch": str(config.science.batch_alerts),
        # Kafka is written through Spark's newer interface: only that one reports what was counted on the way
        "spark.sql.sources.useV1SourceList": "avro,csv,json,orc,parquet,text",
        "spark.sql.streaming.minBatchesToRetain": "10",
        "spark.sql.streaming.metricsEnabled": "false",
        "spark.python.worker.reuse": "true",
        "spark.task.maxFailures": "2",
        "spark.cleaner.periodicGC.interval": "15min",
    }
