"""The help of the commands: panels, examples and what the shell completes."""

import inspect
import json
from collections.abc import Callable, Iterator
from typing import Any, get_args, get_type_hints

import pytest
import typer
from typer.main import get_command

from emoclass.cli import app
from emoclass.cli._panels import EXAMPLES
from emoclass.runtime import models_dir

Run = Callable[..., Any]
COMMANDS = get_command(app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_option_but_help_is_in_a_panel(name: str) -> None:
    options = [each for each in COMMANDS[name].params if each.param_type_name == "option" and each.name != "help"]
    assert [each.name for each in options if not each.rich_help_panel] == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_help_ends_with_examples_in_whole_lines(cli: Run, name: str) -> None:
    shown = cli(name, "--help").stdout
    assert "Examples:" in shown
    assert f"$ {EXAMPLES[name][0]}" in shown


def declared(commands: typer.Typer) -> Iterator[tuple[str, Any]]:
    """Yield the name of each parameter that is an option, and how it is declared."""
    for command in commands.registered_commands:
        assert command.callback is not None
        hints = get_type_hints(command.callback, include_extras=True)
        for name in inspect.signature(command.callback).parameters:
            yield from ((name, each) for each in get_args(hints[name]) if isinstance(each, typer.models.OptionInfo))
    for group in commands.registered_groups:
        assert group.typer_instance is not None
        yield from declared(group.typer_instance)


def test_no_option_is_named_by_its_placeholder() -> None:
    """Some versions of Typer write an option as its placeholder, ``--DEVICE``, if it is the same word."""
    options = list(declared(app))
    assert len(options) > 50
    same = [(name, each) for name, each in options if (each.metavar or "").lower() == name.replace("_", "-")]
    assert "device" in dict(same)
    # Typer takes the first positional argument, a name, for the default value until it reads the annotation.
    assert [name for name, each in same if not str(each.default).startswith("--")] == []


def completions(command: str, option: str, typed: str) -> list[str]:
    from typer.core import TyperCommand

    assert isinstance(COMMANDS[command], TyperCommand)
    (parameter,) = [each for each in COMMANDS[command].params if option in each.opts]
    return [item.value for item in parameter.shell_complete(None, typed)]


def test_values_and_names_of_models_are_completed() -> None:
    (models_dir() / "tweets").mkdir(parents=True)
    (models_dir() / ".locks").mkdir()
    assert completions("train", "--recipe", "f") == ["fast"]
    assert completions("split", "--quoting", "") == ["double", "backslash", "single", "none"]
    assert completions("predict", "--model", "") == ["starter", "tweets"]


def test_models_and_cache_alone_list(cli: Run) -> None:
    for command, words in (("models", "no trained model"), ("cache", "no activation files")):
        result = cli(command)
        assert result.exit_code == 0
        assert words in result.stderr


def test_the_environment_is_shown_for_bug_reports(cli: Run) -> None:
    found = json.loads(cli("env", "--json").stdout)
    assert {"emoclass", "python", "device", "precision", "packages", "extras", "models", "cache"} <= found.keys()
    assert found["packages"]["torch"]
    assert found["models"] == str(models_dir())
    assert str(found["python"]) in cli("env").stdout
