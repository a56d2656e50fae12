"""The Typer app, and the one place that turns errors into messages and exit codes."""

from __future__ import annotations

import gc
import io
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from emoclass._version import __version__
from emoclass.cli import cache, env, inspect_data, models, predict, split, train
from emoclass.cli import eval as eval_command
from emoclass.cli._commands import App
from emoclass.cli._shared import verbosity
from emoclass.cli._signals import INTERRUPTED, Terminal, end_at_signals, silence
from emoclass.errors import ConfigError, EmoclassError, StoppedError
from emoclass.files import NamedFile
from emoclass.runtime import TORCH_LOADER

EXIT_ERROR, EXIT_USAGE = 1, 2
_STDOUT = "standard output"
_EXIT_CODES = {ConfigError: EXIT_USAGE, StoppedError: INTERRUPTED}


class _ErrorHandlingGroup(TyperGroup):
    """Runs a command; an error that a user can correct becomes one line on standard error."""

    def make_context(self, *args: Any, **settings: Any) -> Any:
        with _reported_errors():  # --help and --version print from here
            return super().make_context(*args, **settings)

    def invoke(self, ctx: Any) -> Any:
        with _reported_errors(ctx):
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result


@contextmanager
def _reported_errors(ctx: Any = None) -> Iterator[None]:
    try:
        yield
    except EmoclassError as error:
        _fail(str(error), error, _EXIT_CODES.get(type(error), EXIT_ERROR))
    except KeyboardInterrupt as interrupt:
        if str(interrupt):
            _write_line("interrupted", str(interrupt))
        raise typer.Exit(INTERRUPTED) from None
    except OSError as error:
        if error.filename == _STDOUT:  # the rest must not be written at exit either
            silence(sys.stdout)
        if isinstance(error, BrokenPipeError) and error.filename:  # the reader of an output has seen enough
            raise typer.Exit(0) from None
        problem = error.strerror or str(error) or type(error).__name__
        if error.filename:
            _fail(f"{error.filename}: {problem}", error, EXIT_ERROR)
        command = ctx.invoked_subcommand if ctx else "emoclass"
        _fail(f"{command}: {problem}; set EMOCLASS_DEBUG=1 to see where", error, EXIT_ERROR)


def _fail(message: str, error: Exception, code: int) -> NoReturn:
    if os.environ.get("EMOCLASS_DEBUG") == "1" or verbosity() > 0:
        raise error
    _write_line("error", message)
    raise typer.Exit(code) from None


def _write_line(kind: str, message: str) -> None:
    from emoclass.cli._console import clean_text

    sys.stderr.write(f"{kind}: {clean_text(message)}\n")


app = App(
    name="emoclass",
    cls=_ErrorHandlingGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(requested: bool) -> None:
    if requested:
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
app.command("env")(env.env)


def _name_errors_of_stdout() -> None:
    """Have errors of writing to standard output name it, so that they are distinguished from all others."""
    buffer = getattr(sys.stdout, "buffer", None)
    raw = getattr(buffer, "raw", buffer)  # with python -u the buffer is the raw file
    if sys.stdout is not sys.__stdout__ or type(raw) is not io.FileIO:  # a caller's stream, or a Windows console
        return
    named = io.BufferedWriter(NamedFile(raw.fileno(), "wb", _STDOUT))
    sys.stdout = io.TextIOWrapper(named, "utf-8", "replace", line_buffering=raw.isatty())


def main() -> None:
    """Run the ``emoclass`` command."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the parent process
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        # Data is UTF-8 whatever the locale says; what cannot be encoded must not end a long run.
        with suppress(AttributeError, ValueError):
            stream.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    _name_errors_of_stdout()
    if sys.stderr.isatty():
        terminal = io.BufferedWriter(Terminal(sys.stderr.fileno()))
        sys.stderr = io.TextIOWrapper(terminal, "utf-8", "replace", line_buffering=True)
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "0" if sys.stderr.isatty() else "1")
    end_at_signals()
    # Objects from torch's import live until the end. Looking for garbage among them takes a quarter of a second.
    gc.set_threshold(50_000)
    try:
        app()
    except SystemExit as end:
        if any(thread.name == TORCH_LOADER for thread in threading.enumerate()):
            # All is predicted, and Python would wait for the import that is under way.
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(end.code if isinstance(end.code, int) else 0)
        raise
    finally:
        gc.freeze()
