"""What can be configured: one model a section, every key with its unit, default and reason.

The models are frozen: a configuration is loaded once and passed down, never changed and never global.
A value of ``""`` for servers means "the embedded Kafka of this machine".
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from fink_broker.config.archive import ApiConfig, ArchiveConfig, HBaseConfig
from fink_broker.config.portal import DashboardConfig, PortalConfig
from fink_broker.config.section import Section
from fink_broker.config.tom import TomConfig

Provider = Literal["service", "local", "none"]


class StorageConfig(Section):
    """Where alerts rest."""

    online: str = Field(
        "${FINK_HOME}/online",
        description="folder (or hdfs:// URI) of the raw, science and rejected Parquet tables, and checkpoints",
    )
    state: Path = Field(
        Path("${FINK_HOME}/.fink"),
        description="folder of running services: pid files, logs, data of embedded servers",
    )
    min_free_gib: float = Field(
        1.0, ge=0, description="free disk space in GiB below which no service starts and streams pause"
    )
    warn_free_gib: float = Field(
        20.0, ge=0, description="free disk space in GiB below which services and `fink show` warn"
    )
    keep_raw_days: int = Field(
        0, ge=0, description="days after which `fink clean` removes a night of raw packets; 0: never"
    )
    keep_science_days: int = Field(
        0, ge=0, description="days after which `fink clean` removes a night of the science table; 0: never"
    )
    keep_rejected_days: int = Field(
        0, ge=0, description="days after which `fink clean` removes rejected packets; 0: never"
    )
    file_mib: int = Field(128, ge=1, description="size of the files a merged night consists of, in MiB")


class KafkaConfig(Section):
    """Where alerts come from."""

    servers: str = Field("", description="host:port list of the input Kafka; empty: the embedded one")
    topic: str = Field(r"ztf_\d{8}_programid1", description="input topic, or a regular expression for several")
    starting_offsets: Literal["earliest", "latest"] = Field(
        "earliest", description="where a first run begins; later runs go on from their checkpoint"
    )
    security_protocol: Literal["PLAINTEXT", "SASL_PLAINTEXT", "SASL_SSL", "SSL"] = Field(
        "PLAINTEXT", description="input security; user and password only from FINK_KAFKA_USERNAME, FINK_KAFKA_PASSWORD"
    )
    sasl_mechanism: str = Field("SCRAM-SHA-512", description="SASL mechanism where the protocol asks for one")
    packet_format: Literal["container", "bare", "enveloped"] = Field(
        "container",
        description="container: an Avro file a message (ZTF); bare: one Avro datum; enveloped: 5 bytes of "
        "schema registry envelope before the datum",
    )
    packet_schema: str = Field("", description="Avro schema file of bare or enveloped packets")
    embedded_port: int = Field(9092, ge=1024, le=65535, description="loopback port of the embedded Kafka")
    embedded_sasl_port: int = Field(
        9093, ge=0, le=65535, description="loopback port at which it asks for user and password; 0: none"
    )
    embedded_heap_mib: int = Field(400, ge=128, description="heap of the embedded Kafka in MiB")


class SimulatorConfig(Section):
    """What `fink start simulator` replays."""

    servers: str = Field("", description="host:port list; empty: the embedded Kafka; also what --simulator reads")
    topic: str = Field(
        "",
        description="topic to write, also read by --simulator; empty: ztf_YYYYMMDD_programid1 by the alert's night",
    )
    source: str = Field(
        "${FINK_HOME}/datasim",
        description="folder, .tar.gz, .avro or .parquet of alerts, or 'synthetic'",
    )
    rate: float = Field(10.0, ge=0, description="alerts per second; 0: as fast as it goes")
    pace: Literal["rate", "night"] = Field(
        "rate", description="rate: a fixed rate; night: the alerts' own times, sped up by `speedup`"
    )
    speedup: float = Field(1.0, gt=0, description="how many times faster than the night its own pace is replayed")
    repeat: int = Field(1, ge=1, description="times over, with fresh identifiers and shifted times")
    limit: int = Field(0, ge=0, description="stop after so many alerts; 0: all (synthetic: 1000)")
    seed: int = Field(0, ge=0, description="seed of the synthetic sky")
    partitions: int = Field(4, ge=1, description="partitions of a topic the simulator creates")


class SparkConfig(Section):
    """How Spark runs each job."""

    master: str = Field("local[2]", description="Spark master URL")
    driver_memory: str = Field("1g", pattern=r"^\d+[mg]$", description="heap of each job's driver")
    executor_memory: str = Field("2g", pattern=r"^\d+[mg]$", description="heap of each executor on a cluster")
    java_options: str = Field(
        "-XX:+UseSerialGC -XX:TieredStopAtLevel=1",
        description="flags of the Java processes; the default compiles little and early, which suits two cores "
        "(benchmarks/end_to_end); leave it empty where there are cores to spare",
    )
    log_level: Literal["ERROR", "WARN", "INFO"] = Field("WARN", description="level of Spark's own log")
    options: dict[str, str] = Field({}, description="further spark.* options, passed through")


class StreamConfig(Section):
    """How the streaming jobs take their steps."""

    trigger_seconds: float = Field(1.0, ge=0, description="seconds between micro-batches; 0: as fast as it goes")
    max_alerts_per_batch: int = Field(2000, ge=1, description="bound of a micro-batch, in alerts")
    dedup_alerts: int = Field(
        5_000_000, ge=1000, description="how many latest candids are remembered to drop repeats (8 bytes each)"
    )
    exit_after: int = Field(0, ge=0, description="stop after so many seconds; 0: run until stopped")
    stop_grace_seconds: float = Field(
        60.0, gt=0, description="seconds a service may take to finish its batch before it is killed"
    )


class QualityConfig(Section):
    """Cuts before science; each dropped alert is counted by the cut that dropped it."""

    rb_min: float = Field(0.55, ge=0, le=1, description="least real-bogus score `rb`")
    nbad_max: int = Field(0, ge=0, description="most bad pixels `nbad`")
    drop_fid: list[int] = Field([3], description="filter ids that are dropped (3: i band)")


class ScienceConfig(Section):
    """Which science modules run."""

    modules: list[str] = Field(
        [
            "crossmatch",
            "asteroids",
            "early_snia",
            "supernnova",
            "microlensing",
            "nalerthist",
            "kilonova",
            "features",
            "anomaly",
            "fast_transient",
            "blazars",
            "transient",
            "superluminous",
            "hostless",
            "finkclass",
        ],
        description="modules, in any order; the registry orders them by what they need",
    )
    user_modules: list[str] = Field(
        [], description="science modules of your own, as package.module:function that returns one"
    )
    kilonova_forest: str = Field(
        "", description="file of a forest for rf_kn_vs_nonkn (scikit-learn pickle or .npz); empty: our own"
    )
    kilonova_components: str = Field(
        "", description="file of its three principal components (.npy or .csv, 3 x 401); empty: those of fink-science"
    )
    anomaly_models: dict[str, str] = Field(
        {}, description="further anomaly models: suffix of the column = zip with forest_g*.onnx and forest_r*.onnx"
    )
    blazar_catalogue: str = Field(
        "", description="Parquet with a newer CTAO blazar list (ZTF_name, medians, thresholds); empty: fink-science's"
    )
    superluminous_classifier: str = Field(
        "", description="package.module:function that returns a superluminous classifier; empty: slsn_score is -1"
    )
    batch_alerts: int = Field(512, ge=1, description="alerts per Arrow batch handed to Python")
    tns_catalogue: str = Field(
        "",
        description="Parquet with ra, declination, type (deg); empty: the sample of one transient that comes with "
        "fink-science; none: no TNS match",
    )


class CrossmatchConfig(Section):
    """Who answers for what is known at the position of an alert, catalogue by catalogue."""

    simbad: list[Provider] = Field(
        ["service", "local"],
        description="SIMBAD type; providers asked in turn: service (CDS X-Match), local (catalogues on disk translated "
        "to SIMBAD types), none",
    )
    gaia: list[Provider] = Field(
        ["service"], description="Gaia DR3 source; providers asked in turn: service, local (gaia_file), none"
    )
    gaia_variability: list[Provider] = Field(
        ["service"],
        description="Gaia DR3 variability class; providers asked in turn: service, local (gaia_variability_file), none",
    )
    vsx: list[Provider] = Field(
        ["local"],
        description="VSX variability type; providers asked in turn: service, local (the catalogue of fink-science), "
        "none",
    )
    spicy: list[Provider] = Field(
        ["service"],
        description="SPICY candidate young star; providers asked in turn: service, local (spicy_file), none",
    )
    gaia_file: str = Field(
        "", description="Parquet or CSV file with ra, dec (deg), DR3Name, Plx, e_Plx (mas), VarFlag (VARIABLE or not)"
    )
    gaia_variability_file: str = Field("", description="Parquet or CSV file with ra, dec (deg), Class")
    spicy_file: str = Field("", description="Parquet or CSV file with ra, dec (deg), SPICY (a number), class")
    service_url: str = Field("http://cdsxmatch.u-strasbg.fr/xmatch/api/v1/sync", description="CDS X-Match service")
    connect_seconds: float = Field(5.0, gt=0, description="connection time-out in seconds")
    read_seconds: float = Field(30.0, gt=0, description="read time-out in seconds")
    retries: int = Field(2, ge=0, description="further tries, with back-off")
    pause_seconds: float = Field(300.0, gt=0, description="seconds a failed service is left alone")
    cache_positions: int = Field(
        100_000,
        ge=0,
        description="positions whose answer is kept, per worker and table of the service (about 0.2 kB each)",
    )


class DistributionConfig(Section):
    """Where filtered alerts go."""

    servers: str = Field("", description="host:port list of the output Kafka; empty: the embedded one")
    prefix: str = Field("fink_", pattern=r"^[A-Za-z0-9._-]*$", description="prefix of every topic")
    topics: list[str] = Field(
        [
            "sn_candidates",
            "early_sn_candidates",
            "kn_candidates",
            "early_kn_candidates",
            "rate_based_kn_candidates",
            "microlensing_candidates",
            "sso_ztf_candidates",
            "sso_fink_candidates",
            "first_pass_candidates",
            "simbad_grav_candidates",
            "tns_match",
            "unknowns",
            "yso_candidates",
            "yso_spicy_candidates",
            "magnetic_cvs",
            "blazar",
            "vra",
            "new_hostless",
            "intra_night_hostless",
            "inter_night_hostless",
            "fast_riser_candidates",
        ],
        description="the broker's own filters whose topics are filled",
    )
    partitions: int = Field(10, ge=1, description="partitions of a topic the broker creates")
    replication: int = Field(1, ge=1, description="copies of each partition")
    retention_days: float = Field(7.0, gt=0, description="days a message is kept")
    compression: Literal["none", "lz4", "zstd", "snappy", "gzip"] = Field("lz4", description="message compression")
    security_protocol: Literal["PLAINTEXT", "SASL_PLAINTEXT", "SASL_SSL", "SSL"] = Field(
        "PLAINTEXT",
        description="output security; user and password only from FINK_DISTRIBUTION_USERNAME, "
        "FINK_DISTRIBUTION_PASSWORD",
    )
    sasl_mechanism: str = Field("SCRAM-SHA-512", description="SASL mechanism where the protocol asks for one")


class FiltersConfig(Section):
    """Filters of users, and what they may cost."""

    file: str = Field(
        "${FINK_HOME}/conf/topics.toml",
        description="TOML file of your own topics, read again whenever it changes; where there is none, there are none",
    )
    function_seconds: float = Field(
        2.0,
        gt=0,
        description="seconds a rule of a user, and all functions of users together, may take on a batch before one is "
        "switched off",
    )
    failures: int = Field(3, ge=1, description="failed batches in a row after which a user's filter is switched off")
    largest_share: float = Field(
        0.05,
        gt=0,
        le=1,
        description="share of a night's alerts beyond which `fink filter test` refuses a rule; --force activates it "
        "all the same",
    )
    sdss: Literal["service", "none"] = Field(
        "service", description="who tells stars of the SDSS beside kilonova candidates; no answer: they pass"
    )
    sdss_url: str = Field(
        "https://skyserver.sdss.org/dr18/SkyServerWS/SearchTools/SqlSearch", description="SQL search of SkyServer"
    )
    sdss_seconds: float = Field(5.0, gt=0, description="time-out of a question to the SDSS in seconds")


class LogConfig(Section):
    """What services write to their log."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="least level written")
    format: Literal["text", "json"] = Field("text", description="text for people, json for machines")


