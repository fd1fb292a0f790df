"""What the embedded Kafka is told: its listeners, who may do what, and sizes that suit one machine.

Two listeners, both on the loopback:

* PLAINTEXT, for the broker's own jobs and for clients on this machine; whoever reaches it may do everything.
* SASL_PLAINTEXT with SCRAM-SHA-512, for users with a password (`fink user add`); they may do what they were
  granted and nothing else.
"""

from __future__ import annotations

from fink_broker.config.model import Config
from fink_broker.service.ports import HOST

MESSAGE_MAX_BYTES = 32 * 1024 * 1024
MILLISECONDS_A_DAY = 86_400_000
#: name Kafka gives to whoever comes by a listener that asks for no password
ANONYMOUS = "ANONYMOUS"


def server_properties(config: Config, controller_port: int) -> str:
    """Return the text of Kafka's ``server.properties``.

    Parameters
    ----------
    config : Config
        Ports, retention, and the folder of the data.
    controller_port : int
        Loopback port of the controller: Kafka's own affair, which may differ at each start.

    Returns
    -------
    str
        A line ``key=value`` for each setting.
    """
    settings = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{HOST}:{controller_port}",
        **_listeners(config.kafka.embedded_port, config.kafka.embedded_sasl_port, controller_port),
        **_rights(),
        "log.dirs": config.storage.state / "kafka" / "data",
        "auto.create.topics.enable": "false",
        "num.partitions": 4,
        "default.replication.factor": 1,
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        "message.max.bytes": MESSAGE_MAX_BYTES,
        "replica.fetch.max.bytes": MESSAGE_MAX_BYTES,
        "socket.request.max.bytes": 4 * MESSAGE_MAX_BYTES,
        "log.retention.ms": round(config.distribution.retention_days * MILLISECONDS_A_DAY),
        "num.network.threads": 2,
        "num.io.threads": 4,
        # one index file is mapped for each segment; the default of 10 MB each fills a small disk
        "log.index.size.max.bytes": 1024 * 1024,
        # its clean-up threads hold 128 MB by default, of a heap of a few hundred
        "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
        "controlled.shutdown.max.retries": 1,
        # after a kill the new process waits until the old one's session has run out (9 s by default)
        "broker.session.timeout.ms": 4000,
        "broker.heartbeat.interval.ms": 1000,
    }
    return "".join(f"{key}={value}\n" for key, value in settings.items())


def _listeners(plain_port: int, sasl_port: int, controller_port: int) -> dict[str, str]:
    """Return where Kafka listens; a ``sasl_port`` of 0 leaves that listener out."""
    public = {"PLAINTEXT": f"{HOST}:{plain_port}"}
    login: dict[str, str] = {}
    if sasl_port:
        public["SASL_PLAINTEXT"] = f"{HOST}:{sasl_port}"
        listener = "listener.name.sasl_plaintext"
        login = {
            f"{listener}.sasl.enabled.mechanisms": "SCRAM-SHA-512",
            # passwords are kept, salted and hashed, in Kafka's own metadata; none stands here
            f"{listener}.scram-sha-512.sasl.jaas.config": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            ),
        }
    addresses = [f"{name}://{address}" for name, address in public.items()]
    return {
        "controller.listener.names": "CONTROLLER",
        "listeners": ",".join([*addresses, f"CONTROLLER://{HOST}:{controller_port}"]),
        "advertised.listeners": ",".join(addresses),
        "listener.security.protocol.map": ("PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT"),
        "inter.broker.listener.name": "PLAINTEXT",
        **login,
    }


def _rights() -> dict[str, str]:
    """Return who may do what: everything without a password on the loopback, with one only what was granted."""
    return {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:{ANONYMOUS}",
        "allow.everyone.if.no.acl.found": "false",
    }
