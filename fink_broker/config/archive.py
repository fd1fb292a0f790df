"""What can be configured of the archive: HBase, the job that fills it, the API that reads it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from fink_broker.config.section import Section


class HBaseConfig(Section):
    """The database the API reads, reached through its Thrift server."""

    servers: str = Field(
        "", description="host:port list of Thrift servers of an HBase cluster; empty: the embedded HBase"
    )
    tables: str = Field(
        "ztf", pattern=r"^[A-Za-z][A-Za-z0-9_]{0,62}$", description="name of the main table, and start of all others'"
    )
    connections: int = Field(8, ge=1, description="connections a process keeps open at most")
    timeout_seconds: float = Field(10.0, gt=0, description="seconds an answer of HBase may take")
    embedded_port: int = Field(9090, ge=1024, le=65535, description="loopback port of the embedded Thrift server")
    embedded_zookeeper_port: int = Field(
        2181, ge=1024, le=65535, description="loopback port at which parts of the embedded HBase find one another"
    )
    embedded_heap_mib: int = Field(1024, ge=256, description="heap of the embedded HBase in MiB")
    embedded_thrift_heap_mib: int = Field(512, ge=64, description="heap of its Thrift server in MiB")


class ArchiveConfig(Section):
    """How alerts get into HBase."""

    partitions: int = Field(2, ge=1, le=64, description="parts of a batch that are written side by side")
    batch_alerts: int = Field(500, ge=1, description="alerts written at once")


class ApiConfig(Section):
    """The REST API."""

    host: str = Field("127.0.0.1", description="address the API listens at; 0.0.0.0: reachable from outside")
    port: int = Field(32000, ge=1024, le=65535, description="port the API listens at")
    generation: Literal["current", "historic"] = Field(
        "current", description="how the routes answer whose answers differ between generations of the API"
    )
    public_url: str = Field("", description="address by which clients reach the API, for links and examples")
    max_rows: int = Field(
        10_000, ge=1, le=100_000, description="most rows of an answer; a cut answer says so in a header"
    )
    max_body_mib: int = Field(100, ge=1, description="largest request in MiB")
    seconds: float = Field(60.0, gt=0, description="seconds a request may take")
    threads: int = Field(16, ge=1, description="requests served side by side; further ones wait")
    keys_file: str = Field(
        "", description="TOML file of API keys and their quotas, made by `fink api key`; empty: no key is needed"
    )
    anonymous_per_minute: int = Field(
        0,
        ge=0,
        description="requests a minute for an address without a key; 0: no limit, or none at all with keys_file",
    )
    writable: bool = Field(
        False,
        description="whether `metadata` and `euclidin` take data; the token they ask for is FINK_API_TOKEN",
    )
    resolvers: list[Literal["service", "none"]] = Field(
        ["service"], description="who resolves names and ephemerides that are not in HBase: service, none"
    )
    sesame_url: str = Field("https://cds.unistra.fr/cgi-bin/nph-sesame", description="name resolver of the CDS")
    quaero_url: str = Field("https://api.ssodnet.imcce.fr/quaero/1", description="names of solar system objects")
    miriade_url: str = Field("https://ssp.imcce.fr/webservices/miriade/api", description="ephemerides")
    gracedb_url: str = Field("https://gracedb.ligo.org/api", description="skymaps of gravitational-wave events")
    service_seconds: float = Field(10.0, gt=0, description="time-out of these services in seconds")
    ssoft_folder: str = Field(
        "${FINK_HOME}/ssoft",
        description="folder of the tables of solar system objects, ssoft_<flavor>_<version>.parquet",
    )
