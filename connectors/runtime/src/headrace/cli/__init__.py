"""The ``headrace`` command: what runs in a consumer pod, and how people look at dead letters and put them back.

stdout is data, stderr is everything else; the exit codes are those of ``headrace.cli.failure.Exit``.
"""

from __future__ import annotations

import os
import signal
import sys
from importlib import metadata
from typing import Annotated

import typer
from typer.exceptions import TyperException

from headrace import config as contract
from headrace.cli.failure import Exit, Failure, usage

_app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    help="Handle captured changes, and look after what could not be handled.",
)


@_app.command()
def run(
    path: Annotated[str, typer.Option("--config", help="The consumer's configuration.")] = "",
) -> None:
    """Handle records: what the pods of a Consumer run."""
    from headrace.worker import init

    init.step_aside()
    from headrace.worker import run as runtime

    raise typer.Exit(runtime.main(path or os.environ.get("HEADRACE_CONFIG", contract.PATH)))


@_app.command()
def relay(
    path: Annotated[str, typer.Option("--config", help="The relay's configuration.")] = "",
) -> None:
    """Publish the rows of an outbox table to Kafka, by polling it."""
    from headrace.worker import init

    init.step_aside()
    from headrace.outbox import PATH
    from headrace.relay import run as runtime

    raise typer.Exit(runtime.main(path or os.environ.get("HEADRACE_CONFIG", PATH)))


@_app.command()
def version() -> None:
    """Print the version of this command."""
    sys.stdout.write(f"headrace {metadata.version('headrace')}\n")


def app() -> None:
    """Run the command line and end the process with its exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a cancelled job, too, must remove its pod
    sys.exit(main(sys.argv[1:]))


def main(arguments: list[str]) -> int:
    """Run the command line with ``arguments`` and return the exit code; each kind of failure has its own."""
    _register(arguments)
    try:
        code = typer.main.get_command(_app).main(arguments, prog_name="headrace", standalone_mode=False)
    except Failure as failure:
        _tell(failure)
        return failure.exit_code
    except TyperException as error:
        if error.format_message():  # without a command its help was shown
            _tell(usage(error.format_message(), "See headrace --help, and COMMAND --help."))
        return Exit.USAGE
    except (KeyboardInterrupt, typer.Abort):
        _tell(Failure(Exit.INTERRUPTED, "interrupted"))
        return Exit.INTERRUPTED
    return code if isinstance(code, int) else Exit.WELL


def _register(arguments: list[str]) -> None:
    """Add the commands that talk to Kubernetes only where they may be meant: a consumer pod must not load that."""
    if arguments[:1] in (["run"], ["relay"]):
        return
    if arguments[:1] == ["internal"]:
        from headrace.cli.pod import internal

        _app.add_typer(internal.app, name="internal")
        return
    from headrace.cli.laptop import connector, dlq, inbox, outbox, pausing, redriving, status

    _app.add_typer(connector.app, name="connector")
    _app.add_typer(dlq.app, name="dlq")
    _app.add_typer(inbox.app, name="inbox")
    _app.add_typer(outbox.app, name="outbox")
    _app.command("redrive")(redriving.redrive)
    _app.command("status")(status.status)
    _app.command("pause")(pausing.pause)
    _app.command("resume")(pausing.resume)


def _tell(failure: Failure) -> None:
    from headrace.cli.laptop import output

    output.say_error(failure.what, failure.remedy)
