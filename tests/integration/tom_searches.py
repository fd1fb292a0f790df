"""An API over the real alerts for a TOM to ask, what its users search there, and the alerts that must come."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import uvicorn
from archived import archived_alerts, science_rows
from pipeline import until

from fink_broker.archive import columns
from fink_broker.config import Config
from fink_broker.portal.app import create_app
from fink_broker.portal.providers.none import no_providers
from fink_broker.service.ports import free_port

#: an object with many alerts, an asteroid with several, and a class with more than are asked for
OBJECT, ASTEROID, CLASS = "ZTF20abfcszi", "8467", "Solar System MPC"
_ARCSEC = 3600.0
_NOW_JD = 2440587.5


@dataclass(frozen=True)
class Search:
    """A field of the form that is filled.

    Parameters
    ----------
    field, text : str
        Which, and with what.
    objects : frozenset of str
        The objects that must be found.
    rows : int
        How many alerts (objects, for a cone) must come.
    """

    field: str
    text: str
    objects: frozenset[str]
    rows: int


class ServedApi:
    """The API over an archive of memory, which can go and come.

    Parameters
    ----------
    shared_data : Path
        The fixture.
    folder : Path
        For what it stores.
    """

    def __init__(self, shared_data: Path, folder: Path) -> None:
        port = free_port()
        own = {"port": port, "resolvers": ["none"], "ssoft_folder": str(folder / "ssoft")}
        stored = {"online": str(folder), "state": str(folder / "state")}
        self._config = Config.model_validate({"api": own, "storage": stored})
        self._archive = archived_alerts(shared_data)
        self.url = f"http://127.0.0.1:{port}"

    @contextmanager
    def up(self) -> Iterator[str]:
        """Serve while the block lasts; gives the address, without ``/api/v1``."""
        app = create_app(self._config, self._archive, no_providers())
        server = uvicorn.Server(uvicorn.Config(app, port=self._config.api.port, log_level="warning", ws="none"))
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            until(lambda: server.started or not thread.is_alive(), "the API is up")
            yield self.url
        finally:
            server.should_exit = True
            thread.join(30)


def searches(shared_data: Path) -> list[Search]:
    """Return a search of each kind in the archived alerts."""
    names = ["i:objectId", "i:candid", "i:ra", "i:dec", "i:jd", "i:ssnamenr", "d:classification"]
    alerts = columns.publish(science_rows(shared_data)).select(names).to_pandas().sort_values("i:jd", ascending=False)
    of_class = alerts[alerts["d:classification"] == CLASS]
    assert len(of_class) > 20
    # the days end in a gap between two alerts, so that minutes more make no difference
    times = of_class["i:jd"].to_numpy()
    count = next(place for place in range(11, len(times)) if times[place - 1] - times[place] > 0.1)
    days = pd.Timestamp.now("UTC").timestamp() / 86400 + _NOW_JD - (times[count - 1] + times[count]) / 2
    centre = alerts[alerts["i:objectId"] == OBJECT].iloc[0]
    ra, dec = float(centre["i:ra"]), float(centre["i:dec"])
    away = np.hypot((alerts["i:ra"] - ra) * np.cos(np.radians(dec)), alerts["i:dec"] - dec) * _ARCSEC
    in_cone = alerts[away < 5]
    return [
        _found("objectId", OBJECT, alerts[alerts["i:objectId"] == OBJECT]),
        _found("conesearch", f"{ra}, {dec}, 5", in_cone.drop_duplicates("i:objectId")),
        _found("classsearch", f"{CLASS}, 10", of_class.head(10)),
        _found("classsearchdate", f"{CLASS}, {days}", of_class.head(count)),
        _found("ssosearch", ASTEROID, alerts[alerts["i:ssnamenr"] == ASTEROID]),
    ]


def _found(field: str, text: str, rows: pd.DataFrame) -> Search:
    assert len(rows)
    return Search(field, text, frozenset(rows["i:objectId"]), len(rows))
