"""``manage.py fink_replay``: hands alerts that were kept to their handlers again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.utils.module_loading import import_string
from tom_alertstreams.alertstreams.alertstream import get_alert_streams

from ... import kept
from ...alerts.messages import decode
from ...alertstream import FinkAlertStream, Handler


class Command(BaseCommand):
    """Hands kept alerts on, and removes those that succeed."""

    help = "Hand alerts that could not be handled to their handler again, and remove those that succeed."

    def handle(self, *args: Any, **options: Any) -> None:
        """Hand on all kept alerts.

        Raises
        ------
        CommandError
            If some fail again, which stay, or the settings of a stream are wrong.
        """
        try:
            handlers = _handlers()
        except ImproperlyConfigured as error:
            raise CommandError(f"ALERT_STREAMS: {error}") from error
        handled = failed = 0
        for file in kept.kept_files():
            reason = _hand_on(file, handlers)
            if reason:
                failed += 1
                self.stderr.write(f"{file}: {reason}")
            else:
                handled += 1
        self.stdout.write(f"{handled} alerts handled, {failed} stay in {kept.folder()}")
        if failed:
            raise CommandError(f"{failed} alerts could not be handled again.")


def _handlers() -> dict[str, Handler]:
    """Return the handlers of the active streams of the broker by topic."""
    ours = [entry for entry in getattr(settings, "ALERT_STREAMS", []) if _is_ours(entry)]
    return {topic: stream.handler for stream in get_alert_streams(ours) for topic in stream.topics}


def _is_ours(entry: Mapping[str, Any]) -> bool:
    try:
        return issubclass(import_string(entry["NAME"]), FinkAlertStream)
    except ImportError:
        return False


def _hand_on(file: Path, handlers: Mapping[str, Handler]) -> str:
    """Hand an alert on and remove its file; return why it could not be handled, empty if it was."""
    try:
        alert = kept.read(file)
    except FileNotFoundError:  # somebody else has just handed it on
        return ""
    except (ValueError, OSError) as error:
        return str(error)
    if alert.topic not in handlers:
        return f"no active stream in ALERT_STREAMS reads {alert.topic}"
    try:
        handlers[alert.topic](decode(alert.value, alert.key), alert.topic)
    # of a handler of the TOM's own anything can come; the alert stays
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    file.unlink(missing_ok=True)
    return ""
