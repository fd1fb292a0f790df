"""``fink transfer`` as it is typed."""

from __future__ import annotations

from typing import Annotated

import typer

from fink_broker.cli.options import Conf

Start = Annotated[str, typer.Option("--start", "-start", metavar="YYYY-MM-DD", help="First observing night.")]
Stop = Annotated[str, typer.Option("--stop", "-stop", metavar="YYYY-MM-DD", help="Last observing night, included.")]
Classes = Annotated[
    list[str] | None,
    typer.Option("--class", help="Only this class, e.g. 'SN candidate', '(TNS) SN Ia'; may be repeated."),
]
Where = Annotated[str, typer.Option("--where", help="Only alerts that meet this SQL condition, as filters write it.")]
Columns = Annotated[str, typer.Option("--columns", help="What to send of an alert: a,b,c (candidate goes along).")]
Output = Annotated[str, typer.Option("--output", help="Or a form: full (default), light_curve or thin.")]
Topic = Annotated[str, typer.Option("--topic", "-topic", help="Where to: ftransfer_…; one is made up if not given.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only tell how many alerts and bytes it would be.")]
Most = Annotated[int, typer.Option("--max-alerts", min=1, help="Refuse a selection of more alerts.")]
Resume = Annotated[str, typer.Option("--resume", metavar="TOPIC", help="Go on with a transfer that was cut short.")]
ListAll = Annotated[bool, typer.Option("--list", help="List the transfers there are.")]
Remove = Annotated[str, typer.Option("--remove", metavar="TOPIC", help="Delete a transfer and its topics.")]


def transfer(  # noqa: PLR0917  # the options of the command
    start: Start = "",
    stop: Stop = "",
    classes: Classes = None,
    where: Where = "",
    columns: Columns = "",
    output: Output = "",
    topic: Topic = "",
    dry_run: DryRun = False,
    max_alerts: Most = 10_000_000,
    resume: Resume = "",
    list_all: ListAll = False,
    remove: Remove = "",
    conf: Conf = None,
) -> int:
    """Send a past selection of alerts to a topic, for `finkctl transfer` or `fink_datatransfer` to fetch.

    Example: fink transfer --start 2023-10-01 --stop 2023-10-31 --class "SN candidate" --where "magpsf < 18.5"
    """
    from fink_broker.cli.transfer import TransferOptions  # noqa: PLC0415
    from fink_broker.cli.transfer import transfer as run  # noqa: PLC0415

    options = TransferOptions(
        start=start,
        stop=stop,
        classes=tuple(classes or ()),
        where=where,
        columns=columns,
        output=output,
        topic=topic,
        dry_run=dry_run,
        max_alerts=max_alerts,
        resume=resume,
        list_all=list_all,
        remove=remove,
    )
    return run(options, conf)
