"""What all pages share: the settings, the API, the processes of fits; and what a page and a tab are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dash import Dash
from dash.development.base_component import Component

from fink_broker.config import Config
from fink_broker.portal.web.api import Api

if TYPE_CHECKING:
    from fink_broker.portal.web.fits.jobs import Jobs
    from fink_broker.portal.web.object_data import ObjectData


@dataclass(frozen=True)
class Site:
    """What pages are built with.

    Parameters
    ----------
    config : Config
        The configuration in force; sections ``[portal]`` and ``[api]``.
    api : Api
        The REST API.
    jobs : Jobs
        Where fits run.
    """

    config: Config
    api: Api
    jobs: Jobs

    @property
    def api_url(self) -> str:
        """Address of the API as visitors reach it, for snippets and links."""
        return public_api_url(self.config)


def public_api_url(config: Config) -> str:
    """Return the address of the API as visitors reach it, which may not be the one the portal asks."""
    api = config.api
    return (api.public_url or config.portal.api_url or f"http://{api.host}:{api.port}").rstrip("/")


@dataclass(frozen=True)
class Visit:
    """What the address bar says.

    Parameters
    ----------
    path : str
        Path, unquoted, as ``/ZTF21abfmbix``.
    arguments : mapping
        First value of each argument of the query string.
    """

    path: str = "/"
    arguments: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Page:
    """A page.

    Parameters
    ----------
    path : str
        Where it is, as ``/stats``.
    title : str
        What the browser shows.
    build : callable
        Makes its content from what the address bar says; an `ApiError` becomes the page of that error.
    register : callable
        Adds its callbacks to the application, once.
    label : str
        What the bar at the top calls it; empty: it is not there.
    """

    path: str
    title: str
    build: Callable[[Visit, Site], Component]
    register: Callable[[Dash, Site], None]
    label: str = ""


@dataclass(frozen=True)
class Tab:
    """A tab of the object page.

    Parameters
    ----------
    name : str
        In the address, as ``variable``.
    label : str
        What visitors read.
    why_not : callable
        Says why an object has nothing for this tab, which then is disabled; empty if it has.
    build : callable
        Makes its content, when it is opened.
    register : callable
        Adds its callbacks to the application, once.
    """

    name: str
    label: str
    why_not: Callable[[ObjectData], str]
    build: Callable[[ObjectData, Site], Component]
    register: Callable[[Dash, Site], None]
