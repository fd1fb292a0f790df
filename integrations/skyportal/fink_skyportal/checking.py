"""What of a configuration is right and wrong, told without changing anything in Kafka or SkyPortal."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from .api import SkyPortal
from .config import Settings
from .connecting import api_of, wanted_of
from .errors import SkyPortalError, Stopped

#: seconds for an answer of Kafka, and for all answers of SkyPortal
KAFKA_SECONDS, SKYPORTAL_SECONDS = 10.0, 30.0

#: what was looked at, and whether it is right
Finding = tuple[bool, str]


def findings(settings: Settings) -> Iterator[Finding]:
    """Ask SkyPortal and Kafka, and give what was found, one thing after the other."""
    yield from _kafka(settings)
    stop = threading.Event()
    timer = threading.Timer(SKYPORTAL_SECONDS, stop.set)
    timer.daemon = True
    timer.start()
    try:
        with api_of(settings, stop, lambda _: None) as api:
            yield from _skyportal(api, settings)
    except Stopped:
        yield False, "SkyPortal does not answer in time: is it well?"
    except SkyPortalError as error:
        yield False, str(error)
    finally:
        timer.cancel()


def _kafka(settings: Settings) -> Iterator[Finding]:
    config: dict[str, object] = {"bootstrap.servers": settings.servers, "log_level": 0}
    if settings.username and settings.password:
        config |= {
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": settings.username,
            "sasl.password": settings.password.get_secret_value(),
        }
    try:
        there = AdminClient(config).list_topics(timeout=KAFKA_SECONDS).topics
    except KafkaException as error:
        hint = "are address, user and password right, and is it up?"
        yield False, f"Kafka at {settings.servers} does not answer ({error.args[0].str()}): {hint}"
        return
    yield True, f"Kafka at {settings.servers} answers."
    for topic in settings.topics:
        if topic in there and there[topic].error is None:
            yield True, f"Topic {topic} exists."
        else:
            others = ", ".join(sorted(name for name in there if name.startswith("fink_"))) or "none"
            yield False, f"Topic {topic} does not exist; those beginning with fink_ are: {others}."


def _skyportal(api: SkyPortal, settings: Settings) -> Iterator[Finding]:
    if not api.is_ready():
        yield False, f"SkyPortal at {api.shown_url} does not answer: is the address right, and is it up?"
        return
    yield True, f"SkyPortal at {api.shown_url} is up."
    wanted = wanted_of(settings)
    groups = api.get("/api/groups")
    yield True, "SkyPortal accepts the token."
    names = {group.get("name") for rows in groups.values() for group in rows or ()}
    yield from _made(wanted.group in names, f"Group {wanted.group}")
    yield from _made(wanted.stream in _names(api, "/api/streams"), f"Stream {wanted.stream}")
    filters = _names(api, "/api/filters")
    for topic in wanted.topics:
        yield from _made(topic in filters or wanted.common_filter in filters, f"Filter for {topic}")
    instruments = _names(api, "/api/instrument")
    if any("ztf" in name.lower() or "cfh12k" in name.lower() for name in instruments):
        yield True, "SkyPortal has the instrument ZTF."
    else:
        yield False, "SkyPortal has no instrument ZTF: ask its administrator to add it."


def _made(is_there: bool, what: str) -> Iterator[Finding]:
    yield True, f"{what} exists." if is_there else f"{what} will be made at the first start."


def _names(api: SkyPortal, path: str) -> set[str]:
    return {str(row.get("name")) for row in api.get(path)}


def told(settings: Settings, say: Callable[[str], None]) -> bool:
    """Tell all findings, and return whether all are right."""
    is_right = True
    for right, what in findings(settings):
        say(f"{'right' if right else 'WRONG'}  {what}")
        is_right &= right
    return is_right
