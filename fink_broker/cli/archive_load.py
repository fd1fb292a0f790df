"""``fink archive load``: fill the tables of names and orbits that the API resolves with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fink_broker.cli.options import Conf


def load(
    content: Annotated[str, typer.Argument(help="What the file holds: tns, sso, orbits or candidates.")],
    file: Annotated[Path, typer.Argument(help="Parquet, or CSV with a header.")],
    conf: Conf = None,
) -> int:
    """Fill the tables of names and orbits in HBase from a file; rows that are there already are replaced.

    tns: fullname, internalname, ra, declination, type, redshift. sso: ssnamenr, name, number.
    orbits: ssoCandId, a, e and more. candidates: ssoCandId, jd, magpsf and more.

    Example: fink archive load sso names.csv
    """
    from rich.console import Console  # noqa: PLC0415

    from fink_broker.archive.hbase.open import open_archive  # noqa: PLC0415
    from fink_broker.cli.configuration import load as load_configuration  # noqa: PLC0415
    from fink_broker.errors import UsageError  # noqa: PLC0415
    from fink_broker.portal.resolver_files import CONTENTS  # noqa: PLC0415
    from fink_broker.portal.resolver_files import load as load_file  # noqa: PLC0415

    if content not in CONTENTS:
        raise UsageError(f"There is nothing called '{content}' to load.", f"Choose one of {', '.join(CONTENTS)}.")
    archive = open_archive(load_configuration(conf, quiet=True).config)
    try:
        count = load_file(archive, content, file)
    finally:
        archive.close()
    Console(highlight=False).print(f"{count:,} rows of {CONTENTS[content].meaning} are in HBase.", markup=False)
    return 0
