"""What ``fink user add``, ``remove`` and ``list`` do."""

from __future__ import annotations

import os
import sys

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fink_broker.cli.configuration import load
from fink_broker.config.model import Config
from fink_broker.errors import UsageError
from fink_broker.service.kafka_users import (
    KafkaUser,
    KafkaUsers,
    check_name,
    check_password,
    check_prefix,
    group_of,
    is_embedded,
    login_servers,
    new_password,
)

PASSWORD_VARIABLE = "FINK_USER_PASSWORD"  # noqa: S105 - the name of a variable

FIRST_STEPS = """
From Python, with any fink-client (before 10 leave out survey, before 8.1 write group_id for group.id):
  import os
  from fink_client.consumer import AlertConsumer
  config = {{"bootstrap.servers": "{login}", "group.id": "{group}",
            "username": "{name}", "password": os.environ["FINK_PASSWORD"]}}
  with AlertConsumer(["{topic}"], config, survey="ztf") as consumer:
      topic, alert, key = consumer.poll(10)
By the commands of fink-client 8.0 and older:
  fink_client_register -username {name} -password "$FINK_PASSWORD" -group_id {group} -mytopics {topic} \
-servers {login}
  fink_consumer --display"""

PLAIN_STEPS = """
Newer commands never send a password; on this machine they need none:
  finkctl auth register -survey ztf -username {name} -groupid {group} -servers {plain}
  finkctl topic subscribe -survey ztf -name {topic}
  finkctl stream -survey ztf --display"""


def add(name: str, topics: list[str], conf: str | None, *, generate: bool, keep: bool) -> int:
    """Carry out ``fink user add``; what is wrong with its arguments is told before a password is asked for.

    Raises
    ------
    UsageError
        If a name, prefix or password is not allowed, or there is no password.
    ServiceError
        If Kafka does not answer, or refuses.
    """
    config = load(conf, quiet=True).config
    prefixes = _prefixes(topics, config)
    check_name(name)
    if generate and keep:
        raise UsageError("--generate makes a new password, --keep-password keeps the old one.", "Give one of them.")
    login = login_servers(config)
    users = KafkaUsers(config, os.environ)
    password = None if keep else (new_password() if generate else _given_password())
    new = users.add(name, prefixes, password)
    reads = " and ".join(f"{prefix}…" for prefix in prefixes)
    print(f"{'Added' if new else 'Changed'} the user {name}: may read topics {reads} at {login}.")
    if generate:
        print(f"Password, shown this once: {password}")
    if not keep:
        _print_first_steps(name, login, prefixes, config)
    return 0


def remove(name: str, conf: str | None) -> int:
    """Carry out ``fink user remove``.

    Raises
    ------
    UsageError
        If the name is not one a user can have.
    ServiceError
        If Kafka does not answer, or refuses.
    """
    check_name(name)
    removed = KafkaUsers(load(conf, quiet=True).config, os.environ).remove(name)
    print(f"Removed the user {name}: nothing can be read with that name any more." if removed else _nobody(name))
    return 0


def show_list(conf: str | None) -> int:
    """Carry out ``fink user list``.

    Raises
    ------
    ServiceError
        If Kafka does not answer, or refuses.
    """
    config = load(conf, quiet=True).config
    found = KafkaUsers(config, os.environ).all()
    if not found:
        print(f"No users at {config.output_servers}; add one with `fink user add NAME`.")
        return 0
    table = Table("user", "may read topics that begin with", "")
    for user in found:
        table.add_row(escape(user.name), escape(", ".join(user.prefixes)) or "nothing", _remarks(user))
    Console().print(table)
    return 0


def _remarks(user: KafkaUser) -> str:
    remarks = [] if user.has_password else ["has no password"]
    if user.other_rights:
        remarks.append(f"{user.other_rights} rights not given by fink user")
    return ", ".join(remarks)


def _nobody(name: str) -> str:
    return f"There is no user {name}: nothing to remove."


def _prefixes(topics: list[str], config: Config) -> list[str]:
    prefixes = list(dict.fromkeys(topic.strip() for given in topics for topic in given.split(",") if topic.strip()))
    if not prefixes:
        if not config.distribution.prefix:
            raise UsageError(
                "distribution.prefix is empty, so topics of the broker have no beginning in common.",
                "Say which the user may read: --topics.",
            )
        prefixes = [config.distribution.prefix]
    for prefix in prefixes:
        check_prefix(prefix)
    return prefixes


def _given_password() -> str:
    """Return the password from the environment, or ask for it twice without showing it."""
    if password := os.environ.get(PASSWORD_VARIABLE):
        check_password(password)
        return password
    if not sys.stdin.isatty():
        raise UsageError(
            "There is no password, and no terminal to ask for one.",
            f"Set {PASSWORD_VARIABLE} in the environment, or let one be made: --generate.",
        )
    password = typer.prompt("Password of the user", hide_input=True, confirmation_prompt=True)
    check_password(password)
    return str(password)


def _print_first_steps(name: str, login: str, prefixes: list[str], config: Config) -> None:
    """Print how to read a topic the user may read: one that is filled, where there is one."""
    filled = [f"{config.distribution.prefix}{topic}_{config.survey}" for topic in config.distribution.topics]
    topic = next((topic for topic in filled if topic.startswith(tuple(prefixes))), f"{prefixes[0]}…")
    group = group_of(name)
    print(FIRST_STEPS.format(name=name, login=login, topic=topic, group=group))
    if is_embedded(config):
        print(PLAIN_STEPS.format(name=name, plain=config.embedded_servers, topic=topic, group=group))
