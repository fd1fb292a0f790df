"""The sections of those who look: the science portal and the operations dashboard."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from fink_broker.config.section import Section


class PortalConfig(Section):
    """The science portal."""

    host: str = Field("127.0.0.1", description="address the portal listens at; 0.0.0.0: reachable from outside")
    port: int = Field(24000, ge=1024, le=65535, description="port the portal listens at")
    api_url: str = Field("", description="address of the REST API the portal asks; empty: the one of section [api]")
    local_api: bool = Field(
        False, description="whether the portal runs the API's functions in its own process instead of asking over HTTP"
    )
    processes: int = Field(1, ge=1, le=64, description="processes that serve pages")
    threads: int = Field(16, ge=1, le=256, description="requests each of them serves side by side")
    max_body_mib: int = Field(100, ge=1, description="largest upload in MiB")
    api_seconds: float = Field(20.0, gt=0, description="seconds the portal waits for an answer of the API")
    fits_at_once: int = Field(2, ge=1, description="fits of all visitors that run side by side; further ones wait")
    fit_seconds: float = Field(120.0, gt=0, description="seconds after which a fit is ended")
    aladin: bool = Field(
        True, description="whether pages offer Aladin Lite, whose images of the sky come from the CDS over the network"
    )
    photometry_url: str = Field(
        "https://irsa.ipac.caltech.edu/cgi-bin/ZTF/nph_light_curves",
        description="ZTF data release photometry (IRSA); empty: not offered",
    )
    transfer: Literal["local", "livy", "none"] = Field(
        "local", description="who sends what the data transfer page selects: local (`fink transfer` here), livy, none"
    )
    livy_url: str = Field("", description="Livy server that runs transfers, as http://host:8998")
    webhdfs_url: str = Field("", description="WebHDFS address to which the transfer job is uploaded")
    namenode_url: str = Field("", description="HDFS name node under which Livy finds it, as hdfs://host:8020")
    hadoop_user: str = Field("", description="user of HDFS and Livy")
    livy_spark: dict[str, str] = Field({}, description="spark.* options of jobs run by Livy")


class DashboardConfig(Section):
    """The operations dashboard, and the samples services leave for it."""

    host: str = Field("127.0.0.1", description="address the dashboard listens at; 0.0.0.0: reachable from outside")
    port: int = Field(5000, ge=1024, le=65535, description="port the dashboard listens at")
    refresh_seconds: float = Field(2.0, ge=0.5, description="seconds between two looks at the stages")
    sample_seconds: float = Field(
        2.0, ge=0.5, description="seconds between two samples of a running service, in <storage.online>/_services"
    )
    log_lines: int = Field(30, ge=0, le=1000, description="last lines of each log that are shown")
