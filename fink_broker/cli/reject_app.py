"""``fink reject``: look at the packets that could not be used, and send them again once the cause is mended."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fink_broker.cli.options import HELP, Conf

reject_app = typer.Typer(context_settings=HELP)

Reason = Annotated[str, typer.Option("--reason", help="Only packets rejected for this, in the words of the list.")]
Day = Annotated[str, typer.Option("--day", metavar="YYYY-MM-DD", help="Only packets that came on this day (UTC).")]


@reject_app.command("list")
def reject_list(
    reason: Reason = "",
    day: Day = "",
    limit: Annotated[int, typer.Option(min=0, max=1000, help="At most so many packets; 0: only the counts.")] = 20,
    conf: Conf = None,
) -> int:
    """Count the rejected packets by reason, and list the newest.

    Example: fink reject list --reason "unknown schema" --day 2023-10-18
    """
    from fink_broker.cli.reject_list import show_list  # noqa: PLC0415

    return show_list(conf, reason, day, limit)


@reject_app.command("show")
def reject_show(
    place: Annotated[str, typer.Argument(help="The packet, as TOPIC/PARTITION/OFFSET.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write the packet to this file.")] = None,
    conf: Conf = None,
) -> int:
    """Show one packet: why it was rejected, its header, and what of it can be read.

    Example: fink reject show ztf_20231018_programid1/0/42 --output packet.avro
    """
    from fink_broker.cli.reject_show import show  # noqa: PLC0415

    return show(conf, place, output)


@reject_app.command("replay")
def reject_replay(  # noqa: PLR0917  # the options of the command
    place: Annotated[
        str, typer.Argument(help="One packet, as TOPIC/PARTITION/OFFSET; else --reason, --day, --all.")
    ] = "",
    reason: Reason = "",
    day: Day = "",
    everything: Annotated[bool, typer.Option("--all", help="All packets, whatever the reason and the day.")] = False,
    topic: Annotated[str, typer.Option("--topic", help="Send to this topic instead of the packet's own.")] = "",
    again: Annotated[bool, typer.Option("--again", help="Also what was sent again before.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before more than 1000 packets are sent.")] = False,
    simulator: Annotated[bool, typer.Option("--simulator", help="To the Kafka of fink start --simulator.")] = False,
    conf: Conf = None,
) -> int:
    """Send packets to the input topic again, exactly as they came; each once, unless --again is given.

    Example: fink reject replay --reason "unknown schema"
    """
    from fink_broker.cli.reject_replay import Wanted, replay  # noqa: PLC0415

    return replay(conf, Wanted(place, reason, day, everything, topic, again, yes, simulator))
