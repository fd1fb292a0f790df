"""The classic ``KEY=value`` files of earlier releases, translated key by key.

They were shell scripts; here they are read, never run: comments, quotes, ``export`` and ``${VAR}`` are understood.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fink_broker.config.values import Setting, expand, suggestion
from fink_broker.errors import ConfigError

LINE = re.compile(r"^\s*(?:export\s+)?([A-Z][A-Z0-9_]*)(?:\[(\d+)\])?=(.*)$")

#: classic key → our key
KEYS = {
    "KAFKA_IPPORT": "kafka.servers",
    "KAFKA_TOPIC": "kafka.topic",
    "KAFKA_STARTING_OFFSET": "kafka.starting_offsets",
    "KAFKA_PORT_SIM": "kafka.embedded_port",
    "KAFKA_IPPORT_SIM": "simulator.servers",
    "KAFKA_TOPIC_SIM": "simulator.topic",
    "SPARK_MASTER": "spark.master",
    "FINK_TRIGGER_UPDATE": "stream.trigger_seconds",
    "MAX_OFFSETS_PER_TRIGGER": "stream.max_alerts_per_batch",
    "ONLINE_DATA_PREFIX": "storage.online",
    "DATA_PREFIX": "storage.online",
    "LOG_LEVEL": "log.level",
    "FINK_DATA_SIM": "simulator.source",
    "NPARTITIONS": "simulator.partitions",
    "DISTRIBUTION_SERVERS": "distribution.servers",
    "KAFKA_BROKER_IPPORT": "distribution.servers",
    "SUBSTREAM_PREFIX": "distribution.prefix",
    "KAFKA_SECURITY_PROTOCOL": "distribution.security_protocol",
    "TNS_RAW_OUTPUT": "science.tns_catalogue",
    "SCIENCE_DB_NAME": "hbase.tables",
    "FINK_UI_PORT": "dashboard.port",
}

#: classic key → why it is no longer needed
NO_LONGER = {
    "FS_KIND": "the kind of storage follows from storage.online (a folder, or hdfs://…)",
    "FINK_PACKAGES": "the Java parts are pinned and fetched by the launcher",
    "FINK_JARS": "the Java parts are pinned and fetched by the launcher",
    "FINK_ALERT_SCHEMA": "every packet is decoded with the schema it carries",
    "DEPLOY_FINK_PYTHON": "the package is installed where Spark runs",
    "DISTRIBUTION_TOPIC": "topics are named in distribution.topics",
    "DISTRIBUTION_SCHEMA": "the schema travels in the key of every message",
    "DISTRIBUTION_OFFSET": "the job goes on from its checkpoint",
    "DISTRIBUTION_OFFSET_FILE": "the job goes on from its checkpoint",
    "DISTRIBUTION_RULES_XML": "filters decide what goes to a topic",
    "TIME_INTERVAL": "use simulator.rate, in alerts per second",
    "POOLSIZE": "use simulator.limit and simulator.repeat",
    "NALERTS_PER_OBS": "use simulator.rate",
    "NOBSERVATIONS": "use simulator.limit",
    "DISPLAY_FIELD": "the simulator shows its progress",
    "EXTERNAL_SCHEMA": "packets are sent with the schema they carry",
    "PRODUCER": "use kafka.packet_format",
    "ZK_IPPORT": "Kafka runs without ZooKeeper",
    "KAFKA_BUFFER_MEMORY": "the producer is sized by the broker",
    "KAFKA_DELIVERY_TIMEOUT_MS": "the producer is sized by the broker",
    "TNS_FOLDER": "name the file in science.tns_catalogue",
    "LSST_KAFKA_SERVER": "Rubin alerts are not part of this release",
    "LSST_KAFKA_TOPIC": "Rubin alerts are not part of this release",
    "LSST_SCHEMA_SERVER": "Rubin alerts are not part of this release",
    "GROUPID": "the job goes on from its checkpoint, not from a group's offsets",
    "NCONSUMERS": "Spark reads each partition by itself",
    "HDFS_BATCH_SIZE": "use stream.max_alerts_per_batch",
    "MAX_ALERTS_PER_CONSUMER": "use stream.max_alerts_per_batch",
    "SCIENCE_DB_CATALOG": "the columns of the tables follow from the schema of the alerts and the science modules",
    "SCIENCE_DB_CATALOGS": "the columns of the tables follow from the schema of the alerts and the science modules",
    "SAVE_SCIENCE_DB_CATALOG_ONLY": "no catalogue of the tables is needed",
    "HBASE_XML_CONF": "name the Thrift servers of HBase in hbase.servers",
    "FINK_UI_PATH": "the dashboard makes its data when they are asked for",
    "AGG_DATA_PREFIX": "a merged night stays where it is, below storage.online",
    "HOSTLESS_FOLDER": "hostless scores are not part of this release",
    "FINK_FAT_OUTPUT": "solar system linking is not part of this release",
    "FINK_MM_CONFIG": "multi-messenger topics are not part of this release",
} | {
    f"FINK_ALERT_{name}": "folders follow from storage.online"
    for name in ("PATH", "PATH_SCI_TMP", "CHECKPOINT_RAW", "CHECKPOINT_SCI_TMP", "CHECKPOINT_SCI", "CHECKPOINT_KAFKA")
}

SECRETS = {
    "KAFKA_SASL_USERNAME": "FINK_DISTRIBUTION_USERNAME",
    "KAFKA_SASL_PASSWORD": "FINK_DISTRIBUTION_PASSWORD",
    "LSST_KAFKA_USERNAME": "FINK_KAFKA_USERNAME",
    "LSST_KAFKA_PASSWORD": "FINK_KAFKA_PASSWORD",
}


@dataclass(frozen=True)
class Classic:
    """What a classic file says: settings by our keys, and notices on keys that have no effect any more."""

    settings: dict[str, Setting]
    notices: list[str]


def is_classic(text: str) -> bool:
    """Tell whether a file is a classic one: its first setting is an upper-case ``KEY=value`` without blanks."""
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            return LINE.match(line) is not None
    return False


def read_classic(text: str, path: Path, environ: Mapping[str, str]) -> Classic:
    """Translate a classic file.

    Raises
    ------
    ConfigError
        If a line is no ``KEY=value``, a key is unknown, or a secret stands in the file.
    """
    variables: dict[str, str] = dict(environ)
    settings: dict[str, Setting] = {}
    notices: list[str] = []
    brokers: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        where = f"{path.name} line {number}"
        match = LINE.match(line)
        if match is None:
            raise ConfigError(f"{where} is no KEY=value: {line.strip()[:60]!r}.")
        key, index, raw = match.groups()
        value = expand(_unquote(raw, where), variables, where)
        variables[key] = value
        if key == "KAFKA_BROKER_IPPORT" and index is not None:
            brokers.append(value)
            value = ",".join(brokers)
        if key in ("EXTRA_SPARK_CONFIG", "SECURED_KAFKA_CONFIG"):
            settings |= _spark_options(value, where)
        elif value or key not in (*KEYS, *SECRETS):
            _translate(key, value, where, settings, notices)
    return Classic(settings, notices)


def _translate(key: str, value: str, where: str, settings: dict[str, Setting], notices: list[str]) -> None:
    if key in SECRETS:
        raise ConfigError(
            f"{where}: {key} is a secret and must not stand in a file.", f"Set {SECRETS[key]} in the environment."
        )
    if key in NO_LONGER:
        notices.append(f"{where}: {key} has no effect: {NO_LONGER[key]}.")
    elif key in KEYS:
        if key == "LOG_LEVEL":
            value = {"OFF": "ERROR", "CRITICAL": "ERROR", "FATAL": "ERROR", "WARN": "WARNING"}.get(value, value)
        if key == "KAFKA_STARTING_OFFSET" and value not in ("earliest", "latest"):
            raise ConfigError(
                f"{where}: KAFKA_STARTING_OFFSET is {value!r}, but a first run can begin at earliest or latest only."
            )
        if key == "DISTRIBUTION_SERVERS" or KEYS[key] not in settings or key == "KAFKA_BROKER_IPPORT":
            settings[KEYS[key]] = Setting(value, where)
    else:
        hint = suggestion(key, [*KEYS, *NO_LONGER, "EXTRA_SPARK_CONFIG", "SECURED_KAFKA_CONFIG"])
        raise ConfigError(f"{where}: there is no key {key}.", hint)


def _unquote(raw: str, where: str) -> str:
    """Return a shell word without its quotes and without a comment behind it."""
    if raw.strip() in ("", "()"):
        return ""
    try:
        words = shlex.split(raw, comments=True)
    except ValueError as error:
        raise ConfigError(f"{where}: a quote is not closed ({error}).") from error
    return " ".join(words)


def _spark_options(value: str, where: str) -> dict[str, Setting]:
    """Return the ``--conf key=value`` options of a string, as spark.options."""
    if re.search(r"password|jaas", value, re.IGNORECASE):
        raise ConfigError(
            f"{where}: this option holds a password, which must not stand in a file.",
            "Set FINK_KAFKA_USERNAME and FINK_KAFKA_PASSWORD in the environment.",
        )
    options = dict(re.findall(r"--conf[ =]+([\w.]+)=(\S+)", value))
    return {f"spark.options.{name}": Setting(text, where) for name, text in options.items()}
