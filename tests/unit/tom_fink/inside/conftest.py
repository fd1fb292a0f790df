"""A TOM in a temporary folder, and a stand-in for the API.

These tests run with the Python of an environment that has TOM Toolkit (2.32 or 3), tom-alertstreams, pytest and the
module, from this folder::

    python -m pytest -c /dev/null --rootdir . --confcutdir . -p no:cacheprovider .
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import django.apps
import pytest
from django.conf import settings

_FOLDER = Path(tempfile.mkdtemp(prefix="tom_fink_tests_"))
_APPS = ("tom_alerts", "tom_dataservices", "tom_alertstreams", "tom_fink")
_URLS = """
from django.urls import include, path

urlpatterns = [path("", include("tom_common.urls")), {alerts}]
"""
#: TOM Toolkit 3 has the pages of brokers, but a TOM has to name them.
_ALERTS_URL = 'path("alerts/", include("tom_alerts.urls", namespace="alerts"))'


class _NoMigrations(dict):
    """Tables as the models are now, made at once: the toolkit's 60 migrations take most of a minute."""

    def __contains__(self, app: object) -> bool:
        return True

    def __getitem__(self, app: str) -> None:
        return None


def pytest_configure() -> None:
    """Make a TOM out of the toolkit's own settings."""
    if settings.configured:
        return
    import tom_base.settings as toolkit  # noqa: PLC0415

    stock = {name: value for name, value in vars(toolkit).items() if name.isupper()}
    apps = list(dict.fromkeys([*stock["INSTALLED_APPS"], *_APPS]))
    (_FOLDER / "urls_of_tests.py").write_text(
        _URLS.format(alerts="" if "tom_alerts" in stock["INSTALLED_APPS"] else _ALERTS_URL)
    )
    sys.path.insert(0, str(_FOLDER))
    settings.configure(
        **{
            **stock,
            "BASE_DIR": str(_FOLDER),
            "INSTALLED_APPS": apps,
            "DATABASES": {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(_FOLDER / "db.sqlite3")}},
            "CACHES": {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
            "PASSWORD_HASHERS": ["django.contrib.auth.hashers.MD5PasswordHasher"],
            "ALLOWED_HOSTS": ["*"],
            "MEDIA_ROOT": str(_FOLDER / "data"),
            "TOM_ALERT_CLASSES": ["tom_fink.fink.FinkBroker"],
            "LOGGING": {},
            "MIGRATION_MODULES": _NoMigrations(),
            "ROOT_URLCONF": "urls_of_tests",
            "SECRET_KEY": "of these tests",
        }
    )
    django.setup()
    # those of the toolkit ask their servers for something when they are made
    django.apps.apps.get_app_config("tom_dataservices").data_services = list


def pytest_unconfigure() -> None:
    """Remove the TOM."""
    shutil.rmtree(_FOLDER, ignore_errors=True)


@pytest.fixture(scope="session")
def _tables() -> None:
    from django.core.management import call_command  # noqa: PLC0415

    call_command("migrate", run_syncdb=True, verbosity=0, interactive=False)


@pytest.fixture
def database(_tables: None) -> Iterator[None]:
    """Give the database of the TOM; what a test writes is rolled back."""
    from django.db import transaction  # noqa: PLC0415

    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.fixture
def committed_database(_tables: None) -> Iterator[None]:
    """Give the database of the TOM as other threads see it, too; targets and their data are removed afterwards."""
    yield
    from django.contrib.auth.models import Group  # noqa: PLC0415
    from tom_targets.models import Target, TargetList  # noqa: PLC0415

    Target.objects.all().delete()
    TargetList.objects.all().delete()
    Group.objects.filter(name="Public").delete()


@dataclass
class Reply:
    """What the stand-in answers to a request."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def content(self) -> bytes:
        """The body as it is sent: text as it is, anything else as JSON."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass
class Asked:
    """A request the stand-in got."""

    route: str
    arguments: dict[str, Any]
    headers: dict[str, str]


