"""The routes of the API, one subject a file; each file gives ``ROUTES``."""

from __future__ import annotations

from importlib import import_module

from fink_broker.portal.route import Generation, Route

#: files of this folder, in the order of the documentation
SUBJECTS = (
    "objects",
    "names",
    "conesearch",
    "latests",
    "cutouts",
    "classes",
    "schema",
    "explorer",
    "random_objects",
    "xmatch",
    "anomaly",
    "tracklet",
    "sso",
    "ssocand",
    "ssoft",
    "ssobulk",
    "resolver",
    "skymap",
    "statistics",
    "metadata",
    "euclid",
)


def all_routes() -> tuple[Route, ...]:
    """Return the routes of both generations."""
    modules = [import_module(f"{__name__}.{subject}") for subject in SUBJECTS]
    return tuple(route for module in modules for route in module.ROUTES)


def routes_of(generation: Generation) -> tuple[Route, ...]:
    """Return the routes an API of one generation answers: its own, and those of the other that it has none of."""
    found: dict[str, Route] = {}
    for route in all_routes():
        if route.name not in found or generation in route.generations:
            found[route.name] = route
    return tuple(found.values())
