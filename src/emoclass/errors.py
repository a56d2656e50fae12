"""Errors that a user can do something about.

Every message is one line: what is wrong, where, and what to do next. The command line prints it and exits 1;
library users catch ``EmoclassError``.
"""


class EmoclassError(Exception):
    """Base of all errors that emoclass raises on purpose."""


class ConfigError(EmoclassError):
    """A setting is out of its range or contradicts another one."""


class StoppedError(EmoclassError):
    """A training was stopped before there was anything to save."""


class SecondaryProcessError(EmoclassError):
    """Another process of the same training has the result."""


class LossError(EmoclassError):
    """The loss of a training is no longer a finite number."""


class DataError(EmoclassError):
    """A table cannot be read, or does not hold what is needed."""


class ModelError(EmoclassError):
    """A base model or a trained model is missing, unsupported or damaged."""


class NameTakenError(ModelError):
    """There is a trained model of that name already."""


class BusyError(EmoclassError):
    """Another process is at the same thing."""


class DeviceError(EmoclassError):
    """The device or precision asked for does not exist here."""


def raise_error(error: EmoclassError) -> None:
    """What readers do with an error where nobody else takes it."""
    raise error


def one_line(text: object) -> str:
    """The text of an error from elsewhere as a part of a message of one line."""
    return " ".join(str(text).split())