@dataclass
class Api:
    """A stand-in for the API: what it answers by route, and what it was asked."""

    url: str
    answers: dict[str, Any] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def reply(self, asked: Asked) -> Reply:
        """Return what is answered: rows, a `Reply`, or what a function makes of the arguments."""
        self.asked.append(asked)
        answer = self.answers.get(asked.route, Reply(b"<html>Not Found</html>", 404))
        answer = answer(asked.arguments) if isinstance(answer, Callable) else answer
        return answer if isinstance(answer, Reply) else Reply(answer)


class _Handler(BaseHTTPRequestHandler):
    api: Api

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        route = self.path.removeprefix("/api/v1/")
        reply = self.api.reply(Asked(route, json.loads(content), dict(self.headers)))
        self.send_response(reply.status)
        for name, value in {"Content-Length": str(len(reply.content)), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="session")
def _api_server() -> Iterator[tuple[ThreadingHTTPServer, type[_Handler]]]:
    handler = type("Handler", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server, handler
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def api(_api_server: tuple[ThreadingHTTPServer, type[_Handler]]) -> Iterator[Api]:
    """Give a stand-in for the API, to whose address the settings point."""
    from django.test import override_settings  # noqa: PLC0415

    server, handler = _api_server
    handler.api = Api(f"http://127.0.0.1:{server.server_port}")
    with override_settings(FINK_API_URL=handler.api.url, FINK_PORTAL_URL="http://portal.test"):
        yield handler.api


@pytest.fixture
def browser(database: None) -> Any:
    """Give a client that is logged in to the TOM."""
    from django.contrib.auth.models import User  # noqa: PLC0415
    from django.core.cache import cache  # noqa: PLC0415
    from django.test import Client  # noqa: PLC0415

    cache.clear()
    client = Client()
    user = User.objects.create_superuser("astro", "astro@example.org", "secret")
    client.force_login(user, backend=settings.AUTHENTICATION_BACKENDS[0])
    return client


def alert_row(**changes: Any) -> dict[str, Any]:
    """Return a row of the API as searches for objects give it."""
    return {
        "i:objectId": "ZTF21abfmbix",
        "i:candid": 1622215345315015012,
        "i:jd": 2459376.7153472,
        "i:ra": 193.8217409,
        "i:dec": 2.8973184,
        "i:magpsf": 18.123457,
        "d:rf_snia_vs_nonia": 0.57,
        "d:cdsxmatch": "Unknown",
        **changes,
    }


def curve_row(jd: float, fid: int = 1, magnitude: float | None = 18.5, **changes: Any) -> dict[str, Any]:
    """Return a row of the API as light curves have it."""
    return {
        "i:jd": jd,
        "i:fid": fid,
        "i:magpsf": magnitude,
        "i:sigmapsf": None if magnitude is None else 0.1,
        "i:diffmaglim": 20.5,
        "i:isdiffpos": None if magnitude is None else "t",
        "i:candid": -1 if magnitude is None else 1,
        "d:tag": "upperlim" if magnitude is None else "valid",
        **changes,
    }


def stored_light_curve(target: Any) -> list[tuple[Any, ...]]:
    """Return what a target has: time, band, magnitude, its error, limit, further values, source; in order of time."""
    from tom_dataproducts import models  # noqa: PLC0415

    if hasattr(models, "PhotometryReducedDatum"):
        rows = [
            (datum.timestamp, datum.bandpass, datum.brightness, datum.brightness_error, datum.limit, datum.value, datum)
            for datum in models.PhotometryReducedDatum.objects.filter(target=target)
        ]
    else:
        rows = []
        for datum in models.ReducedDatum.objects.filter(target=target, data_type="photometry"):
            value = dict(datum.value)
            known = [value.pop(name, None) for name in ("filter", "magnitude", "error", "limit")]
            rows.append((datum.timestamp, *known, value, datum))
    rows.sort(key=lambda row: row[:2])
    return [(*row[:-1], row[-1].source_name) for row in rows]


@pytest.fixture
def django_statements() -> Callable[[], Any]:
    """Give what collects the statements that go to the database."""
    from django.db import connection  # noqa: PLC0415
    from django.test.utils import CaptureQueriesContext  # noqa: PLC0415

    return lambda: CaptureQueriesContext(connection)
