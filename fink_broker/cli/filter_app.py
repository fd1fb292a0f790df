"""``fink filter``: list the topics, try a rule before it is trusted, explain an alert, switch topics off and on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fink_broker.cli.options import HELP, Conf

filter_app = typer.Typer(context_settings=HELP)

Rule = Annotated[
    str,
    typer.Argument(
        help="An SQL condition in quotes, the name of a topic, or a Python function as package.module:function."
    ),
]


@filter_app.command("list")
def filter_list(
    everything: Annotated[bool, typer.Option("--all", help="Count all alerts ever seen; it may take long.")] = False,
    conf: Conf = None,
) -> int:
    """List all topics, the broker's and yours: whose they are, on or off and why, what passed in the last week.

    Your topics stand in the file that the key filters.file names, conf/topics.toml if not set.
    """
    from fink_broker.cli.filter_list import show_list  # noqa: PLC0415

    return show_list(conf, everything=everything)


@filter_app.command("check")
def filter_check(
    rule: Annotated[
        str,
        typer.Argument(
            help="An SQL condition in quotes, the name of a topic, package.module:function, or a topics file."
        ),
    ],
    conf: Conf = None,
) -> int:
    """Check a rule without running it: columns, types, functions. Exit code 0 if it can be used, 2 if not.

    Example: fink filter check "candidate.drb > 0.9 AND cdsxmatch = 'Unknown'"

    Example: fink filter check my_filters:bright

    Example: fink filter check conf/topics.toml
    """
    from fink_broker.cli.filter_check import check  # noqa: PLC0415

    return check(conf, rule)


@filter_app.command("test")
def filter_test(
    rule: Rule,
    *,
    night: Annotated[
        str, typer.Option(help="Observing night YYYYMMDD; the latest the broker holds if not given.")
    ] = "",
    source: Annotated[
        Path | None, typer.Option("-s", "--source", help="Parquet file or folder of science alerts instead.")
    ] = None,
    examples: Annotated[int, typer.Option(min=0, help="How many light curves of alerts that pass are drawn.")] = 2,
    limit: Annotated[int, typer.Option(min=0, help="At most so many alerts; 0: all.")] = 0,
    activate: Annotated[str, typer.Option(metavar="NAME", help="Make it a topic of this name afterwards.")] = "",
    owner: Annotated[str, typer.Option(help="With --activate: who answers for it; your account if not given.")] = "",
    description: Annotated[str, typer.Option(help="With --activate: one sentence on what it takes.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Activate it whatever it takes, also of few alerts.")] = False,
    conf: Conf = None,
) -> int:
    """Run a rule over an archived night: how many alerts pass, when, and what they look like.

    Alerts are read as they were stored: a light curve ends with its alert. A rule that takes more than the share
    filters.largest_share of the alerts is refused (exit code 1), and not activated without --force.

    Example: fink filter test "candidate.magpsf < 15 AND candidate.drb > 0.9" --night 20231018

    Example: fink filter test my_filters:bright --activate my_bright --description "Brighter than 15"
    """
    from fink_broker.cli.filter_test import Wanted, run_test  # noqa: PLC0415

    return run_test(conf, Wanted(rule, night, source, examples, limit, activate, owner, description, force))


@filter_app.command("explain")
def filter_explain(
    candid: Annotated[int, typer.Argument(help="The alert.")],
    night: Annotated[
        str, typer.Option(help="Observing night YYYYMMDD: look there only, which is quicker if the alert is old.")
    ] = "",
    conf: Conf = None,
) -> int:
    """Tell which topics an alert went to, which saw it and let it go, which failed, which were off.

    Example: fink filter explain 2480259021315015001
    """
    from fink_broker.cli.filter_explain import explain  # noqa: PLC0415

    return explain(conf, candid, night)


@filter_app.command("on")
def filter_on(name: Annotated[str, typer.Argument(help="The topic.")], conf: Conf = None) -> int:
    """Switch a topic on again, also one that the broker has switched off; a running broker notices."""
    from fink_broker.cli.filter_switch import switch  # noqa: PLC0415

    return switch(conf, name, on=True)


@filter_app.command("off")
def filter_off(
    name: Annotated[str, typer.Argument(help="The topic.")],
    reason: Annotated[str, typer.Option(help="Why, for those who look at the list.")] = "",
    conf: Conf = None,
) -> int:
    """Switch a topic off, the broker's or yours; a running broker notices."""
    from fink_broker.cli.filter_switch import switch  # noqa: PLC0415

    return switch(conf, name, on=False, reason=reason)


@filter_app.command("webhook")
def filter_webhook(
    name: Annotated[str, typer.Argument(help="A [[webhook]] of the topics file.")], conf: Conf = None
) -> int:
    """Post a made-up alert to a webhook, to see whether it arrives: `fink start notifier` posts the real ones."""
    from fink_broker.cli.filter_webhook import try_out  # noqa: PLC0415

    return try_out(conf, name)
