"""The numbers of webhooks, as they stand when they are asked for."""

from __future__ import annotations

from types import SimpleNamespace

from fink_broker.metrics.registry import collecting, exposition
from fink_broker.notify.numbers import NoticeNumbers
from fink_broker.notify.status import Counters


def test_webhooks_are_told_while_the_notifier_runs() -> None:
    counters = Counters(posted=3, summarised=10, refused=1, retries=2, waiting=4, lag=7)
    channels = {'my "hook"': SimpleNamespace(status=SimpleNamespace(counters=counters))}
    with collecting(NoticeNumbers(lambda: channels)):
        text = exposition()
        assert r'fink_notices_total{result="posted",webhook="my \"hook\""} 3.0' in text
        assert r'fink_notices_total{result="in a summary",webhook="my \"hook\""} 10.0' in text
        assert r'fink_notice_failures_total{webhook="my \"hook\""} 2.0' in text
        assert r'fink_notices_waiting{webhook="my \"hook\""} 4.0' in text
        assert r'fink_notice_lag_messages{webhook="my \"hook\""} 7.0' in text
        counters.posted = 4
        assert r'fink_notices_total{result="posted",webhook="my \"hook\""} 4.0' in exposition()
    assert "fink_notices" not in exposition()
