"""``fink user``: who may read which topics with a password."""

from __future__ import annotations

from typing import Annotated

import typer

from fink_broker.cli.options import HELP, Conf

user_app = typer.Typer(context_settings=HELP)

Name = Annotated[str, typer.Argument(help="Name the user logs in with.")]


@user_app.command("add")
def user_add(
    name: Name,
    topics: Annotated[
        list[str] | None,
        typer.Option(
            "-t",
            "--topics",
            help="Topics that begin like this may be read; may be repeated. Default: all of distribution.prefix.",
        ),
    ] = None,
    generate: Annotated[bool, typer.Option("--generate", help="Make up a password and show it once.")] = False,
    keep: Annotated[bool, typer.Option("--keep-password", help="Only change what a known user may read.")] = False,
    conf: Conf = None,
) -> int:
    """Let a user read topics with a password; once more changes his password and topics to those now given.

    The password is asked for, or taken from FINK_USER_PASSWORD in the environment.

    Example: fink user add astro --topics fink_sn --topics fink_kn
    """
    from fink_broker.cli.user import add  # noqa: PLC0415

    return add(name, topics or [], conf, generate=generate, keep=keep)


@user_app.command("remove")
def user_remove(name: Name, conf: Conf = None) -> int:
    """Take password and rights from a user, at once."""
    from fink_broker.cli.user import remove  # noqa: PLC0415

    return remove(name, conf)


@user_app.command("list")
def user_list(conf: Conf = None) -> int:
    """List the users and the topics they may read; passwords are nowhere kept."""
    from fink_broker.cli.user import show_list  # noqa: PLC0415

    return show_list(conf)
