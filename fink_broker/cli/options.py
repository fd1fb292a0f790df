"""What several commands share on the command line."""

from __future__ import annotations

from typing import Annotated

import typer

Conf = Annotated[str | None, typer.Option("-c", "--conf", help="Configuration file.")]
HELP = {"help_option_names": ["-h", "--help"]}
