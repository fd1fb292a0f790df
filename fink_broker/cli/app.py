"""The commands. Each is a few lines here; what it does is imported when it is asked for."""

from __future__ import annotations

from typing import Annotated

import typer

from fink_broker import __version__
from fink_broker.cli.api_app import api_app
from fink_broker.cli.archive_app import archive_app, clean, merge, reprocess
from fink_broker.cli.filter_app import filter_app
from fink_broker.cli.options import HELP, Conf
from fink_broker.cli.reject_app import reject_app
from fink_broker.cli.science_app import science_app
from fink_broker.cli.transfer_command import transfer
from fink_broker.cli.user_app import user_app

#: ``fink start`` hands everything after the name of the service to that service's own parser
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}

app = typer.Typer(add_completion=False, context_settings=HELP, pretty_exceptions_enable=False)
config_app = typer.Typer(context_settings=HELP)
app.add_typer(config_app, name="config", help="Look at the configuration.")
app.add_typer(science_app, name="science", help="List the science modules, run them on a file, explain an alert.")
app.add_typer(reject_app, name="reject", help="Look at packets that could not be used, and send them again.")
app.add_typer(filter_app, name="filter", help="List the topics, try a rule before it becomes one, explain an alert.")
app.add_typer(user_app, name="user", help="Who may read which topics with a password.")
app.add_typer(archive_app, name="archive", help="Prove that the tables of a night agree; load tables of names.")
app.add_typer(api_app, name="api", help="Make keys for the REST API.")

for command in (transfer, merge, reprocess, clean):
    app.command()(command)


def _help_alone(context: typer.Context) -> None:
    """Print the help of a group of commands where none of them is named, as `fink` alone does."""
    if context.invoked_subcommand is None:
        print(context.get_help())


for group in (config_app, science_app, filter_app, reject_app, user_app, archive_app, api_app):
    group.callback(invoke_without_command=True)(_help_alone)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def fink(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Handle Kafka stream received by Apache Spark."""


@app.command()
def init(conf: Conf = None) -> int:
    """Create the data folders and fetch the Java parts; may be repeated."""
    from fink_broker.cli.init import init as run  # noqa: PLC0415

    return run(conf)


@app.command(context_settings=PASS_ON)
def start(context: typer.Context) -> int:
    """Run a service in the foreground, or in the background with --detach."""
    from fink_broker.cli.start import start as run  # noqa: PLC0415

    return run(context.args)


@app.command()
def stop(service: Annotated[str, typer.Argument(help="Name of a service, or all.")] = "all", conf: Conf = None) -> int:
    """Let a service (or all) finish what it has begun, and end it."""
    from fink_broker.cli.stop import stop as run  # noqa: PLC0415

    return run(service, conf)


@app.command()
def show(conf: Conf = None) -> int:
    """List the running services, and those that died."""
    from fink_broker.cli.show import show as run  # noqa: PLC0415

    return run(conf)


@app.command()
def logs(
    service: Annotated[str, typer.Argument(help="Name of a service.")],
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on printing what is added.")] = False,
    lines: Annotated[int, typer.Option("-n", "--lines", min=0, help="How many last lines.")] = 50,
    conf: Conf = None,
) -> int:
    """Print the log of a service."""
    from fink_broker.cli.show import print_log  # noqa: PLC0415

    return print_log(service, conf, lines, follow=follow)


@app.command()
def demo(
    source: Annotated[
        str, typer.Option(help="Folder or file of alerts, or synthetic; real alerts if there are any.")
    ] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many alerts.")] = 1000,
    rate: Annotated[float, typer.Option(min=0, help="Alerts per second; 0: as fast as it goes.")] = 20.0,
    *,
    open_pages: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the portal and the dashboard in a browser at the end.")
    ] = True,
    with_tom: Annotated[
        bool, typer.Option("--with-tom", help="Also run a TOM; at first use its environment (0.7 GB) is built.")
    ] = False,
    conf: Conf = None,
) -> int:
    """Run a night from Kafka to Kafka, and onto the portal and the dashboard, on this machine."""
    from fink_broker.cli.demo import demo as run  # noqa: PLC0415

    return run(source, limit, rate, conf, opens_pages=open_pages, with_tom=with_tom)


@config_app.command("show")
def config_show(
    conf: Conf = None,
    simulator: Annotated[bool, typer.Option("--simulator", help="As with fink start --simulator.")] = False,
) -> int:
    """Print the configuration in force and where each value comes from."""
    from rich.console import Console  # noqa: PLC0415

    from fink_broker.cli.configuration import load  # noqa: PLC0415
    from fink_broker.config.show import show as run  # noqa: PLC0415

    run(load(conf, simulator=simulator, quiet=True), Console())
    return 0
