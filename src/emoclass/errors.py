"""Errors that a user can fix.

Every message is one line: what is wrong, where, and what to do about it. The command line prints it and exits with
status 1, 2 (``ConfigError``) or 130 (``StoppedError``); library users catch ``EmoclassError``.
"""


class EmoclassError(Exception):
    """Base class of all errors that emoclass raises on purpose."""


class ConfigError(EmoclassError):
    """A setting is out of range, or contradicts another one."""


class StoppedError(EmoclassError):
    """A run was stopped before there was anything to save."""


class SecondaryProcessError(EmoclassError):
    """Another process of the same training has the result."""


class LossError(EmoclassError):
    """The training loss is not finite."""


class DataError(EmoclassError):
    """A table cannot be read, or lacks required data."""


class ModelError(EmoclassError):
    """A base model or a trained model is missing, unsupported or damaged."""


class NameTakenError(ModelError):
    """A trained model of that name already exists."""


class BusyError(EmoclassError):
    """Another process holds the lock.

    Args:
        message: What the user reads.
        holder: Which one, and what to do if it is gone, where that has to be done by hand.
    """

    def __init__(self, message: str, holder: str | None = None) -> None:
        super().__init__(message)
        self.holder = holder


class DeviceError(EmoclassError):
    """The requested device or precision is not available, or its memory is exhausted."""


def raise_error(error: EmoclassError) -> None:
    """Raise the error: the default of readers that can report errors to a callback instead."""
    raise error


def one_line(text: object) -> str:
    """Return text of another library's error with its line breaks removed, to quote it in a one-line message."""
    return " ".join(str(text).split())
