from __future__ import annotations

from contextlib import ExitStack

import pytest

from fink_broker.portal.deadline import LEAST_BYTES_PER_SECOND, Receipt
from fink_broker.portal.limits import Answers
from fink_broker.portal.route import RequestError


def test_so_many_answers_are_on_their_way() -> None:
    answers = Answers(4)  # 8, of which one client may have 4
    with ExitStack() as sent:
        for _ in range(4):
            sent.enter_context(answers.one("a"))
        with pytest.raises(RequestError, match="busy"), answers.one("a"):
            pass
        for client in "bbcc":
            sent.enter_context(answers.one(client))
        with pytest.raises(RequestError, match="busy") as caught, answers.one("d"):
            pass
        assert (caught.value.status, caught.value.retry_after is not None) == (503, True)
    with answers.one("a"), answers.one("d"):
        pass


def test_a_slow_client_has_time_for_what_it_receives(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    receipt = Receipt(60)
    receipt.count(10 * LEAST_BYTES_PER_SECOND)
    assert receipt.left == 70
    now[0] += 65
    receipt.count(LEAST_BYTES_PER_SECOND)
    assert receipt.left == 6
    now[0] += 7
    assert receipt.left == 0
