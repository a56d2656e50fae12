"""Names of repositories on the hub: ``USER/REPO`` and ``USER/REPO@REVISION``."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from emoclass.errors import ModelError

_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?"
_NAME = re.compile(rf"({_PART}/{_PART})(?:@([^\s@]+))?")
# The hub keeps these for itself.
_RESERVED = re.compile(r"--|\.\.|\.git$|\.ipynb$")
_LONGEST = 96
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class HubName:
    """A repository on the hub, and which of its revisions is meant.

    Attributes:
        repo: ``USER/REPO``.
        revision: A branch, a tag or a commit; ``None`` for the newest commit.
    """

    repo: str
    revision: str | None = None

    def __str__(self) -> str:
        return self.repo if self.revision is None else f"{self.repo}@{self.revision}"

    @property
    def is_pinned(self) -> bool:
        """Whether the revision is a whole commit hash, which always means the same files."""
        return self.revision is not None and _COMMIT.fullmatch(self.revision) is not None

    def at(self, commit: str) -> HubName:
        """Return the same repository at a commit."""
        return replace(self, revision=commit)


def parse_name(name: str | Path) -> HubName | None:
    """Return the repository that a name means, or ``None`` if it cannot be one."""
    match = _NAME.fullmatch(str(name))
    if match is None or len(match[1]) > _LONGEST or _RESERVED.search(match[1]):
        return None
    return HubName(match[1], match[2])


def check_repository(name: str) -> HubName:
    """Return the repository that a name without a revision means.

    Raises:
        ModelError: It cannot be the name of a repository.
    """
    parsed = parse_name(name)
    if parsed is None or parsed.revision is not None:
        raise ModelError(
            f"{name!r} cannot be a repository on the hub: write USER/REPO with letters, digits, '.', '_' and '-', "
            f"at most {_LONGEST} characters"
        )
    return parsed
