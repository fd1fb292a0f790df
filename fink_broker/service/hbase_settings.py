"""What the embedded HBase is told: one machine, the loopback only, and files that survive the death of its process.

It is HBase's standalone mode: master, region server and ZooKeeper in one Java process, the Thrift server in another.
"""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

from fink_broker.config.model import Config
from fink_broker.service.ports import HOST

#: HBase and Hadoop reach into Java's own modules, which Java 17 allows only where it is told so
JAVA_OPTIONS = (
    "-XX:+UseSerialGC",
    "-Dorg.apache.hbase.thirdparty.io.netty.tryReflectionSetAccessible=true",
    "--add-exports=java.base/jdk.internal.misc=ALL-UNNAMED",
    "--add-exports=java.security.jgss/sun.security.krb5=ALL-UNNAMED",
    *(
        f"--add-opens=java.base/{package}=ALL-UNNAMED"
        for package in (
            "java.io",
            "java.lang",
            "java.lang.reflect",
            "java.net",
            "java.nio",
            "java.util",
            "java.util.concurrent",
            "jdk.internal.misc",
            "jdk.internal.ref",
            "sun.net.dns",
            "sun.net.util",
            "sun.nio.ch",
        )
    ),
)

#: a machine that sleeps for a while must not lose its region server: nobody is there to take over
SESSION_MILLISECONDS = 600_000
#: ZooKeeper grants sessions of at most twenty ticks
TICK_MILLISECONDS = SESSION_MILLISECONDS // 20
IDLE_MILLISECONDS = 3_600_000
OPERATION_MILLISECONDS = 60_000

LOG_SETTINGS = """\
log4j.rootLogger=WARN,console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.target=System.err
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d{ISO8601} %-5p [%t] %c{2}: %.1000m%n
# say what it recovers, and when it is ready
log4j.logger.org.apache.hadoop.hbase.master.HMaster=INFO
log4j.logger.org.apache.hadoop.hbase.regionserver.HRegion=INFO
log4j.logger.org.apache.hadoop.hbase.wal=INFO
log4j.logger.org.apache.hadoop.util.NativeCodeLoader=ERROR
log4j.logger.org.apache.hadoop.metrics2.impl.MetricsConfig=ERROR
log4j.logger.org.apache.hadoop.hbase.ZNodeClearer=ERROR
log4j.logger.org.apache.hadoop.hbase.client.ZKConnectionRegistry=ERROR
"""


def write_settings(config: Config, folder: Path) -> Path:
    """Write the settings of HBase and of its log below a folder.

    Parameters
    ----------
    config : Config
        Ports of the embedded HBase.
    folder : Path
        Folder of its data.

    Returns
    -------
    Path
        Folder with the settings, for Java's class path.
    """
    settings = folder / "conf"
    settings.mkdir(parents=True, exist_ok=True)
    (settings / "hbase-site.xml").write_text(site_xml(config, folder))
    (settings / "log4j.properties").write_text(LOG_SETTINGS)
    return settings


def site_xml(config: Config, folder: Path) -> str:
    """Return the text of ``hbase-site.xml``.

    Parameters
    ----------
    config : Config
        Ports of the embedded HBase.
    folder : Path
        Folder of its data.
    """
    settings = {
        **_files(folder.absolute()),
        **_addresses(config),
        **_no_pauses(),
        **_sizes(),
    }
    lines = [
        f"<property><name>{key}</name><value>{escape(str(value))}</value></property>" for key, value in settings.items()
    ]
    return "\n".join(["<configuration>", *lines, "</configuration>", ""])


def _files(folder: Path) -> dict[str, object]:
    return {
        "hbase.cluster.distributed": "false",
        "hbase.rootdir": f"file://{folder}/data",
        "hbase.tmp.dir": folder / "tmp",
        "hbase.zookeeper.property.dataDir": folder / "zookeeper",
        # every byte goes to the operating system, which outlives the process: no checksum files beside the data (HBase
        # has checksums of its own), for which the usual local file system holds back the end of what is being written
        "fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
        "hbase.wal.provider": "filesystem",
        "hbase.unsafe.stream.capability.enforce": "false",
    }


def _addresses(config: Config) -> dict[str, object]:
    return {
        "hbase.zookeeper.quorum": HOST,
        "hbase.zookeeper.property.clientPort": config.hbase.embedded_zookeeper_port,
        "hbase.master.hostname": "localhost",
        "hbase.unsafe.regionserver.hostname": "localhost",
        "hbase.master.ipc.address": HOST,
        "hbase.regionserver.ipc.address": HOST,
        # they find each other through ZooKeeper, at whatever ports are free
        "hbase.master.port": 0,
        "hbase.regionserver.port": 0,
        "hbase.master.info.port": -1,
        "hbase.regionserver.info.port": -1,
        "hbase.thrift.info.port": -1,
        "hbase.regionserver.thrift.ipaddress": HOST,
        "hbase.regionserver.thrift.port": config.hbase.embedded_port,
        "hbase.regionserver.thrift.server.type": "threadpool",
    }


def _no_pauses() -> dict[str, object]:
    """Return what spares the pauses in which a cluster waits for servers that come, or come back."""
    return {
        "hbase.master.wait.on.regionservers.mintostart": 1,
        "hbase.master.wait.on.regionservers.maxtostart": 1,
        "hbase.master.wait.on.regionservers.interval": 100,
        "hbase.regionserver.msginterval": 500,
        "hbase.client.pause": 50,
        # ZooKeeper is a part of the same process: where it is gone, which happens at the end, it does not come back
        "zookeeper.recovery.retry": 0,
        "zookeeper.recovery.retry.intervalmill": 100,
    }


def _sizes() -> dict[str, object]:
    return {
        "zookeeper.session.timeout": SESSION_MILLISECONDS,
        "zookeeper.session.timeout.localHBaseCluster": SESSION_MILLISECONDS,
        "hbase.zookeeper.property.tickTime": TICK_MILLISECONDS,
        "hbase.regionserver.handler.count": 12,
        # a client that reads now and then shall not find its connection closed
        "hbase.thrift.server.socket.read.timeout": IDLE_MILLISECONDS,
        # an operation that cannot be done is given up while its client still waits, not twenty minutes later
        "hbase.client.operation.timeout": OPERATION_MILLISECONDS,
        "hbase.client.meta.operation.timeout": OPERATION_MILLISECONDS,
    }
