"""Options of every command: --quiet, --verbose, and --config for those that have many."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from emoclass.errors import ConfigError
from emoclass.runtime import expanded

Options = dict[str, tuple[Any, object]]
_KIND = inspect.Parameter.KEYWORD_ONLY
_level = 0


def verbosity() -> int:
    """Return whether to print less (-1), as usual (0) or more (1) than usual to standard error."""
    return _level


def with_options(
    command: Callable[..., Any], options: Options, run: Callable[..., Any], *, place: str | None = None
) -> Callable[..., Any]:
    """Return a command with further options, from which Typer reads its signature.

    Args:
        command: The command.
        options: Annotation and default of each option, by the name of its parameter.
        run: Called with all values in place of the command.
        place: The command's parameter that the options replace; without it they come last.
    """
    hints = get_type_hints(command, localns={"DataOptions": object}, include_extras=True)
    parameters = {
        each.name: each.replace(annotation=hints[each.name], kind=_KIND)
        for each in inspect.signature(command).parameters.values()
    }
    added = [inspect.Parameter(name, _KIND, default=value, annotation=kind) for name, (kind, value) in options.items()]
    shown = [each for name, own in parameters.items() for each in (added if name == place else [own])]
    shown += [] if place else added

    def with_more(**values: Any) -> Any:
        return run(**values)

    with_more.__name__, with_more.__doc__ = command.__name__, command.__doc__
    with_more.__annotations__ = {each.name: each.annotation for each in shown}
    with_more.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    return with_more


def with_shared_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Return a command that also takes --quiet and --verbose, and --config if it reads tables."""

    def run(*, quiet: bool, verbose: bool, config_file: str | None = None, **values: Any) -> Any:
        global _level
        _level = int(verbose) - int(quiet)
        return command(**values)

    shared: Options = {"quiet": (_Quiet, False), "verbose": (_Verbose, False)}
    if "delimiter" in inspect.signature(command).parameters:
        shared["config_file"] = (_ConfigFile, None)
    return with_options(command, shared, run)


def _read_config(ctx: typer.Context, value: str | None) -> str | None:
    """Take the options in a TOML file as defaults: those at its top, and those in the table named by the command."""
    if value is None or ctx.resilient_parsing:
        return value
    path = expanded(value)
    document = _toml(path)
    options: dict[str, Any] = {name.lstrip("-"): each for each in ctx.command.params for name in each.opts}
    own = document.get(str(ctx.info_name))
    entries = {key: entry for key, entry in document.items() if not isinstance(entry, dict)}
    entries |= own if isinstance(own, dict) else {}
    ctx.default_map = {**(ctx.default_map or {})}
    for key, entry in entries.items():
        name = key.replace("_", "-")
        if name not in options:
            close = get_close_matches(name, list(options), n=1)
            hint = f"did you mean {close[0]}?" if close else f"emoclass {ctx.info_name} --help lists them"
            raise ConfigError(f"{path}: {key!r} is no option of {ctx.info_name}: {hint}")
        each = options[name]
        if each.multiple and not isinstance(entry, list):
            entry = [entry]
        ctx.default_map[each.name] = entry
    return value


def _toml(path: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib  # type: ignore[import-not-found,unused-ignore]
    try:
        document: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"--config {path}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"--config {path}: is not TOML: {error}") from None
    return document


_Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only results, warnings and errors.")]
_Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Print times with notes, and tracebacks.")]
_ConfigFile = Annotated[
    str | None,
    typer.Option("--config", metavar="FILE.toml", help="Options in a file.", is_eager=True, callback=_read_config),
]
