"""The numbers of all services on one page: those of each get its name and host as labels.

What stands in a sample came from another process, maybe of another version and another host: what is not understood is
left out, and the rest stays.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable, Mapping

from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from fink_broker.metrics.sample import ServiceSample

log = logging.getLogger(__name__)

#: Most series of one service: what has more counts something it should not.
MOST_SERIES = 2000
#: Longest value of a label.
LONGEST_LABEL = 200

_NAME = re.compile(r"fink_[a-z0-9_]{1,100}")
_LABEL = re.compile(r"[a-z][a-z0-9_]{0,50}")
_KINDS = ("counter", "gauge", "histogram", "summary")


def merged(samples: Iterable[ServiceSample], reserved: Collection[str] = ()) -> list[Metric]:
    """Return the families of numbers that running services count, with labels ``service`` and ``host``.

    Parameters
    ----------
    samples : iterable of ServiceSample
        Of services; one that ended counts nothing any more.
    reserved : collection of str
        Names of families that are told otherwise.
    """
    families: dict[str, Metric] = {}
    for sample in samples:
        if sample.ended is None:
            _add(families, sample, reserved)
    return [families[name] for name in sorted(families)]


def plain(text: str) -> str:
    """Return a text as the value of a label: of bounded length, and such as can be encoded."""
    return text[:LONGEST_LABEL].encode("utf-8", "replace").decode()


def _add(families: dict[str, Metric], sample: ServiceSample, reserved: Collection[str]) -> None:
    """Add what a service counts; a family of which two services think differently is the first one's."""
    try:
        found = list(text_string_to_metric_families(sample.metrics))
    except (ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
        log.debug("the numbers of %s on %s cannot be read: %s", sample.name, sample.host, error)
        return
    ours = {"service": plain(sample.name), "host": plain(sample.host)}
    left = MOST_SERIES
    for family in found:
        if not _NAME.fullmatch(family.name) or family.name in reserved or family.type not in _KINDS:
            continue
        target = families.setdefault(family.name, Metric(family.name, plain(family.documentation), family.type))
        if target.type != family.type:
            continue
        for entry in family.samples[:left]:
            labels = {name: plain(text) for name, text in entry.labels.items() if _is_label(name, ours)}
            target.add_sample(entry.name, {**ours, **labels}, entry.value)
        left = max(0, left - len(family.samples))


def _is_label(name: str, taken: Mapping[str, str]) -> bool:
    return name not in taken and _LABEL.fullmatch(name) is not None
