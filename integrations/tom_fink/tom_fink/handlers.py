"""What can be done with the alerts of a stream; a TOM can name functions of its own instead."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from tom_targets.models import Target, TargetExtra

from . import photometry
from .alerts.fink_class import fink_class
from .alerts.light_curve import number, points
from .targets import position, save_target

logger = logging.getLogger(__name__)

CLASS, TOPICS, LAST, SCORE = "fink class", "fink topics", "fink last alert", "fink rf_snia_vs_nonia"


def alert_logger(alert: Mapping[str, Any], topic: str) -> None:
    """Log an alert and save its object as a target in the list of the topic.

    Parameters
    ----------
    alert : mapping
        A decoded message. One without a position is only logged.
    topic : str
        Name of the topic.

    Raises
    ------
    django.db.DatabaseError
        If the database does not take the target.
    """
    _log_and_save(alert, topic)


def alert_with_photometry(alert: Mapping[str, Any], topic: str) -> None:
    """Do what `alert_logger` does, and save the alert's light curve, class and topics with the target.

    The light curve becomes photometry of the target, each exposure once. Class (``fink class``), its score as an early
    type Ia supernova (``fink rf_snia_vs_nonia``) and time (``fink last alert``, d, Julian date) are those of the
    latest alert; ``fink topics`` are all topics the object was on.

    Parameters
    ----------
    alert : mapping
        A decoded message. One without a position is only logged.
    topic : str
        Name of the topic.

    Raises
    ------
    django.db.DatabaseError
        If the database does not take something; all of it can be done again.
    """
    target = _log_and_save(alert, topic)
    if target is not None:
        photometry.store(target, points(alert))
        _save_extras(target, alert, topic)


def _log_and_save(alert: Mapping[str, Any], topic: str) -> Target | None:
    logger.info("fink.alert_logger topic: %s", topic)
    received, found = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S"), position(alert)
    if found is None:
        logger.info(
            "fink.alert_logger value: %s without a position, not saved as a target (received %s)",
            alert.get("objectId"),
            received,
        )
        return None
    name, _, _, jd = found
    logger.info("fink.alert_logger value: %s emitted %s JD (received %s)", name, jd, received)
    target, is_new = save_target(alert, topic)
    if not is_new:
        logger.info("Target %s already in the database", name)
    return target


def _save_extras(target: Target, alert: Mapping[str, Any], topic: str) -> None:
    """Save what the alert says of its object; an older one than the last changes the topics only."""
    jd, score = alert["candidate"]["jd"], number(alert.get("rf_snia_vs_nonia"))
    with transaction.atomic():
        # a write comes first: whoever else does the same for this target waits
        if not TargetExtra.objects.filter(target=target, key=TOPICS).update(key=TOPICS):
            TargetExtra.objects.get_or_create(target=target, key=TOPICS)
        known = dict(TargetExtra.objects.filter(target=target).values_list("key", "value"))
        topics = set(filter(None, known[TOPICS].split(", ")))
        new = {TOPICS: ", ".join(sorted(topics | {topic}))}
        if jd >= _jd(known.get(LAST)):
            new |= {LAST: str(jd), CLASS: fink_class(alert)} | ({} if score is None else {SCORE: str(score)})
        for key, value in new.items():
            if known.get(key) != value:
                TargetExtra.objects.update_or_create(target=target, key=key, defaults={"value": value})


def _jd(text: str | None) -> float:
    """Return the time of the last alert (d, Julian date); before all times where there is none that can be read."""
    try:
        return float(text or "-inf")
    except ValueError:
        return -math.inf
