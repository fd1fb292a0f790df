"""How clients get into Kafka, and which addresses are listened at."""

from __future__ import annotations

import pytest

from fink_broker.config import Config
from fink_broker.config.kafka_access import input_access, output_access
from fink_broker.config.listening import listening
from fink_broker.errors import ConfigError, ServiceError


def config_of(protocol: str) -> Config:
    section = {"security_protocol": protocol, "sasl_mechanism": "SCRAM-SHA-256"}
    return Config.model_validate(
        {
            "kafka": {"servers": "in:1", **section},
            "distribution": {"servers": "out:2", **section},
        }
    )


def test_without_passwords_only_servers_and_protocol_are_told() -> None:
    environ = {"FINK_KAFKA_USERNAME": "me", "FINK_KAFKA_PASSWORD": "hunter2"}
    options = input_access(config_of("PLAINTEXT"), environ)
    assert options == {"bootstrap.servers": "in:1", "security.protocol": "PLAINTEXT"}


def test_each_kafka_is_told_its_own_user() -> None:
    environ = {
        "FINK_KAFKA_USERNAME": "reader",
        "FINK_KAFKA_PASSWORD": "hunter2",
        "FINK_DISTRIBUTION_USERNAME": "sender",
        "FINK_DISTRIBUTION_PASSWORD": "hunter3",
    }
    config = config_of("SASL_SSL")
    read, sent = input_access(config, environ), output_access(config, environ)
    assert (read["bootstrap.servers"], read["sasl.username"], read["sasl.password"]) == ("in:1", "reader", "hunter2")
    assert (sent["bootstrap.servers"], sent["sasl.username"], sent["sasl.password"]) == ("out:2", "sender", "hunter3")
    assert read["sasl.mechanism"] == sent["sasl.mechanism"] == "SCRAM-SHA-256"


def test_a_missing_user_is_asked_for_by_name() -> None:
    with pytest.raises(ConfigError, match=r"^distribution\.security_protocol is SASL_PLAINTEXT") as caught:
        output_access(config_of("SASL_PLAINTEXT"), {"FINK_KAFKA_USERNAME": "me", "FINK_KAFKA_PASSWORD": "hunter2"})
    assert "FINK_DISTRIBUTION_USERNAME" in str(caught.value.hint)


def test_an_address_that_is_taken_is_told_with_its_settings() -> None:
    with listening("127.0.0.1", 0, "The page", "page") as first:
        port = first.getsockname()[1]
        with pytest.raises(ServiceError, match=rf"^The page cannot listen at 127\.0\.0\.1:{port}: ") as caught:
            listening("127.0.0.1", port, "The page", "page")
        assert "page.host and page.port" in str(caught.value.hint)
    listening("127.0.0.1", port, "The page", "page").close()
