"""A configuration says what is wrong, where, and how to mend it; every value knows where it came from."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from fink_broker.config import load_config
from fink_broker.config.loader import REPOSITORY, _defaults, field_of
from fink_broker.config.model import Config, KafkaConfig, SimulatorConfig
from fink_broker.config.secrets import Credentials, kafka_credentials
from fink_broker.config.show import show
from fink_broker.config.template import render
from fink_broker.errors import ConfigError

CONF = REPOSITORY / "conf"


def write(folder: Path, text: str) -> Path:
    file = folder / "my.conf"
    file.write_text(text)
    return file


def test_the_file_for_one_machine_holds_every_key_with_its_default(tmp_path):
    loaded = load_config(CONF / "fink.conf", environ={"FINK_HOME": str(tmp_path)})
    empty = load_config(write(tmp_path, ""), environ={"FINK_HOME": str(tmp_path)})
    assert loaded.config == empty.config
    assert set(loaded.origin) == set(_defaults())
    assert all(re.fullmatch(r"fink\.conf line \d+", origin) for origin in loaded.origin.values())
    lines = (CONF / "fink.conf").read_text().splitlines()
    for key, origin in loaded.origin.items():
        assert lines[int(origin.split()[-1]) - 1].startswith(f"{key.split('.')[-1]} = ")
        assert lines[int(origin.split()[-1]) - 2].startswith("# ")
        assert field_of(key).description


def test_the_file_for_one_machine_is_what_the_model_says():
    assert (CONF / "fink.conf").read_text() == render()


def test_the_cluster_file_loads():
    config = load_config(CONF / "cluster.conf", environ={}).config
    assert config.spark.options["spark.cores.max"] == "8"
    assert config.input_servers.startswith("kafka-in-1")


def test_environment_beats_file_beats_default(tmp_path):
    file = write(tmp_path, "[stream]\ntrigger_seconds = 5\nmax_alerts_per_batch = 7\n")
    loaded = load_config(file, environ={"FINK__STREAM__TRIGGER_SECONDS": "2.5", "FINK__LOG__LEVEL": "DEBUG"})
    assert loaded.config.stream.trigger_seconds == 2.5
    assert loaded.config.stream.max_alerts_per_batch == 7
    assert loaded.config.log.level == "DEBUG"
    assert loaded.origin["stream.trigger_seconds"] == "environment FINK__STREAM__TRIGGER_SECONDS"
    assert loaded.origin["stream.max_alerts_per_batch"] == "my.conf line 3"
    assert loaded.origin["stream.dedup_alerts"] == "default"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[stream]\ntrigger_second = 5", ["line 2", "stream.trigger_second", "Did you mean stream.trigger_seconds?"]),
        ("[strem]\na = 1", ["line 2", "strem.a"]),
        ("[stream]\n\ntrigger_seconds = 'often'", ["line 3", "stream.trigger_seconds", "'often'", "number"]),
        ("[stream]\ntrigger_seconds = -1", ["line 2", "greater than or equal to 0", "seconds between"]),
        ("[kafka]\nstarting_offsets = 'middle'", ["line 2", "'earliest' or 'latest'"]),
        ("survey = 'moon'", ["line 1", "survey", "'ztf'"]),
        ("[kafka]\nservers = localhost", ["line 2", "quotes"]),
        ("[storage]\nonline = '${NOWHERE_SET}/x'", ["line 2", "NOWHERE_SET"]),
        ("[kafka]\npassword = 'hunter2'", ["line 2", "secret", "FINK_KAFKA_"]),
        ("kafka = 3", ["kafka"]),
    ],
)
def test_mistakes_are_named(tmp_path, text, parts):
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, text), environ={})
    for part in parts:
        assert part in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_unknown_environment_keys_are_errors(tmp_path):
    with pytest.raises(ConfigError, match=r"FINK__STREAM__TRIGER_SECONDS.*stream.trigger_seconds"):
        load_config(write(tmp_path, ""), environ={"FINK__STREAM__TRIGER_SECONDS": "1"})


@pytest.mark.parametrize("make", [lambda p: p / "absent.conf", lambda p: p])
def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path, make):
    with pytest.raises(ConfigError, match="configuration file"):
        load_config(make(tmp_path), environ={})


CLASSIC = """
# comment
export KAFKA_IPPORT="broker:9092"   # the input
KAFKA_TOPIC='ztf_.*'
KAFKA_TOPIC_SIM=ztf-stream-sim
FINK_TRIGGER_UPDATE=10
MAX_OFFSETS_PER_TRIGGER=5000
ONLINE_DATA_PREFIX=${FINK_HOME}/night
LOG_LEVEL=WARN
KAFKA_BROKER_IPPORT[0]="a:9093"
KAFKA_BROKER_IPPORT[1]="b:9094"
FS_KIND=local
SCIENCE_DB_NAME=test_portal
HBASE_XML_CONF=${SPARK_HOME}/conf/hbase-site.xml
EXTRA_SPARK_CONFIG="--conf spark.cores.max=4 --conf spark.x=y"
"""


CLASSIC_ENVIRONMENT = {"FINK_HOME": "/fink", "SPARK_HOME": "/spark"}


def test_a_classic_file_is_understood(tmp_path):
    loaded = load_config(write(tmp_path, CLASSIC), environ=CLASSIC_ENVIRONMENT)
    config = loaded.config
    assert loaded.kind == "classic"
    assert (config.kafka.servers, config.kafka.topic) == ("broker:9092", "ztf_.*")
    assert (config.stream.trigger_seconds, config.stream.max_alerts_per_batch) == (10, 5000)
    assert config.storage.online == "/fink/night"
    assert config.log.level == "WARNING"
    assert config.distribution.servers == "a:9093,b:9094"
    assert config.spark.options == {"spark.cores.max": "4", "spark.x": "y"}
    assert config.hbase.tables == "test_portal"
    assert len(loaded.notices) == 2
    assert "FS_KIND" in loaded.notices[0]
    assert "HBASE_XML_CONF has no effect: name the Thrift servers of HBase in hbase.servers." in loaded.notices[1]
    assert loaded.origin["kafka.servers"] == "my.conf line 3"
    simulated = load_config(write(tmp_path, CLASSIC), environ=CLASSIC_ENVIRONMENT, simulator=True).config
    assert simulated.kafka.topic == "ztf-stream-sim"
    assert simulated.kafka.servers == ""


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("KAFKA_IPORT=x", "Did you mean KAFKA_IPPORT?"),
        ("KAFKA_SASL_PASSWORD=x", "FINK_DISTRIBUTION_PASSWORD"),
        ("KAFKA_IPPORT='x", "quote"),
        ("FINK_TRIGGER_UPDATE=soon", "stream.trigger_seconds"),
        ("SCIENCE_DB_NAME=my.tables", "hbase.tables"),
        ("KAFKA_STARTING_OFFSET=17", "earliest or latest"),
        ("SECURED_KAFKA_CONFIG='--conf a.jaas=b'", "must not stand in a file"),
        ("echo hello", "no KEY=value"),
    ],
)
def test_mistakes_in_a_classic_file_are_named(tmp_path, line, part):
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, f"KAFKA_TOPIC=a\n{line}\n"), environ={})
    assert part in str(caught.value)
    assert "line 2" in str(caught.value)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text(max_size=200) | st.text("[]=\"'.\n KAFKA_TOPIC${}stream#-0", max_size=200))
def test_no_text_raises_anything_but_a_configuration_error(tmp_path, text):
    try:
        load_config(write_any(tmp_path, text), environ={})
    except ConfigError as error:
        assert error.message


def write_any(folder: Path, text: str) -> Path:
    file = folder / "any.conf"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    return file


def test_secrets_come_from_the_environment_and_do_not_print():
    assert kafka_credentials({}) is None
    known = kafka_credentials({"FINK_KAFKA_USERNAME": "me", "FINK_KAFKA_PASSWORD": "hunter2"})
    assert known == Credentials("me", "hunter2")
    assert "hunter2" not in repr(known)
    with pytest.raises(ConfigError, match="FINK_KAFKA_PASSWORD is not"):
        kafka_credentials({"FINK_KAFKA_USERNAME": "me"})


@pytest.mark.parametrize("terminal", [True, False])
def test_show_prints_every_key_and_its_origin(tmp_path, terminal):
    loaded = load_config(write(tmp_path, "[stream]\ntrigger_seconds = 5"), environ={})
    console = Console(
        width=160, force_terminal=terminal, record=True, file=(tmp_path / "out").open("w"), _environ={"TERM": "xterm"}
    )
    show(loaded, console)
    text = console.export_text()
    for key in _defaults():
        assert key in text
    assert "my.conf line 2" in text


def test_the_simulator_flag_changes_only_where_alerts_come_from():
    config = Config()
    simulated = config.for_simulator()
    assert simulated.model_copy(update={"kafka": config.kafka}) == config


def test_the_embedded_kafka_asks_for_no_password():
    secured = KafkaConfig(servers="a:9092", security_protocol="SASL_SSL")
    assert Config(kafka=secured).for_simulator().kafka.security_protocol == "PLAINTEXT"
    elsewhere = Config(kafka=secured, simulator=SimulatorConfig(servers="b:9092")).for_simulator()
    assert (elsewhere.kafka.servers, elsewhere.kafka.security_protocol) == ("b:9092", "SASL_SSL")


def test_every_key_of_the_classic_files_is_known(tmp_path):
    keys = ("LSST_KAFKA_SERVER", "LSST_SCHEMA_SERVER", "GROUPID", "NCONSUMERS", "HDFS_BATCH_SIZE")
    text = "KAFKA_TOPIC=a\n" + "".join(f"{key}=x\n" for key in keys) + 'KAFKA_SASL_PASSWORD=""\n'
    loaded = load_config(write(tmp_path, text), environ={})
    assert [notice.split(": ")[1].split()[0] for notice in loaded.notices] == list(keys)
