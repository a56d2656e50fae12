"""The Typer app, and the one place that turns errors into messages and exit codes."""

from __future__ import annotations

import gc
import os
import signal
import sys
from contextlib import suppress
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from emoclass._version import __version__
from emoclass.cli import cache, inspect_data, models, predict, split, train
from emoclass.cli import eval as eval_command
from emoclass.errors import ConfigError, EmoclassError, StoppedError

EXIT_ERROR, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130
_EXIT_CODES = {ConfigError: EXIT_USAGE, StoppedError: EXIT_INTERRUPTED}


class _ErrorHandlingGroup(TyperGroup):
    """Runs a command; what a user can mend becomes one line on standard error."""

    def invoke(self, ctx: Any) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except EmoclassError as error:
            _fail(str(error), error, _EXIT_CODES.get(type(error), EXIT_ERROR))
        except BrokenPipeError:
            # The reader has seen enough. Nothing may be written at exit either.
            from emoclass.cli._console import silence

            silence(sys.stdout)
            raise typer.Exit(0) from None
        except KeyboardInterrupt:
            raise typer.Exit(EXIT_INTERRUPTED) from None
        except OSError as error:
            _fail(f"{error.filename or 'standard output'}: {error.strerror or error}", error, EXIT_ERROR)


def _fail(message: str, error: Exception, code: int) -> None:
    if os.environ.get("EMOCLASS_DEBUG") == "1":
        raise error
    from emoclass.cli._console import clean_text

    sys.stderr.write(f"error: {clean_text(message)}\n")
    raise typer.Exit(code) from None


app = typer.Typer(
    name="emoclass",
    cls=_ErrorHandlingGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"emoclass {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Turn a table of labelled sentences into a fast, honest emotion classifier."""


app.command("inspect-data")(inspect_data.inspect_data)
app.command("split")(split.split)
app.command("train")(train.train)
app.command("eval")(eval_command.evaluate)
app.command("predict")(predict.predict)
app.add_typer(models.app, name="models")
app.add_typer(cache.app, name="cache")


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """The ``emoclass`` command."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started this
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        # Data is UTF-8 whatever the locale says; what cannot be encoded must not end a long run.
        with suppress(AttributeError, ValueError):
            stream.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    if not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:  # ends like Ctrl-C, and cleans up like it
        signal.signal(signal.SIGTERM, _interrupt)
    # What torch's import makes stays until the end. Looking for garbage in it takes a quarter of a second.
    gc.set_threshold(50_000)
    try:
        app()
    finally:
        gc.freeze()
