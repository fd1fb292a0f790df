"""How our clients get into Kafka: where it is, and who we are there, as options of librdkafka."""

from __future__ import annotations

from collections.abc import Mapping

from fink_broker.config import Config
from fink_broker.config.model import DistributionConfig, KafkaConfig
from fink_broker.config.secrets import Credentials, distribution_credentials, kafka_credentials
from fink_broker.errors import ConfigError


def input_access(config: Config, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the options of a client of the input Kafka.

    Raises
    ------
    ConfigError
        If it asks for a user and a password, and none are set.
    """
    return _access(config.input_servers, config.kafka, "kafka", kafka_credentials(environ))


def output_access(config: Config, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the options of a client of the output Kafka.

    Raises
    ------
    ConfigError
        If it asks for a user and a password, and none are set.
    """
    return _access(config.output_servers, config.distribution, "distribution", distribution_credentials(environ))


def _access(
    servers: str, settings: KafkaConfig | DistributionConfig, section: str, credentials: Credentials | None
) -> dict[str, str]:
    protocol = settings.security_protocol
    options = {"bootstrap.servers": servers, "security.protocol": protocol}
    if not protocol.startswith("SASL"):
        return options
    if credentials is None:
        prefix = f"FINK_{section.upper()}"
        raise ConfigError(
            f"{section}.security_protocol is {protocol}, but no user and password are set.",
            f"Set {prefix}_USERNAME and {prefix}_PASSWORD in the environment.",
        )
    return options | {
        "sasl.mechanism": settings.sasl_mechanism,
        "sasl.username": credentials.username,
        "sasl.password": credentials.password,
    }
