"""The embedded HBase before it starts: its ports, and what it is told; and how it notices that HBase gives up."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from xml.dom.minidom import parseString

import pytest

from fink_broker.config.model import Config, HBaseConfig, StorageConfig
from fink_broker.errors import ServiceError
from fink_broker.service.hbase import HBaseServer, answers, check_ports, run
from fink_broker.service.hbase_settings import LOG_SETTINGS, site_xml, write_settings
from fink_broker.service.ports import free_port


def config(thrift: int, zookeeper: int, folder: Path = Path("/nowhere")) -> Config:
    ports = HBaseConfig(embedded_port=thrift, embedded_zookeeper_port=zookeeper)
    return Config(storage=StorageConfig(state=folder), hbase=ports)


def told(thrift: int = 9090, zookeeper: int = 2181, folder: Path = Path("/nowhere")) -> dict[str, str]:
    return properties(site_xml(config(thrift, zookeeper), folder))


def properties(xml: str) -> dict[str, str]:
    document = parseString(xml)  # noqa: S318 - our own text
    texts = [node.firstChild.data for name in ("name", "value") for node in document.getElementsByTagName(name)]
    return dict(zip(texts[: len(texts) // 2], texts[len(texts) // 2 :], strict=True))


@pytest.fixture
def deaf() -> Iterator[str]:
    """Return the address of somebody who takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"127.0.0.1:{listener.getsockname()[1]}"


def test_a_taken_port_is_told_with_the_key_that_changes_it(taken: int) -> None:
    with pytest.raises(
        ServiceError, match=rf"Port {taken}, at which the embedded HBase answers, is taken .*hbase\.embedded_port"
    ):
        check_ports(config(taken, free_port()))
    with pytest.raises(ServiceError, match=rf"Port {taken}, at which parts .*hbase\.embedded_zookeeper_port"):
        check_ports(config(free_port(), taken))
    with pytest.raises(ServiceError, match=r"hbase\.embedded_zookeeper_port are both 9090"):
        check_ports(config(9090, 9090))


def test_nothing_is_begun_where_a_port_is_taken(taken: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fink_broker.service.hbase.find_java", lambda: Path("java"))
    with pytest.raises(ServiceError, match=f"Port {taken}"):
        run(config(free_port(), taken, tmp_path), threading.Event(), lambda _: None)
    assert not list(tmp_path.iterdir())


def test_every_address_is_on_the_loopback() -> None:
    settings = told(9555, 2555)
    assert settings["hbase.regionserver.thrift.port"] == "9555"
    assert settings["hbase.zookeeper.property.clientPort"] == "2555"
    addresses = {key: value for key, value in settings.items() if re.search(r"address|quorum|hostname", key)}
    assert len(addresses) >= 6
    assert set(addresses.values()) <= {"127.0.0.1", "localhost"}
    assert {value for key, value in settings.items() if key.endswith("info.port")} == {"-1"}, "no web pages"


def test_what_is_written_outlives_the_process() -> None:
    settings = told()
    assert settings["fs.file.impl"] == "org.apache.hadoop.fs.RawLocalFileSystem"
    assert settings["hbase.wal.provider"] == "filesystem"


def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    folder = tmp_path / "night & <day>"
    settings = write_settings(config(9090, 2181), folder)
    assert properties((settings / "hbase-site.xml").read_text())["hbase.rootdir"] == f"file://{folder}/data"
    assert (settings / "log4j.properties").read_text() == LOG_SETTINGS


def test_nobody_answers_where_nobody_listens_or_is_no_hbase(deaf: str) -> None:
    assert not answers(f"127.0.0.1:{free_port()}", 0.2)
    assert not answers(f"{deaf},no-port", 0.2)


def test_an_hbase_that_gives_up_is_noticed(tmp_path: Path) -> None:
    server = HBaseServer(config(9090, 2181, tmp_path))
    server.master.begin_log()
    server.check()
    with server.master.log.open("a") as log:
        log.write("ERROR [RS:0] ***** ABORTING region server localhost,1: no space left on")
    server.check()  # half a line
    with server.master.log.open("a") as log:
        log.write(" device *****\n")
    with pytest.raises(ServiceError, match=r"HBase has given up\..*no space left on device"):
        server.check()
