"""``fink filter webhook``: see whether a webhook takes an alert."""

from __future__ import annotations

import os

from fink_broker.cli.configuration import load
from fink_broker.notify.trial import try_webhook


def try_out(conf: str | None, name: str) -> int:
    """Post a made-up alert and print what the far end said.

    Raises
    ------
    FinkError
        If there is no such webhook, or the far end does not take the alert.
    """
    print(try_webhook(load(conf, quiet=True).config, name, os.environ))
    return 0
