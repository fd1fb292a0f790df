"""Asking Kafka to change something as its administrator, with one clear sentence where it does not."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AclOperation, AdminClient

from fink_broker.errors import ServiceError
from fink_broker.service.ports import any_port_open

ANSWER_SECONDS = 15.0
_NO_ADMINISTRATOR = "The broker's user (FINK_DISTRIBUTION_USERNAME) must be an administrator of Kafka."


def connect(options: Mapping[str, str], *, embedded: bool) -> AdminClient:
    """Return a client of Kafka's administration that has got an answer, and may change users and rights.

    What may not be asked must not be asked: the client library 2.16 ends the whole process when Kafka refuses to
    describe users to it.

    Parameters
    ----------
    options : mapping
        Servers and, where Kafka asks for them, user and password, as librdkafka names them.
    embedded : bool
        Whether it is the embedded Kafka: then the error says how to start it.

    Raises
    ------
    ServiceError
        If Kafka does not answer, refuses user and password, or takes them for no administrator.
    """
    servers = options["bootstrap.servers"]
    hint = "Start it with `fink start kafka --detach`." if embedded else "Check distribution.servers."
    if not any_port_open(servers, seconds=3.0):
        raise ServiceError(f"Kafka does not answer at {servers}.", hint)
    refused: list[KafkaError] = []

    def note(error: KafkaError) -> None:
        if error.code() == KafkaError._AUTHENTICATION:
            refused.append(error)

    admin = AdminClient({**options, "log_level": 0, "error_cb": note})
    try:
        cluster = admin.describe_cluster(include_authorized_operations=True, request_timeout=5).result()
    except KafkaException as error:
        admin.poll(0)  # tells `note` what went wrong
        if refused:
            raise ServiceError(
                f"Kafka at {servers} refuses the broker's own user and password.",
                "Check FINK_DISTRIBUTION_USERNAME and FINK_DISTRIBUTION_PASSWORD.",
            ) from error
        raise ServiceError(f"Kafka does not answer at {servers}: {error.args[0].str()}.", hint) from error
    if not {AclOperation.ALTER, AclOperation.DESCRIBE} <= set(cluster.authorized_operations or ()):
        raise ServiceError(f"Kafka at {servers} lets us neither see nor change its users.", _NO_ADMINISTRATOR)
    return admin


def asked(answer: Future[Any], what: str) -> Any:
    """Return what Kafka answers to a request.

    Parameters
    ----------
    answer : Future
        As the administration client gives it.
    what : str
        What was asked for, to follow "Kafka refused".

    Raises
    ------
    ServiceError
        If Kafka refuses, or does not answer within 15 s.
    """
    try:
        return answer.result(timeout=ANSWER_SECONDS)
    except TimeoutError as error:
        raise ServiceError(f"Kafka did not answer when asked {what}.", "Try again; see `fink logs kafka`.") from error
    except KafkaException as error:
        reason: KafkaError = error.args[0]
        if reason.code() == KafkaError.CLUSTER_AUTHORIZATION_FAILED:  # its own text is the request, in full
            raise ServiceError(f"Kafka refused {what}: we are not allowed to.", _NO_ADMINISTRATOR) from error
        raise ServiceError(f"Kafka refused {what}: {reason.str()}.", _way_out(reason.code())) from error


def _way_out(code: int) -> str:
    if code == KafkaError.SECURITY_DISABLED:
        return "This Kafka keeps no rights: it needs an authorizer; the embedded one has it after a restart."
    return "Nothing else was changed; the command may be repeated."
