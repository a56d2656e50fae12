"""Push a trained model to a repository on the hub: one commit, with nothing in it about this machine."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from emoclass.errors import EmoclassError, ModelError, one_line
from emoclass.fingerprint import file_sha256
from emoclass.hub import client
from emoclass.hub.client import Listing
from emoclass.hub.errors import hub_errors
from emoclass.hub.names import HubName, check_repository
from emoclass.store import layout
from emoclass.store.card import bare_name, model_card, published_card
from emoclass.store.checkpoints import find_model
from emoclass.store.layout import Manifest
from emoclass.store.reading import StoredModel, open_model
from emoclass.store.saving import copy_model, write_json

# The hub makes it with a repository; it says which files are kept outside git.
_ATTRIBUTES = ".gitattributes"


@dataclass(frozen=True)
class PushOptions:
    """How to push.

    Attributes:
        private: Whether a new repository is private.
        license: The license, as the hub names it, for the model card.
        overwrite: Whether to replace what is no model of emoclass.
        dry_run: Whether to say what would be uploaded, and to change nothing.
    """

    private: bool = False
    license: str | None = None
    overwrite: bool = False
    dry_run: bool = False


@dataclass(frozen=True)
class Pushed:
    """What a repository holds after a push.

    Attributes:
        repository: ``USER/REPO``.
        url: Its page.
        revision: The commit with the model; ``None`` if a dry run found no repository.
        changed: Whether there is a new commit, or would be.
        uploaded: Bytes of the files that were new or different, by name.
        removed: Names of the files that were removed.
        kept_card: Whether the card, which somebody has edited on the hub, is not that of this model.
    """

    repository: str
    url: str
    revision: str | None
    changed: bool
    uploaded: Mapping[str, int]
    removed: tuple[str, ...]
    kept_card: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**asdict(self), "removed": list(self.removed)}


def push_model(name: str | Path | StoredModel | None, repository: str, options: PushOptions = PushOptions()) -> Pushed:
    """Upload a trained model to a repository on the hub, which is made if there is none.

    Files are compared with their checksums before. What is uploaded, all with names in place of paths, loads on any
    machine; frozen weights that the directory shares with its base model are among it. The TF-IDF baseline of ``eval``
    stays here, because it consists of words from the training texts.

    Args:
        name: The model.
        repository: ``USER/REPO``.
        options: How to push.

    Raises:
        ModelError: There is no such model, it is damaged, the repository holds something else, or the hub refuses.
        EmoclassError: There is no room for a copy.
    """
    repo = check_repository(repository).repo
    model = find_model(name)
    if not client.has_token():
        raise ModelError(f"{repo}: to push to it, sign in with: hf auth login (or set HF_TOKEN to a token that writes)")

    def say(problem: str) -> str:
        return f"{repo}: nothing was pushed: {problem}"

    with hub_errors(say):
        found = client.listing(repo)
        if found is not None:
            _require_ours(repo, found, options)
        earlier = _earlier_card(repo, found)
    keeps_card = earlier is not None and earlier.is_edited and not options.overwrite
    try:
        with tempfile.TemporaryDirectory(prefix="emoclass-push-") as place:
            files = _publishable(model, Path(place), repo, options.license, earlier)
            if keeps_card:
                del files[layout.CARD]
            with hub_errors(say):
                pushed = _push(repo, found, files, options, f"Upload {model.manifest.name} with emoclass")
    except OSError as error:
        problem = f"{tempfile.gettempdir()}: has no room for a copy of the model: {error.strerror or error}"
        raise EmoclassError(f"{problem}: free some, or set TMPDIR to another directory") from error
    return replace(pushed, kept_card=keeps_card)


@dataclass(frozen=True)
class _Card:
    text: str
    is_edited: bool


def _earlier_card(repo: str, found: Listing | None) -> _Card | None:
    """Return the card of the model that a repository holds, and whether somebody has edited it there."""
    if found is None or not {layout.MANIFEST, layout.CARD} <= found.files.keys():
        return None
    name = HubName(repo, found.commit)
    path = client.download(name, layout.CARD)
    try:
        written = open_model(client.download(name, layout.MANIFEST).parent).manifest.checksums.get(layout.CARD)
    except ModelError:
        written = None
    return _Card(path.read_text(encoding="utf-8", errors="replace"), written != file_sha256(path))


def _publishable(
    model: StoredModel, place: Path, repo: str, license: str | None, earlier: _Card | None
) -> dict[str, Path]:
    """Write what is uploaded into an empty directory; return its files by name."""
    manifest = without_places(copy_model(model, place).manifest)
    for name in layout.BASELINE_FILES:
        (place / name).unlink(missing_ok=True)
    path = place / layout.CARD
    try:
        own = path.read_text(encoding="utf-8") if path.exists() else model_card(manifest)
        card = published_card(own, manifest, repo, license, None if earlier is None else earlier.text)
    except (ModelError, UnicodeDecodeError) as error:
        mend = "mend it, or remove it, and the push writes it anew"
        raise ModelError(f"{model.directory / layout.CARD}: cannot be read ({one_line(error)}): {mend}") from None
    path.write_text(card, encoding="utf-8")
    kept = {name: checksum for name, checksum in manifest.checksums.items() if name not in layout.BASELINE_FILES}
    manifest = replace(manifest, checksums={**kept, layout.CARD: file_sha256(path)})
    write_json(place / layout.MANIFEST, manifest.to_dict())
    layout.require_complete(manifest.checksums)
    return {name: place / name for name in (layout.MANIFEST, *manifest.checksums)}


def without_places(manifest: Manifest) -> Manifest:
    """Return a manifest with the names of files and directories in place of their paths."""
    base, metrics, data = manifest.base_model, manifest.metrics, manifest.data
    test = metrics.get("test")
    name = bare_name(base["name"]) if manifest.has_local_base else base["name"]
    return replace(
        manifest,
        base_model={**base, "name": name},
        recipe=replace(manifest.recipe, base_model=name),
        metrics={**metrics, "test": test and {**test, "source": bare_name(str(test.get("source", "")))}},
        data={**data, "source": bare_name(str(data.get("source", "")))},
    )


def _push(repo: str, found: Listing | None, files: Mapping[str, Path], options: PushOptions, message: str) -> Pushed:
    if found is None and not options.dry_run:
        client.create(repo, private=options.private)
        found = client.listing(repo)
        if found is None:
            raise ModelError(f"{repo}: was made, but the hub does not show it: run the same command again")
    there = {} if found is None else found.files
    uploaded = {name: path for name, path in files.items() if there.get(name) not in _hashes(path)}
    removed = tuple(sorted(_stale(there, files)))
    changed, revision = bool(uploaded or removed), None if found is None else found.commit
    if changed and revision is not None and not options.dry_run:
        revision = client.commit(repo, uploaded, removed, parent=revision, message=message)
    sizes = {name: path.stat().st_size for name, path in uploaded.items()}
    return Pushed(repo, client.page_of(repo), revision, changed, sizes, removed)


def _require_ours(repo: str, found: Listing, options: PushOptions) -> None:
    others = sorted(found.files.keys() - {_ATTRIBUTES})
    if others and layout.MANIFEST not in found.files and not options.overwrite:
        shown = ", ".join([*others[:3], *["…"] * (len(others) > 3)])
        raise ModelError(
            f"{repo}: holds something that is not a model of emoclass ({shown}): name another repository, or pass "
            "--overwrite to replace it in a new commit"
        )
    if options.private and not found.is_private:
        raise ModelError(
            f"{repo}: exists and is public, which --private does not change: make it private on its page, or leave "
            "the option out"
        )


def _stale(there: Mapping[str, str], files: Mapping[str, Path]) -> set[str]:
    """Return what to remove: files of an older model; all others, too, if something else is replaced.

    What a user has added to the repository of a model stays.
    """
    old = there.keys() - files.keys() - {_ATTRIBUTES}
    return (old & layout.FILES) - {layout.CARD} if layout.MANIFEST in there else old


def _hashes(path: Path) -> tuple[str, str]:
    """Return the hashes by which the hub knows a file: that of git, and that of LFS."""
    git = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            git.update(block)
    return git.hexdigest(), file_sha256(path)
