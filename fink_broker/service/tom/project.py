"""The folder of the TOM's project: its settings, its secrets, its database."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

from fink_broker.config import Config
from fink_broker.errors import ConfigError
from fink_broker.service import example_requests, portal

PASSWORD_VARIABLE = "FINK_TOM_PASSWORD"  # noqa: S105 - the name of the variable
#: what the project consists of, by its path; each is written from ``files/<name>.txt``
FILES = {
    "manage.py": "manage.py",
    "prepare.py": "prepare.py",
    "site_of_tom/settings.py": "settings.py",
    "site_of_tom/summary.py": "summary.py",
    "site_of_tom/urls.py": "urls.py",
    "site_of_tom/wsgi.py": "wsgi.py",
}
_WRITTEN = "written.json"


class Project:
    """The folder of the project.

    Parameters
    ----------
    folder : Path
        Where it is, or will be.

    Attributes
    ----------
    password_file : Path
        Where the password of ``admin`` is noted if it was made here; readable by its owner only.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.password_file = folder / "admin_password"

    def write(self) -> list[str]:
        """Write the files that are missing, and those of an earlier version; return what the user has changed."""
        self.folder.mkdir(0o700, parents=True, exist_ok=True)  # the database holds what logins are checked against
        for name in ("site_of_tom", "data", "templates", "cache", "static/tom_common/css"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "static" / "tom_common" / "css" / "custom.css").touch()  # each page asks for it
        (self.folder / "site_of_tom" / "__init__.py").touch()
        if not (self.folder / "secret_key").is_file():
            _write(self.folder / "secret_key", secrets.token_urlsafe(48), private=True)
        if not (self.folder / "groups").is_file():
            _write(self.folder / "groups", f"fink_tom_{secrets.token_hex(4)}")
        return [path for path, name in FILES.items() if not self._renew(path, name)]

    def groups(self, topics: Sequence[str]) -> dict[str, str]:
        """Return the consumer group of each topic: its own, so that one stream does not hold up another.

        Another TOM has others, also one that is made anew: it begins with the oldest alerts.
        """
        start = (self.folder / "groups").read_text()
        return {topic: f"{start}.{topic}" for topic in topics}

    def tell(self, config: Config, topics: Sequence[str]) -> None:
        """Write what the settings take from the configuration, and which topics there are to follow.

        Raises
        ------
        ConfigError
            If the output Kafka asks for something the stream reader cannot do.
        """
        told = {
            "api_url": config.portal.api_url or example_requests.address(config),
            "portal_url": portal.address(config),
            "hosts": _hosts(config.tom.host),
            "servers": config.output_servers,
            "asks_password": asks_password(config),
            "groups": self.groups(topics),
        }
        _write(self.folder / "fink.json", json.dumps(told, indent=1))

    def password(self, environ: Mapping[str, str]) -> str:
        """Return the password ``admin`` gets: that of the environment, else one made here and noted."""
        if given := environ.get(PASSWORD_VARIABLE):
            return given
        if not self.password_file.is_file():
            _write(self.password_file, secrets.token_urlsafe(12), private=True)
        return self.password_file.read_text()

    def _renew(self, path: str, name: str) -> bool:
        """Write a file unless the user has changed it; return False if so."""
        text = resources.files(__package__).joinpath("files", f"{name}.txt").read_text()
        target, written = self.folder / path, self._written()
        ours = [*written.get(path, []), _hash(text)]
        if target.is_file() and _hash(target.read_text()) not in ours:
            return False
        # noted before: a file that was just not written any more is still one of ours
        if ours != written.get(path):
            _write(self.folder / _WRITTEN, json.dumps(written | {path: sorted(set(ours))}, indent=1))
        _write(target, text)
        return True

    def _written(self) -> dict[str, list[str]]:
        path = self.folder / _WRITTEN
        known: dict[str, list[str]] = json.loads(path.read_text()) if path.is_file() else {}
        return known


def asks_password(config: Config) -> bool:
    """Tell whether the output Kafka asks for a user and a password.

    Raises
    ------
    ConfigError
        If it asks for them, or for encryption, in a way the TOM's stream reader does not know.
    """
    protocol, mechanism = config.distribution.security_protocol, config.distribution.sasl_mechanism
    if protocol == "PLAINTEXT":
        return False
    if (protocol, mechanism) == ("SASL_PLAINTEXT", "SCRAM-SHA-512"):
        return True
    raise ConfigError(
        f"The TOM cannot read topics where distribution.security_protocol is {protocol} ({mechanism}).",
        "It reads from listeners of PLAINTEXT, or SASL_PLAINTEXT with SCRAM-SHA-512.",
    )


def _hosts(host: str) -> list[str]:
    """Return the names by which browsers may ask for the TOM; any where it is reachable from outside."""
    everywhere = host in ("0.0.0.0", "::")  # noqa: S104 - compared only
    return ["*"] if everywhere else sorted({"127.0.0.1", "localhost", "[::1]", f"[{host}]" if ":" in host else host})


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _write(path: Path, text: str, *, private: bool = False) -> None:
    """Replace a file as a whole; ``private``: readable by its owner only."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.touch(0o600 if private else 0o644)
    temporary.write_text(text)
    temporary.replace(path)
