"""What the hub's client raises, in one line that says what to do; for all releases of the client.

These releases stand on three HTTP libraries, whose errors are recognized by the names of their classes.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from emoclass.errors import EmoclassError, ModelError, one_line

_SIGN_IN = "sign in with: hf auth login (or set HF_TOKEN)"
_ENOUGH = 200  # characters of what a server says
_NETWORK = {"TransportError", "RequestException", "ConnectionError", "TimeoutError"}
_CUT = {"RemoteProtocolError", "ReadError", "WriteError", "ChunkedEncodingError", "ProtocolError"}
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_KINDS = {
    "GatedRepoError": "access to it has to be asked for on its page, and then needs a token: " + _SIGN_IN,
    "DisabledRepoError": "the hub has disabled it",
    "RevisionNotFoundError": "the hub has no such revision of it: check what follows the @; commits need all 40 digits",
    "RepositoryNotFoundError": (
        "the hub has no such model, or it is private: check the name, and for a private one " + _SIGN_IN
    ),
    "OfflineModeIsEnabled": "HF_HUB_OFFLINE is set, so that only the hub's cache is used",
    "ModuleNotFoundError": "the hub's client is not installed: pip install huggingface-hub",
    "UnicodeEncodeError": "the token holds characters that no token has: check HF_TOKEN, or " + _SIGN_IN,
    "HFValidationError": "it cannot be a model on the hub, whose names are USER/REPO",
}
_STATUS = {
    401: "the hub does not accept the token, or needs one: " + _SIGN_IN,
    403: "the token does not allow this: make one that does at https://huggingface.co/settings/tokens, and " + _SIGN_IN,
    409: "the repository has been changed meanwhile: run the same command again",
    412: "the repository has been changed meanwhile: run the same command again",
}


@contextmanager
def hub_errors(say: Callable[[str], str]) -> Iterator[None]:
    """Turn what the hub's client raises into a ``ModelError``.

    Args:
        say: Makes the message from a clause that says what is wrong and what to do.
    """
    try:
        yield
    except EmoclassError:
        raise
    except Exception as error:  # the client raises its HTTP library's errors as well as its own
        raise ModelError(say(explain(error))) from None


def explain(error: BaseException) -> str:
    """Return what is wrong and what to do, as a clause without a token or a line break."""
    for each in _chain(error):
        for clause in (_of_response(each), _of_kind(each), _of_network(each), _of_disk(each)):
            if clause is not None:
                return clause
    return _redacted(str(error)) or type(error).__name__


def is_missing_entry(error: BaseException) -> bool:
    """Return whether the repository is there, and the file is not in it."""
    return "EntryNotFoundError" in _names(error) and "LocalEntryNotFoundError" not in _names(error)


def is_missing_repository(error: BaseException) -> bool:
    """Return whether the hub has no such repository for this user."""
    return "RepositoryNotFoundError" in _names(error) and "GatedRepoError" not in _names(error)


def is_passing(error: BaseException) -> bool:
    """Return whether what was asked for may be there all the same: no network, or a hub that is overloaded."""
    status = _status(error)
    if status is not None:
        return status == 429 or status >= 500
    return bool(_names(error) & (_NETWORK | {"OfflineModeIsEnabled"}))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes, but for what the cache does not have if the hub's answer is known."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        if "LocalEntryNotFoundError" not in _names(current) or current.__cause__ is None:
            yield current
        current = current.__cause__


def _names(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


def _status(error: BaseException) -> int | None:
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def _of_kind(error: BaseException) -> str | None:
    names = _names(error)
    return next((clause for kind, clause in _KINDS.items() if kind in names), None)


def _of_response(error: BaseException) -> str | None:
    status = _status(error)
    if status is None:
        return None
    if (kind := _of_kind(error)) is not None:
        return kind
    if status == 429:
        return f"the hub has had too many requests (429): try again {_waiting(error)}"
    if status >= 500:
        return f"the hub has a problem ({status}): try again later"
    said = _redacted(getattr(error, "server_message", None) or "")
    return f"{_STATUS.get(status, f'the hub refuses this ({status})')}{f' ({said})' if said else ''}"


def _waiting(error: Any) -> str:
    seconds = str(error.response.headers.get("Retry-After") or "").strip()
    return f"in {seconds} seconds" if seconds.isdecimal() else "later"


def _of_network(error: BaseException) -> str | None:
    names = _names(error)
    if names & _CUT or "Consistency check failed" in str(error):
        return "the connection to the hub was cut: run the same command again"
    if names & _NETWORK:
        return f"the hub cannot be reached ({_redacted(str(error)) or type(error).__name__}): check the connection"
    return None


def _of_disk(error: BaseException) -> str | None:
    if not isinstance(error, OSError) or error.errno is None:
        return None
    place = error.filename or "the hub's cache"
    advice = "free some space" if error.errno in _FULL else "check its permissions"
    return f"{place} cannot be written ({error.strerror}): {advice}, or set HF_HOME to another directory"


def _redacted(text: str) -> str:
    """Return a line of a message, without the user's token should a server have repeated it."""
    from huggingface_hub import get_token

    token = get_token()
    line = one_line(text)
    return (line.replace(token, "***") if token else line)[:_ENOUGH]
