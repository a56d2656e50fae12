"""Trained models on the hub: one commit of a repository, in the hub's cache, verified."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from emoclass.errors import ModelError
from emoclass.fingerprint import file_sha256
from emoclass.hub import client
from emoclass.hub.errors import explain, hub_errors, is_missing_entry, is_passing
from emoclass.hub.names import HubName
from emoclass.store import layout
from emoclass.store.layout import Manifest
from emoclass.store.reading import Origin, StoredModel, open_model, verify_model


def fetch_model(name: HubName) -> StoredModel:
    """Return a model on the hub, downloaded into the hub's cache where it is not there, and verified.

    The revision is resolved once. Without a network, or while the hub is overloaded, it is what the cache knows.

    Raises:
        ModelError: There is no such model, it cannot be fetched, or it is not what its manifest says.
    """

    def say(problem: str) -> str:
        return f"{str(name)!r} is neither a model nor a directory here, and {problem}"

    with hub_errors(say):
        commit, note = _resolve(name)
        pinned, only_cache = name.at(commit), bool(note)
        path = _manifest(pinned, only_cache=only_cache)
        origin = Origin(pinned, path.parents[3], note)
        model = replace(open_model(path.parent), origin=origin)
        try:
            layout.require_complete(model.manifest.checksums)
            _require_printable(model.manifest)
        except ModelError as error:
            raise ModelError(f"{name}: {error}") from None
        _download(pinned, model.manifest.verified, only_cache=only_cache)
        _verify(model, origin)
        # Last: what a branch is known to be is then complete, should there be no network next time.
        if not name.is_pinned and not only_cache and client.cached_commit(name, layout.MANIFEST) != commit:
            client.download(name, layout.MANIFEST)
    return model


def _require_printable(manifest: Manifest) -> None:
    """Refuse names that would be commands to a terminal; a stranger may have written them."""
    for name in (manifest.name, *manifest.labels):
        if not name.isprintable():
            raise ModelError(f"{layout.MANIFEST} holds a name with control characters: {name!a}")


def is_fetched(name: HubName) -> bool:
    """Return whether the cache knows this as a trained model; the hub is not asked."""
    return client.cached_commit(name, layout.MANIFEST) is not None


def _resolve(name: HubName) -> tuple[str, str]:
    """Return the commit of a revision, and why it is what the cache knows, if it is."""
    if name.is_pinned and is_fetched(name):
        return str(name.revision), ""
    try:
        return client.newest_commit(name, layout.MANIFEST), ""
    except Exception as error:
        if is_missing_entry(error):
            raise _not_ours(name) from None
        cached = client.cached_commit(name, layout.MANIFEST) if is_passing(error) else None
        if cached is None:
            raise
        return cached, f"from the cache: {explain(error)}"


def _not_ours(name: HubName) -> ModelError:
    return ModelError(
        f"{name}: is on the hub, but is not a model that emoclass trained (it has no {layout.MANIFEST}); "
        f"to train on from it: emoclass train DATA --base-model {name.repo}"
    )


def _manifest(name: HubName, *, only_cache: bool) -> Path:
    try:
        return client.download(name, layout.MANIFEST, only_cache=only_cache)
    except Exception as error:
        if is_missing_entry(error):
            raise _not_ours(name) from None
        raise


def _download(name: HubName, files: Iterable[str], *, only_cache: bool = False, again: bool = False) -> None:
    for file in files:
        try:
            client.download(name, file, only_cache=only_cache, again=again)
        except Exception as error:
            if is_missing_entry(error):
                raise ModelError(f"{name}: {file} is not in the repository: push the model again") from None
            if only_cache:
                raise ModelError(
                    f"{name}: {file} is not in the hub's cache, which has the model in part: run once with a network"
                ) from None
            raise


def _verify(model: StoredModel, origin: Origin) -> None:
    """Compare the files with the manifest; what is wrong may be so in the cache alone and is downloaded again, once."""
    try:
        verify_model(model)
        return
    except ModelError:
        if origin.note:  # there is nowhere to download it from
            raise
    expected = model.manifest.verified.items()
    damaged = [name for name, checksum in expected if file_sha256(model.directory / name) != checksum]
    _download(origin.name, damaged, again=True)
    try:
        verify_model(model)
    except ModelError as error:
        raise ModelError(
            f"{origin}: its files are not those that its {layout.MANIFEST} names ({error}): name another revision, or "
            "ask its owner to push it again"
        ) from None
