"""Users of the output Kafka: who may log in with a password, and which topics they may read.

Kafka itself keeps both: the password as a salted hash (SCRAM-SHA-512, RFC 5802), the rights as access control lists.
This works on the embedded Kafka and on any other whose administrator the broker is (``distribution.servers``, with
``FINK_DISTRIBUTION_USERNAME`` and ``FINK_DISTRIBUTION_PASSWORD``).
"""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)

from fink_broker.config.kafka_access import output_access
from fink_broker.config.model import Config
from fink_broker.config.secrets import distribution_credentials
from fink_broker.errors import ConfigError, UsageError
from fink_broker.service.kafka_admin import asked, connect
from fink_broker.service.kafka_settings import ANONYMOUS

MECHANISM = ScramMechanism.SCRAM_SHA_512
#: rounds of hashing, 4096 (the least Kafka takes) to 16384 (the most)
ITERATIONS = 8192
LEAST_PASSWORD = 8
#: how the names of the broker's own consumer groups begin: what it has read stands there, so users keep out
OWN_GROUPS = "fink_"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PREFIX = re.compile(r"[A-Za-z0-9._-]{1,249}")
_PASSWORD = re.compile(r"[!-~]+")


@dataclass(frozen=True)
class KafkaUser:
    """A user of the output Kafka.

    Parameters
    ----------
    name : str
        The name he logs in with.
    prefixes : tuple of str
        He may read the topics whose names begin with one of these.
    other_rights : int
        How many further rights he was given by other means than ``fink user``.
    has_password : bool
        Whether he can log in with a password of the kind clients use (SCRAM-SHA-512).
    """

    name: str
    prefixes: tuple[str, ...] = ()
    other_rights: int = 0
    has_password: bool = True


class KafkaUsers:
    """The users of the output Kafka, to be looked at and changed.

    Parameters
    ----------
    config : Config
        Says which Kafka; its ``distribution`` section, how to log in there.
    environ : mapping
        The environment, with the broker's own user and password where Kafka asks for them.

    Raises
    ------
    ServiceError
        If Kafka does not answer, or refuses the broker's password.
    """

    def __init__(self, config: Config, environ: Mapping[str, str]) -> None:
        options = output_access(config, environ)
        credentials = distribution_credentials(environ)
        self._ourselves = credentials.username if credentials else ""
        self._admin: AdminClient = connect(options, embedded=is_embedded(config))

    def add(self, name: str, prefixes: Sequence[str], password: str | None) -> bool:
        """Let a user in, and let him read topics; both as given, whatever they were before.

        Parameters
        ----------
        name : str
            Letters, digits, dot, dash and underscore.
        prefixes : sequence of str
            Beginnings of names of topics.
        password : str or None
            At least 8 printable ASCII characters; None keeps the one he has.

        Returns
        -------
        bool
            Whether he is new.

        Raises
        ------
        UsageError
            If the name, a prefix or the password is not allowed, or he has no password to keep.
        ServiceError
            If Kafka refuses.
        """
        self._check_name(name)
        for prefix in prefixes:
            check_prefix(prefix)
        known = {user.name: user for user in self.all()}.get(name)
        if password is not None:
            check_password(password)
            self._set_password(name, password)
        elif known is None or not known.has_password:
            raise UsageError(f"The user {name} has no password to keep.", "Give one: leave out --keep-password.")
        wanted = {right for prefix in prefixes for right in _rights(name, prefix)}
        held = {right for right in self._bindings(name) if _is_ours(right)}
        self._revoke(held - wanted)
        self._grant(wanted - held)
        return known is None

    def remove(self, name: str) -> bool:
        """Take password and rights from a user; return False if there is no such user.

        Who is logged in at this moment reads nothing more: his rights are gone.
        """
        self._check_name(name)
        known = {user.name: user for user in self.all()}.get(name)
        if known is None:
            return False
        if known.has_password:
            deletion = UserScramCredentialDeletion(name, MECHANISM)
            for answer in self._admin.alter_user_scram_credentials([deletion]).values():
                asked(answer, f"to remove the password of {name}")
        # also what others granted him: a later user of this name must not inherit it
        self._revoke(self._bindings(name))
        return True

    def all(self) -> list[KafkaUser]:
        """Return all users that have a password or rights, by name; passwords are never told."""
        credentials = asked(self._admin.describe_user_scram_credentials(), "to list the users")
        able = {
            name
            for name, told in credentials.items()
            if any(info.mechanism == MECHANISM for info in told.scram_credential_infos)
        }
        rights: dict[str, list[AclBinding]] = {name: [] for name in able}
        for binding in self._bindings():
            kind, _, name = binding.principal.partition(":")
            if kind == "User" and name not in ("*", ANONYMOUS):
                rights.setdefault(name, []).append(binding)
        return [_user(name, held, has_password=name in able) for name, held in sorted(rights.items())]

    def _check_name(self, name: str) -> None:
        check_name(name)
        if name == self._ourselves:
            raise UsageError(
                f"{name} is the user the broker itself logs in with.",
                "Its rights are the affair of Kafka's administrator.",
            )

    def _set_password(self, name: str, password: str) -> None:
        credential = UserScramCredentialUpsertion(name, ScramCredentialInfo(MECHANISM, ITERATIONS), password.encode())
        for answer in self._admin.alter_user_scram_credentials([credential]).values():
            asked(answer, f"to set the password of {name}")

    def _bindings(self, name: str | None = None) -> set[AclBinding]:
        every = AclBindingFilter(
            ResourceType.ANY,
            None,
            ResourcePatternType.ANY,
            None if name is None else f"User:{name}",
            None,
            AclOperation.ANY,
            AclPermissionType.ANY,
        )
        return set(asked(self._admin.describe_acls(every), "to list rights"))

    def _grant(self, rights: Iterable[AclBinding]) -> None:
        if wanted := list(rights):
            for right, answer in self._admin.create_acls(wanted).items():
                asked(answer, f"to let {right.principal[5:]} read")

    def _revoke(self, rights: Iterable[AclBinding]) -> None:
        wanted = [
            AclBindingFilter(
                right.restype,
                right.name,
                right.resource_pattern_type,
                right.principal,
                right.host,
                right.operation,
                right.permission_type,
            )
            for right in rights
        ]
        if wanted:
            for answer in self._admin.delete_acls(wanted).values():
                asked(answer, "to take rights away")


