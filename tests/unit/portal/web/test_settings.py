"""``config.yml`` of the portal."""

from __future__ import annotations

from pathlib import Path

import pytest

from fink_broker.config import Config
from fink_broker.errors import ConfigError
from fink_broker.portal.web.settings import VARIABLE, portal_config
from fink_broker.portal.web.site import public_api_url

KNOWN = """
APIURL: https://api.example.org
IP: portal.example.org
PORT: 24001
HBASEIP: hbase.example.org
ZOOPORT: 2183
SCHEMAVER: schema_3.1_5.0.0
tablename: ztf_season1
LOCALAPI: true
"""
TRANSFER = """
WEBHDFS: http://namenode:50070/webhdfs/v1
NAMENODE: hdfs://namenode:8020
LIVYHOST: http://livy:8998
USER: fink
SPARKCONF: {spark.cores.max: 4, spark.eventLog.enabled: false}
KAFKA_BOOTSTRAP_SERVERS: kafka:9092
KAFKA_SASL_USERNAME: somebody
KAFKA_SASL_PASSWORD: secret
"""


def test_without_a_file_the_brokers_own_configuration_holds(tmp_path: Path) -> None:
    assert portal_config(tmp_path, {}).portal == Config().portal


def test_keys_of_deployments_are_understood(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "config.yml").write_text(KNOWN)
    (tmp_path / "config_datatransfer.yml").write_text(TRANSFER)
    config = portal_config(tmp_path, {})
    portal = config.portal
    assert (portal.api_url, portal.port, portal.local_api) == ("https://api.example.org", 24001, True)
    assert portal.host == "127.0.0.1"  # a public name is not what to listen at
    assert (config.hbase.servers, config.hbase.tables) == ("hbase.example.org:9090", "ztf_season1")
    assert (portal.transfer, portal.livy_url, portal.hadoop_user) == ("livy", "http://livy:8998", "fink")
    assert portal.livy_spark == {"spark.cores.max": "4", "spark.eventLog.enabled": "false"}
    assert config.distribution.servers == "kafka:9092"
    assert public_api_url(config) == "https://api.example.org"
    assert "FINK_DISTRIBUTION_USERNAME" in caplog.text
    assert "FINK_DISTRIBUTION_PASSWORD" in caplog.text
    assert "secret" not in caplog.text
    assert "secret" not in config.model_dump_json()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("APIRUL: http://a", "there is no key APIRUL"),
        ("APIURL: ftp://a", "APIURL is 'ftp://a'"),
        ("PORT: many", "PORT is 'many'"),
        ("SPARKCONF: 4", "SPARKCONF is 4"),
        ("- a\n- b", "no mapping"),
        ("a: [", "not well-formed"),
        ("IP: !!python/object/apply:os.system [true]", "not well-formed"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "config.yml").write_text(text)
    with pytest.raises(ConfigError, match=words):
        portal_config(tmp_path, {})


def test_snippets_name_the_public_address_not_the_one_inside() -> None:
    inside = {"portal": {"api_url": "http://10.0.0.7:32000"}}
    assert public_api_url(Config.model_validate(inside)) == "http://10.0.0.7:32000"
    public = Config.model_validate(inside | {"api": {"public_url": "https://api.example.org/"}})
    assert public_api_url(public) == "https://api.example.org"


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        portal_config(tmp_path, {VARIABLE: str(tmp_path / "none.yml")})


def test_the_launcher_hands_over_a_whole_configuration(tmp_path: Path) -> None:
    config = Config.model_validate({"portal": {"port": 24321}, "api": {"port": 32123}})
    (tmp_path / "portal.json").write_text(config.model_dump_json())
    assert portal_config(tmp_path, {VARIABLE: str(tmp_path / "portal.json")}) == config
