"""The few calls of the hub's client that emoclass makes; its import is left to them, and errors to their callers."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emoclass.hub.errors import is_missing_repository
from emoclass.hub.names import HubName

# The client's own variable. The command line sets it to 0 where standard error is a terminal.
_HIDES_BARS = "HF_HUB_DISABLE_PROGRESS_BARS"
# For an answer, before a copy in the cache is used.
_CONNECT_SECONDS = 4.0


@dataclass(frozen=True)
class Listing:
    """What a repository holds.

    Attributes:
        commit: Its newest commit.
        is_private: Whether only its owners see it.
        files: The git or LFS hash of each file by its path.
    """

    commit: str
    is_private: bool
    files: Mapping[str, str]


@contextmanager
def _own_output() -> Iterator[None]:
    """Let the client show bars only on the terminal of the command line, and say nothing beside its errors."""
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    hides = os.environ.get(_HIDES_BARS) != "0" and not are_progress_bars_disabled()
    if hides:
        disable_progress_bars()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        if hides:
            enable_progress_bars()


def has_token() -> bool:
    """Return whether the user has signed in."""
    from huggingface_hub import get_token

    return get_token() is not None


def snapshot(name: HubName, patterns: Sequence[str], *, only_cache: bool) -> Path:
    """Return the directory of a revision's files that match these patterns, downloaded where they are not cached."""
    from huggingface_hub import snapshot_download

    with _own_output():
        directory = snapshot_download(
            name.repo,
            revision=name.revision,
            allow_patterns=list(patterns),
            local_files_only=only_cache,
            etag_timeout=_CONNECT_SECONDS,
        )
    return Path(str(directory))


def newest_commit(name: HubName, file: str) -> str:
    """Ask the hub which commit a revision is now; the file must be in it."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    url = hf_hub_url(name.repo, file, revision=name.revision)
    commit = get_hf_file_metadata(url, timeout=_CONNECT_SECONDS).commit_hash
    if commit is None:
        raise OSError(f"{url} is not answered by a hub: check HF_ENDPOINT and the proxy")
    return commit


def cached_commit(name: HubName, file: str) -> str | None:
    """Return the commit that a revision is in the cache, if the file is there, too; the hub is not asked."""
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(name.repo, file, revision=name.revision)
    return Path(path).parent.name if isinstance(path, str) else None


def download(name: HubName, file: str, *, only_cache: bool = False, again: bool = False) -> Path:
    """Return the path of a file in the cache, downloaded if it is not there.

    Args:
        name: A repository at a commit.
        file: Path in the repository.
        only_cache: Whether not to ask the hub.
        again: Whether to download it in any case.
    """
    from huggingface_hub import hf_hub_download

    with _own_output():
        path = hf_hub_download(
            name.repo,
            file,
            revision=name.revision,
            local_files_only=only_cache,
            force_download=again,
            etag_timeout=_CONNECT_SECONDS,
        )
    return Path(str(path))


def listing(repo: str) -> Listing | None:
    """Return what a repository holds, or ``None`` if there is none for this user."""
    try:
        info = _api().model_info(repo, files_metadata=True)
    except Exception as error:
        if is_missing_repository(error):
            return None
        raise
    files = {each.rfilename: str(each.lfs.sha256 if each.lfs else each.blob_id) for each in info.siblings or ()}
    return Listing(str(info.sha), bool(info.private), files)


def create(repo: str, *, private: bool) -> None:
    """Make a new repository, private or as its owner's are by default."""
    _api().create_repo(repo, private=private or None, exist_ok=True)


def commit(repo: str, files: Mapping[str, Path], removed: Iterable[str], *, parent: str, message: str) -> str:
    """Upload and remove files in one commit on top of another one; return its hash."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    added = [CommitOperationAdd(path_in_repo=name, path_or_fileobj=path) for name, path in files.items()]
    deleted = [CommitOperationDelete(path_in_repo=name) for name in removed]
    with _own_output():
        made = _api().create_commit(repo, [*added, *deleted], commit_message=message, parent_commit=parent)
    return str(made.oid)


def page_of(repo: str) -> str:
    """Return the address of a repository's page."""
    return f"{_api().endpoint}/{repo}"


def _api() -> Any:
    from huggingface_hub import HfApi

    return HfApi(library_name="emoclass")
