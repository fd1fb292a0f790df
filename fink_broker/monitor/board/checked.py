"""What checkstream sees of the input topics, from its samples: it writes no commits."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from prometheus_client.parser import text_string_to_metric_families

from fink_broker.metrics.sample import ServiceSample

#: The service, and its numbers: messages a second that come in, and that it reads.
SERVICE = "checkstream"
ARRIVING, READ = "fink_stream_arriving_messages_per_second", "fink_stream_read_messages_per_second"
#: Samples whose rates are kept.
KEPT = 1800
#: For so long after a batch of raw its rates are those of the stream.
BATCH_SECONDS = 30.0

Rates = tuple[float, float, float]


class CheckedRates:
    """The rates checkstream has told of: moment (unix seconds), messages a second that came in, and that it read."""

    def __init__(self) -> None:
        self._rates: deque[Rates] = deque(maxlen=KEPT)

    def add(self, samples: Iterable[ServiceSample]) -> None:
        """Add what is new in the samples of running services."""
        for sample in samples:
            is_new = not self._rates or sample.sampled > self._rates[-1][0]
            if sample.name == SERVICE and is_new and (found := _rates(sample.metrics)) is not None:
                self._rates.append((sample.sampled, *found))

    def after(self, batches: list[Rates]) -> list[Rates]:
        """Return the rates since shortly after the last of some batches of raw: what is known while raw is idle."""
        begin = batches[-1][0] + BATCH_SECONDS if batches else 0.0
        return [rates for rates in self._rates if rates[0] > begin]


def _rates(metrics: str) -> tuple[float, float] | None:
    """Return both rates from numbers in the text format of Prometheus, None if they are not there."""
    try:
        found = {each.name: each.value for kind in text_string_to_metric_families(metrics) for each in kind.samples}
        return found[ARRIVING], found[READ]
    except (ValueError, KeyError):
        return None
