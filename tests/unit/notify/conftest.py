"""Far ends for tests of the notifier."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from unit.notify.far_end import FarEnd


@pytest.fixture
def far_end() -> Iterator[FarEnd]:
    """Return a far end that accepts everything, until told otherwise."""
    server = FarEnd()
    yield server
    server.close()
