"""A made-up alert to one webhook: to see whether the far end takes it, and how it looks there."""

from __future__ import annotations

import time
from collections.abc import Mapping

from fink_broker.config.model import Config
from fink_broker.config.values import suggestion
from fink_broker.errors import ConfigError, ServiceError
from fink_broker.notify.formats import Post, body
from fink_broker.notify.notice import Notice, Value
from fink_broker.notify.poster import Poster
from fink_broker.notify.webhook_file import read_webhooks

_SAMPLE: dict[str, Value] = {
    "objectId": "ZTF00example",
    "candid": "0",
    "magpsf": 18.25,
    "sigmapsf": 0.08,
    "fid": 2,
    "band": "r",
    "ra": 193.8217,
    "dec": 2.8973,
    "jd": 2460000.5,
    "time": "2023-02-25 00:00:00",
    "finkclass": "this is only a test",
    "cdsxmatch": "Unknown",
    "tns": None,
    "rb": 0.9,
    "drb": 0.99,
    "ndethist": 3,
}


def try_webhook(config: Config, name: str, environ: Mapping[str, str]) -> str:
    """Post a made-up alert once; return a sentence on how it went.

    Parameters
    ----------
    config : Config
        ``filters.file`` names the file.
    name : str
        Of the webhook.
    environ : mapping
        Environment variables, where its address is.

    Raises
    ------
    ConfigError
        If there is no such webhook, or something is wrong with it.
    ServiceError
        If the far end does not take the alert. No message contains the address.
    """
    reading = read_webhooks(config, environ)
    webhook = reading.webhooks.get(name)
    if webhook is None:
        for problem in reading.problems:
            if problem.name == name:
                raise ConfigError(str(problem))
        known = ", ".join(reading.webhooks) or "none"
        hint = suggestion(name, reading.webhooks) or f"Those that can be used: {known}."
        raise ConfigError(f"There is no webhook '{name}' in {config.filters.file}.", hint)
    topic = webhook.topics[0]
    notice = Notice(topic, 0, 0, time.time(), {**_SAMPLE, "topic": topic, "filter": "test"})
    outcome = Poster(webhook).post(body(webhook, Post("alert", (notice,))))
    if outcome.result == "accepted":
        return f"{webhook.kind} took a made-up alert for the webhook {name}."
    remedy = "Try again later." if outcome.result == "later" else "See whether its address is the right one."
    raise ServiceError(f"The webhook {name} did not take a made-up alert: {outcome.reason}.", remedy)