def is_embedded(config: Config) -> bool:
    """Tell whether topics go to the embedded Kafka."""
    return config.output_servers == config.embedded_servers


def login_servers(config: Config) -> str:
    """Return ``host:port`` at which users log in with a password.

    Raises
    ------
    ConfigError
        If the embedded Kafka asks nobody for a password.
    """
    if not is_embedded(config):
        return config.output_servers
    if not config.kafka.embedded_sasl_port:
        raise ConfigError(
            "kafka.embedded_sasl_port is 0, so the embedded Kafka asks nobody for a password.",
            "Give it a port, such as 9093, and start Kafka again: `fink stop kafka`, `fink start kafka --detach`.",
        )
    return f"localhost:{config.kafka.embedded_sasl_port}"


def check_name(name: str) -> None:
    """Raise UsageError if a user may not have this name."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"'{name}' cannot be the name of a user.",
            "Use up to 64 letters, digits, dots, dashes and underscores, a letter or digit first.",
        )
    if name.upper() == ANONYMOUS:
        raise UsageError(
            f"'{name}' is what Kafka calls those who come without a password.", "Choose another name for the user."
        )


def check_prefix(prefix: str) -> None:
    """Raise UsageError if users may not be given the topics that begin like this."""
    if not _PREFIX.fullmatch(prefix):
        raise UsageError(
            f"'{prefix}' is not the beginning of a topic's name.",
            "Use letters, digits, dots, dashes and underscores; every name that begins so is meant, without a *.",
        )
    if "__consumer_offsets".startswith(prefix) or prefix.startswith("__"):
        raise UsageError(
            f"Topics that begin with '{prefix}' include Kafka's own, which hold what all users do.",
            "Give a longer beginning.",
        )


def check_password(password: str) -> None:
    """Raise UsageError if a password is too short, or has characters that clients would send differently."""
    if len(password) < LEAST_PASSWORD:
        raise UsageError("The password is too short.", f"Take at least {LEAST_PASSWORD} characters.")
    if not _PASSWORD.fullmatch(password):
        raise UsageError(
            "The password has blanks, or characters that are not ASCII, which clients may send differently.",
            "Use letters, digits and signs of an English keyboard.",
        )


def new_password() -> str:
    """Return a password of 24 random letters and digits (142 bits)."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(24))


def group_of(name: str) -> str:
    """Return a name for a consumer group of a user, one he may use."""
    return f"{name}_group" if not name.startswith(OWN_GROUPS) else f"group_{name}"


def _rights(name: str, prefix: str) -> tuple[AclBinding, ...]:
    """Return what reading takes: the topics, which includes seeing that they are there, and a consumer group.

    Any group, but not the broker's own: whoever may read as one can also set where it goes on reading. What is denied
    outweighs what is allowed.
    """
    user = f"User:{name}", "*"
    allowed = (*user, AclOperation.READ, AclPermissionType.ALLOW)
    denied = (*user, AclOperation.ALL, AclPermissionType.DENY)
    return (
        AclBinding(ResourceType.TOPIC, prefix, ResourcePatternType.PREFIXED, *allowed),
        AclBinding(ResourceType.GROUP, "*", ResourcePatternType.LITERAL, *allowed),
        AclBinding(ResourceType.GROUP, OWN_GROUPS, ResourcePatternType.PREFIXED, *denied),
    )


def _is_ours(right: AclBinding) -> bool:
    """Tell whether a right is of the kind :func:`_rights` gives."""
    return right in _rights(right.principal.partition(":")[2], right.name)


def _user(name: str, held: list[AclBinding], *, has_password: bool) -> KafkaUser:
    ours = [right for right in held if _is_ours(right)]
    prefixes = sorted(right.name for right in ours if right.restype == ResourceType.TOPIC)
    return KafkaUser(name, tuple(prefixes), len(held) - len(ours), has_password)
