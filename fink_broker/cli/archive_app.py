"""``fink merge``, ``fink reprocess``, ``fink clean`` and ``fink archive``, as they are typed."""

from __future__ import annotations

from typing import Annotated

import typer

from fink_broker.cli.archive_load import load
from fink_broker.cli.options import HELP, Conf

archive_app = typer.Typer(context_settings=HELP)
Night = Annotated[str, typer.Option("--night", "-night", metavar="YYYYMMDD", help="Observing night.")]


def merge(
    night: Annotated[
        list[str] | None,
        typer.Option("--night", "-night", metavar="YYYYMMDD", help="Observing night; may be repeated."),
    ] = None,
    all_closed: Annotated[
        bool, typer.Option("--all-closed", help="Every night but the latest, as without --night.")
    ] = False,
    now: Annotated[
        bool, typer.Option("--now", help="Remove the small files at once, not after a quarter of an hour.")
    ] = False,
    conf: Conf = None,
) -> int:
    """Make few sorted files of a night's many small ones, at any time, while others read and write.

    Example: fink merge --night 20231018
    """
    from fink_broker.cli.merge import merge as run  # noqa: PLC0415

    return run(conf, () if all_closed else night or (), now=now)


def reprocess(
    night: Night,
    module: Annotated[
        list[str] | None,
        typer.Option("-m", "--module", help="Only this module and those that need it; may be repeated."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would change.")] = False,
    accept_failures: Annotated[
        bool, typer.Option("--accept-failures", help="Replace values also by those of modules that fail more often.")
    ] = False,
    conf: Conf = None,
) -> int:
    """Run cuts, science and filters over a stored night again, and tell what changes; nothing is sent.

    Example: fink reprocess --night 20231018 --dry-run
    """
    from fink_broker.cli.reprocess import reprocess as run  # noqa: PLC0415

    return run(conf, night, module or [], dry_run=dry_run, accept_failures=accept_failures)


def clean(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would go.")] = False, conf: Conf = None
) -> int:
    """Remove nights older than storage.keep_*_days, files merged away, and what was staged long ago."""
    from fink_broker.cli.clean import clean as run  # noqa: PLC0415

    return run(conf, dry_run=dry_run)


@archive_app.command("check")
def check(
    night: Night,
    repair: Annotated[bool, typer.Option("--repair", help="Mend what can be mended.")] = False,
    no_hbase: Annotated[bool, typer.Option("--no-hbase", help="Leave HBase out.")] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Only look which alerts there are, not at their values.")
    ] = False,
    conf: Conf = None,
) -> int:
    """Prove that raw, science, topics and HBase hold the same alerts of a night; exit code 5 if they do not."""
    from fink_broker.cli.archive_check import check as run  # noqa: PLC0415

    return run(conf, night, repair=repair, hbase=not no_hbase, quick=quick)


@archive_app.command("rebuild")
def rebuild(
    night: Annotated[
        list[str] | None,
        typer.Option("--night", "-night", metavar="YYYYMMDD", help="Only this observing night; may be repeated."),
    ] = None,
    conf: Conf = None,
) -> int:
    """Write all nights of the science table to HBase anew, such as after HBase was emptied or lost.

    It can be cut short and begun again at any time, and other jobs may run meanwhile.

    Example: fink archive rebuild
    """
    from fink_broker.cli.hbase_upkeep import rebuild as run  # noqa: PLC0415

    return run(conf, night or [])


archive_app.command("load")(load)
