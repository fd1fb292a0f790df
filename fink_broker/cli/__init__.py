"""The ``fink`` command: what the user types, and one clear sentence where it cannot be done."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import typer

from fink_broker.cli.app import app
from fink_broker.cli.text import USAGE
from fink_broker.errors import FinkError, ServiceError, UsageError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the ``fink`` command.

    Parameters
    ----------
    argv : sequence of str, optional
        Its arguments; those of the process if not given.

    Returns
    -------
    int
        Exit code: 0, or that of the error (see `fink_broker.errors`).
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments in (["-h"], ["--help"], ["help"]):
        print(USAGE)
        return 0
    try:
        code = app(args=arguments, prog_name="fink", standalone_mode=False)
    except FinkError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except typer.TyperException as error:
        print(f"{error.format_message().rstrip('.')}. Try `fink --help`.", file=sys.stderr)
        return UsageError.exit_code
    except OSError as error:
        print(f"The system refuses: {error}. Is there room, and is it allowed there?", file=sys.stderr)
        return ServiceError.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return 130
    return code if isinstance(code, int) else 0
