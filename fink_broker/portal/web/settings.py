"""The portal's configuration where it does not run under the launcher: ``config.yml``, as deployments have it.

``config.yml`` and ``config_datatransfer.yml`` are looked for in the working folder, or where ``FINK_PORTAL_CONFIG``
says; what they leave open comes from the broker's own configuration. A file that ends in ``.json`` is a whole
configuration, as ``fink start portal`` hands over.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from pydantic import ValidationError

from fink_broker.config import Config
from fink_broker.config.loader import load_config
from fink_broker.errors import ConfigError

log = logging.getLogger(__name__)

VARIABLE = "FINK_PORTAL_CONFIG"
FILE, TRANSFER_FILE = "config.yml", "config_datatransfer.yml"
#: keys of the files, and where they belong; those without a place have no effect here
KEYS = {
    "APIURL": "portal.api_url", "PORT": "portal.port", "LOCALAPI": "portal.local_api", "tablename": "hbase.tables",
    "WEBHDFS": "portal.webhdfs_url", "NAMENODE": "portal.namenode_url", "LIVYHOST": "portal.livy_url",
    "USER": "portal.hadoop_user", "SPARKCONF": "portal.livy_spark",
    "KAFKA_BOOTSTRAP_SERVERS": "distribution.servers",
}  # fmt: skip
#: keys that belong into the environment, and the variables there
SECRETS = {"KAFKA_SASL_USERNAME": "FINK_DISTRIBUTION_USERNAME", "KAFKA_SASL_PASSWORD": "FINK_DISTRIBUTION_PASSWORD"}
#: keys that are read in a way of their own, or mean nothing to this portal
OTHERS = ("IP", "HBASEIP", "ZOOPORT", "SCHEMAVER", *SECRETS)


def portal_config(folder: Path, environ: Mapping[str, str]) -> Config:
    """Return the configuration of a portal that was started by gunicorn, or directly.

    Parameters
    ----------
    folder : Path
        Where the files are looked for.
    environ : mapping
        Environment variables.

    Raises
    ------
    ConfigError
        If a file cannot be read, or says what is not understood.
    """
    named = environ.get(VARIABLE)
    if named and named.endswith(".json"):
        return Config.model_validate_json(_text(Path(named)))
    file = Path(named) if named else folder / FILE
    config = load_config(environ=environ).config
    given: dict[str, Any] = {}
    for path in (file, file.with_name(TRANSFER_FILE)):
        if path.is_file() or (named and path == file):
            given |= _read(path)
    return apply(config, given) if given else config


def apply(config: Config, given: Mapping[str, Any]) -> Config:
    """Return a configuration with the values of such files in force.

    Raises
    ------
    ConfigError
        If a key is unknown, or a value is not what it must be.
    """
    changes: dict[str, dict[str, Any]] = {}
    for key, value in given.items():
        if key in KEYS:
            section, name = KEYS[key].split(".")
            changes.setdefault(section, {})[name] = value
        elif key not in OTHERS:
            raise ConfigError(f"{FILE}: there is no key {key}.", f"Known are {', '.join((*KEYS, *OTHERS))}.")
    portal = changes.setdefault("portal", {})
    if given.get("APIURL"):  # in such files it is the address visitors know, too
        changes.setdefault("api", {})["public_url"] = given["APIURL"]
    if isinstance(spark := given.get("SPARKCONF"), dict):
        portal["livy_spark"] = {str(name): _as_spark_has_it(value) for name, value in spark.items()}
    if host := _own_address(str(given.get("IP", ""))):
        portal["host"] = host
    if given.get("LIVYHOST"):
        portal["transfer"] = "livy"
    if given.get("HBASEIP"):  # HBase is reached through its Thrift server, whose port is not ZooKeeper's
        changes.setdefault("hbase", {})["servers"] = f"{given['HBASEIP']}:{config.hbase.embedded_port}"
    for key, variable in SECRETS.items():
        if given.get(key):
            log.warning("%s in a file has no effect: set %s in the environment", key, variable)
    content = config.model_dump()
    for section, values in changes.items():
        content[section] |= values
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        key = next((known for known, place in KEYS.items() if name.startswith(place)), name)
        raise ConfigError(f"{FILE}: {key} is {first['input']!r}: {first['msg']}.") from None


def _as_spark_has_it(value: object) -> str:
    """Return an option as text: Spark writes true, not True."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _own_address(name: str) -> str:
    """Return an address to listen at; a public name is none, as it may belong to a proxy in front."""
    if name == "localhost":
        return "127.0.0.1"
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return ""


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(_text(path))
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not well-formed YAML: {' '.join(str(error).split())[:200]}.") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path} is no mapping.", "Write one `KEY: value` a line.")
    if (url := content.get("APIURL")) and urlsplit(str(url)).scheme not in ("http", "https"):
        raise ConfigError(f"{path.name}: APIURL is {url!r}.", "Write it as http://127.0.0.1:32000.")
    return {str(key): value for key, value in content.items()}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}.", f"Name another with {VARIABLE}.") from None
