"""Sources on the sky: a chart that needs nothing from outside, and Aladin Lite where the network allows."""

from fink_broker.portal.web.sky.component import aladin_offered, register, sky_map
from fink_broker.portal.web.sky.sources import Ring, SkySource

__all__ = ["Ring", "SkySource", "aladin_offered", "register", "sky_map"]