class Config(Section):
    """The whole configuration."""

    survey: Literal["ztf"] = Field("ztf", description="whose alerts")
    storage: StorageConfig = StorageConfig()
    kafka: KafkaConfig = KafkaConfig()
    simulator: SimulatorConfig = SimulatorConfig()
    spark: SparkConfig = SparkConfig()
    stream: StreamConfig = StreamConfig()
    quality: QualityConfig = QualityConfig()
    science: ScienceConfig = ScienceConfig()
    crossmatch: CrossmatchConfig = CrossmatchConfig()
    distribution: DistributionConfig = DistributionConfig()
    filters: FiltersConfig = FiltersConfig()
    hbase: HBaseConfig = HBaseConfig()
    archive: ArchiveConfig = ArchiveConfig()
    api: ApiConfig = ApiConfig()
    portal: PortalConfig = PortalConfig()
    dashboard: DashboardConfig = DashboardConfig()
    tom: TomConfig = TomConfig()
    log: LogConfig = LogConfig()

    @property
    def embedded_servers(self) -> str:
        """``host:port`` of the embedded Kafka."""
        return f"localhost:{self.kafka.embedded_port}"

    @property
    def input_servers(self) -> str:
        """Servers the stream is read from."""
        return self.kafka.servers or self.embedded_servers

    @property
    def output_servers(self) -> str:
        """Servers filtered topics are written to."""
        return self.distribution.servers or self.embedded_servers

    @property
    def hbase_servers(self) -> str:
        """Thrift servers of HBase, ``host:port`` separated by commas."""
        return self.hbase.servers or f"127.0.0.1:{self.hbase.embedded_port}"

    @property
    def simulator_servers(self) -> str:
        """Servers the simulator writes to."""
        return self.simulator.servers or self.embedded_servers

    def for_simulator(self) -> Config:
        """Return the configuration that reads what the simulator writes (``--simulator``)."""
        topic = self.simulator.topic or self.kafka.topic
        update = {"servers": self.simulator.servers, "topic": topic}
        if not self.simulator.servers:  # the embedded Kafka, which asks for no password
            update["security_protocol"] = "PLAINTEXT"
        kafka = self.kafka.model_copy(update=update)
        return self.model_copy(update={"kafka": kafka})
