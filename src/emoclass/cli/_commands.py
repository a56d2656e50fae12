"""A Typer app whose commands reject an option that is given twice, and show their options in panels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand

from emoclass.cli._panels import epilog_of, panel_of
from emoclass.cli._shared import with_shared_options
from emoclass.errors import ConfigError


class Command(TyperCommand):
    """A command; of an option with one value the last would otherwise win silently."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        # Typer breaks the lines of a help text where the source does.
        self.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in (self.help or "").split("\n\n"))
        for parameter in self.params:
            if parameter.param_type_name == "option":
                parameter.rich_help_panel = panel_of(str(parameter.name))  # type: ignore[attr-defined]
                if getattr(parameter, "is_flag", False):
                    parameter.metavar = " "  # no type: it takes no value

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments.

        Raises:
            ConfigError: An option with one value, or a flag and its opposite, is given twice; or what may be a text
                would be taken for an option.
        """
        if not ctx.resilient_parsing:
            self._reject_texts(ctx, args)
        # Completion asks for a line that is not finished.
        order = [] if ctx.resilient_parsing else self.make_parser(ctx).parse_args(list(args))[2]
        for parameter, times in Counter(order).items():
            if times > 1 and _takes_one(parameter, args):
                raise ConfigError(_message(parameter, times))
        return super().parse_args(ctx, args)

    def _reject_texts(self, ctx: Any, args: list[str]) -> None:
        """Reject what begins with a dash and may be a text: "-oh no" must not replace a file called "h no"."""
        options = {name: each for each in self.get_params(ctx) for name in each.opts if name.startswith("-")}
        is_value = False
        for word in args:
            own = options.get(word if word.startswith("--") else word[:2])
            if is_value or not word.startswith("-") or word == "-":
                is_value = False
            elif word == "--":
                return
            elif word.startswith("--") or len(word) == 2:
                is_value = own is not None and not getattr(own, "is_flag", False) and "=" not in word
            elif word[1] == "o" and own is not None:
                raise ConfigError(f"{word!r}: put a space after -o; if it is a text, put -- before it")
            elif own is None or any(c.isspace() for c in word) or not _may_be_joined(word, own, options):
                raise ConfigError(f"{word!r} begins with a dash and is no option; if it is a text, put -- before it")


class App(typer.Typer):
    """A Typer app of such commands."""

    def command(self, name: str | None = None, **settings: Any) -> Callable[[Any], Any]:
        """Return a decorator that adds a command, with the options of every command."""
        register = super().command(name, **{"cls": Command, "epilog": epilog_of(name), **settings})

        def add(function: Any) -> Any:
            # Typer takes the name of a command from that of its function.
            register(with_shared_options(function))
            return function

        return add


def _may_be_joined(word: str, own: Any, options: dict[str, Any]) -> bool:
    """Return whether a word may be an option with its value, or several flags."""
    if not getattr(own, "is_flag", False):
        return True
    return all(getattr(options.get(f"-{letter}"), "is_flag", False) and letter != "h" for letter in word[1:])


def _takes_one(parameter: Any, args: list[str]) -> bool:
    if parameter.param_type_name != "option" or parameter.multiple:
        return False
    if parameter.is_flag:  # harmless, unless it is switched both on and off
        return not {*args}.isdisjoint(parameter.opts) and not {*args}.isdisjoint(parameter.secondary_opts)
    return True


def _message(parameter: Any, times: int) -> str:
    names = "/".join([max(parameter.opts, key=len), *parameter.secondary_opts])
    return f"{names} is given {'twice' if times == 2 else f'{times} times'}, but it has one value: give it once"
