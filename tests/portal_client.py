"""A client of the whole API over an archive of memory, with services outside and a science table."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pandas as pd
from archived import empty_archive
from portal_app import TestClient

from fink_broker.archive.hbase.reader import Archive
from fink_broker.config import Config
from fink_broker.config.model import ApiConfig
from fink_broker.portal.app import create_app
from fink_broker.portal.providers.none import no_providers
from fink_broker.portal.providers.providers import Providers


class Api:
    """The API as tests ask it; paths are below ``/api/v1/``.

    Parameters
    ----------
    archive : Archive, optional
        What it answers from; default: one without alerts.
    providers : Providers, optional
        Services outside; default: none.
    online : pathlib.Path, optional
        Data prefix with the science table.
    **api
        Keys of ``[api]``.
    """

    def __init__(
        self,
        archive: Archive | None = None,
        providers: Providers | None = None,
        online: Path | None = None,
        **api: Any,
    ) -> None:
        storage = {} if online is None else {"storage": {"online": str(online)}}
        config = Config(api=ApiConfig(**api), **storage)
        self.archive = archive or empty_archive()
        app = create_app(config, self.archive, providers or no_providers())
        self._client = TestClient(app, raise_server_exceptions=False)

    def get(self, route: str, **arguments: Any) -> Any:
        """Return the answer to a GET; ``output_format`` stands for ``output-format``."""
        return self._client.get(f"/api/v1/{route}", params=_named(arguments))

    def post(self, route: str, headers: dict[str, str] | None = None, **arguments: Any) -> Any:
        """Return the answer to a POST with a JSON body."""
        return self._client.post(f"/api/v1/{route}", json=_named(arguments), headers=headers)

    def upload(self, route: str, files: dict[str, Any], headers: dict[str, str], **arguments: Any) -> Any:
        """Return the answer to a POST of a form with files."""
        return self._client.post(f"/api/v1/{route}", data=_named(arguments), files=files, headers=headers)

    def rows(self, route: str, **arguments: Any) -> list[dict[str, Any]]:
        """Return the rows of an answer in JSON."""
        answer = self.post(route, **arguments)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()
        return found

    def frame(self, route: str, **arguments: Any) -> pd.DataFrame:
        """Return an answer in Parquet."""
        answer = self.post(route, output_format="parquet", **arguments)
        assert answer.status_code == 200, answer.text
        return pd.read_parquet(io.BytesIO(answer.content))

    def error(self, route: str, status: int = 400, **arguments: Any) -> str:
        """Return the text of the envelope of a request that is refused, the same by GET and by POST."""
        for answer in (self.post(route, **arguments), self.get(route, **arguments)):
            assert answer.status_code == status, (answer.status_code, answer.text)
            assert answer.headers["content-type"].startswith("text/html")
            assert answer.text.startswith("{'status': 'error', 'text': ")
        text: str = answer.text
        return text.removeprefix("{'status': 'error', 'text': ").removesuffix("}")


def _named(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name.replace("output_format", "output-format").replace("cutout_kind", "cutout-kind"): value
            for name, value in arguments.items()}  # fmt: skip
