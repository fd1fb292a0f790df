"""``fink api``: the keys of the REST API."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from fink_broker.cli.options import HELP

api_app = typer.Typer(context_settings=HELP)


@api_app.command()
def key(
    name: Annotated[str, typer.Argument(help="Whose key it is; the access log shows it.")],
    per_minute: Annotated[int, typer.Option(min=0, help="Requests a minute; 0: no limit.")] = 600,
    per_day: Annotated[int, typer.Option(min=0, help="Requests a day; 0: no limit.")] = 100_000,
) -> int:
    """Make an API key: shown here once, for its owner; what is printed belongs into the file of api.keys_file.

    Example: fink api key skyportal --per-minute 100 >> keys.toml
    """
    from fink_broker.portal.keys import entry_of, make_key  # noqa: PLC0415

    secret, digest = make_key()
    entry = entry_of(name, digest, per_minute, per_day)
    print(f"The key, shown only now; it is sent as Authorization: Bearer KEY\n{secret}\n", file=sys.stderr)
    print(entry)
    return 0
