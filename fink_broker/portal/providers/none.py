"""Nobody is asked: what the API answers where services outside are switched off."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fink_broker.portal.providers.away import NotAsked
from fink_broker.portal.providers.providers import Providers, SkyObject, SmallBody


class NoService:
    """Stands for a service that is switched off; every question raises `NotAsked`.

    Parameters
    ----------
    name : str
        The service's name.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def resolve(self, name: str) -> Sequence[SkyObject]:
        """Say that names are not resolved."""
        raise NotAsked(self.name)

    def identify(self, name: str) -> SmallBody | None:
        """Say that names of solar system objects are not resolved."""
        raise NotAsked(self.name)

    def at(self, name: str, is_comet: bool, jd: npt.NDArray[np.float64]) -> pa.Table | None:
        """Say that there are no ephemerides."""
        raise NotAsked(self.name)

    def skymap(self, event: str) -> bytes | None:
        """Say that there are no skymaps."""
        raise NotAsked(self.name)


def no_providers() -> Providers:
    """Return providers that ask nobody."""
    return Providers(NoService("CDS Sesame"), NoService("SsODNet"), NoService("Miriade"), NoService("GraceDB"))
