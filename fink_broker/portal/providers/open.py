"""The services outside that the configuration names."""

from __future__ import annotations

from fink_broker.config import Config
from fink_broker.portal.providers.gracedb import GraceDBService
from fink_broker.portal.providers.miriade import MiriadeService
from fink_broker.portal.providers.none import no_providers
from fink_broker.portal.providers.outside import Outside
from fink_broker.portal.providers.providers import Providers
from fink_broker.portal.providers.quaero import QuaeroService
from fink_broker.portal.providers.sesame import SesameService


def open_providers(config: Config, outside: Outside | None = None) -> Providers:
    """Return the providers of a configuration; nothing is asked, or connected to, before the first question.

    Parameters
    ----------
    config : Config
        Section ``[api]``: who is asked, where, and for how long.
    outside : Outside, optional
        What speaks HTTP, if it is shared.
    """
    api = config.api
    if "service" not in api.resolvers:
        return no_providers()
    outside = outside or Outside()
    return Providers(
        SesameService(api.sesame_url, outside, api.service_seconds),
        QuaeroService(api.quaero_url, outside, api.service_seconds),
        MiriadeService(api.miriade_url, outside, api.service_seconds),
        GraceDBService(api.gracedb_url, outside, api.service_seconds),
    )
