"""Models on the hub are used like those on this disk: one commit, verified, also without a network."""

import hashlib
import json
import os
import shutil
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import emoclass
from emoclass.errors import ModelError
from emoclass.inference.predictor import load
from emoclass.store.checkpoints import find_model
from tests.disks import largest_file
from tests.hub_server import TOKEN, Hub, Repository, forget_connections, switch_offline

Run = Callable[..., Any]
REPO = "me/emotions"
TEXT = "so happy and glad"


@pytest.fixture
def repository(hub: Hub, tiny_model: Path) -> Repository:
    """A repository with the tiny model; there is no model on this disk."""
    return hub.add(REPO, tiny_model)


def change(repository: Repository, name: str, content: bytes) -> str:
    return repository.add({**repository.files, name: content})


def change_manifest(repository: Repository, **values: object) -> str:
    manifest = json.loads(repository.files["emoclass.json"])
    return change(repository, "emoclass.json", json.dumps({**manifest, **values}).encode())


def refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut the network."""

    def connect(*args: object) -> None:
        raise OSError("Network is unreachable")

    monkeypatch.setattr(socket.socket, "connect", connect)
    forget_connections()


def test_predict_uses_a_model_on_the_hub(
    hub: Hub, repository: Repository, cli: Run, tiny_model: Path, emotions_csv: Path
) -> None:
    expected = cli("predict", "--model", tiny_model, TEXT).stdout
    result = cli("predict", "--model", REPO, TEXT)
    assert result.exit_code == 0, result.output
    assert result.stdout == expected
    assert result.stderr == f"note: {REPO} at {repository.head[:7]}\n"
    evaluated = cli("eval", emotions_csv, "--model", REPO, "--json")
    document = json.loads(evaluated.stdout)
    assert (document["repository"], document["revision"]) == (REPO, repository.head)
    assert evaluated.stderr.count(f"{REPO} at {repository.head[:7]}") == 1
    assert document["seen_in_training"] == 48
    assert (
        document["accuracy"]
        == json.loads(cli("eval", emotions_csv, "--model", tiny_model, "--json").stdout)["accuracy"]
    )


def test_the_token_goes_to_the_hub_alone(hub: Hub, tiny_model: Path) -> None:
    hub.add(REPO, tiny_model, private=True)
    assert load(REPO).predict_text(TEXT)
    assert {each.split(":")[0] for each in hub.sent_tokens} == {"127.0.0.1"}
    assert hub.asked("GET /files/")


def test_what_is_cached_is_downloaded_once_and_asked_for_once(hub: Hub, repository: Repository, cli: Run) -> None:
    assert cli("predict", "--model", REPO, TEXT).exit_code == 0
    hub.requests.clear()
    assert cli("predict", "--model", REPO, TEXT).exit_code == 0
    assert hub.requests == [f"HEAD /{REPO}/resolve/main/emoclass.json"]
    hub.requests.clear()
    assert cli("predict", "--model", f"{REPO}@{repository.head}", TEXT).exit_code == 0
    assert hub.requests == []


def test_revisions_are_branches_tags_and_commits(hub: Hub, repository: Repository, cli: Run, tiny_train: Run) -> None:
    first = repository.head
    repository.refs["v1"] = first
    change(repository, "notes.txt", b"newer")
    for revision, commit in (("", repository.head), ("@main", repository.head), ("@v1", first), (f"@{first}", first)):
        document = json.loads(cli("models", "show", f"{REPO}{revision}", "--json").stdout)
        assert document["revision"] == commit
    result = cli("predict", "--model", f"{REPO}@v2", TEXT)
    assert result.exit_code == 1
    assert "the hub has no such revision" in result.stderr


def test_a_new_commit_is_used_by_whoever_does_not_pin_one(hub: Hub, repository: Repository, cli: Run) -> None:
    first = repository.head
    assert f"at {first[:7]}" in cli("predict", "--model", REPO, TEXT).stderr
    change(repository, "notes.txt", b"newer")
    assert f"at {repository.head[:7]}" in cli("predict", "--model", REPO, TEXT).stderr
    assert f"at {first[:7]}" in cli("predict", "--model", f"{REPO}@{first}", TEXT).stderr


def test_only_files_of_a_model_are_fetched(hub: Hub, repository: Repository) -> None:
    change(repository, "pytorch_model.bin", b"pickle")
    change(repository, "modeling.py", b"print('hello')")
    directory = find_model(REPO).directory
    assert {path.suffix for path in directory.iterdir()} <= {".json", ".jsonl", ".md", ".npy", ".safetensors"}
    assert not hub.asked("pytorch_model|modeling")


def test_a_model_on_this_disk_comes_first(
    hub: Hub, repository: Repository, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_model, tmp_path / REPO)
    assert find_model(REPO).directory == Path(REPO)
    assert hub.requests == []


def test_show_path_and_export(hub: Hub, repository: Repository, cli: Run, tmp_path: Path) -> None:
    shown = cli("models", "show", REPO)
    assert shown.exit_code == 0, shown.output
    assert f"{REPO} at {repository.head[:7]}" in shown.stderr
    path = Path(cli("models", "path", REPO).stdout.strip())
    assert path.parts[-2:] == ("snapshots", repository.head)
    result = cli("models", "export", REPO, tmp_path / "copy")
    assert result.exit_code == 0, result.output
    assert not any(file.is_symlink() for file in (tmp_path / "copy").iterdir())
    assert load(tmp_path / "copy").predict_text(TEXT) == load(REPO).predict_text(TEXT)
    removed = cli("models", "remove", REPO)
    assert removed.exit_code != 0


def test_python_loads_and_evaluates(hub: Hub, repository: Repository, emotions_csv: Path, tiny_model: Path) -> None:
    assert emoclass.load(REPO).predict_text(TEXT) == emoclass.load(tiny_model).predict_text(TEXT)
    assert emoclass.predict_text(TEXT, model=REPO) == emoclass.load(tiny_model).predict_text(TEXT)
    notes: list[str] = []
    assert emoclass.evaluate(emotions_csv, model=REPO, on_note=notes.append).metrics.rows == 60
    assert notes[0] == f"{REPO} at {repository.head[:7]}"


@pytest.mark.parametrize("how", ["offline", "no network", "overloaded", "failing"])
def test_what_is_cached_works_without_the_hub(
    hub: Hub, repository: Repository, cli: Run, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    expected = cli("predict", "--model", REPO, TEXT).stdout
    if how == "offline":
        switch_offline(monkeypatch)
    elif how == "no network":
        refuse(monkeypatch)
    else:
        hub.fail(".", status=429 if how == "overloaded" else 503)
    result = cli("predict", "--model", REPO, TEXT)
    assert result.exit_code == 0, result.output
    assert result.stdout == expected
    assert f"{REPO} at {repository.head[:7]}, from the cache: " in result.stderr
    pinned = cli("predict", "--model", f"{REPO}@{repository.head}", TEXT)
    assert (pinned.stdout, pinned.exit_code) == (expected, 0)
    other = cli("predict", "--model", "me/other", TEXT)
    assert other.exit_code == 1
    assert len(other.stderr.splitlines()) == 1
    said = {
        "offline": "HF_HUB_OFFLINE is set, so that only the hub's cache is used",
        "no network": "the hub cannot be reached",
        "overloaded": "too many requests (429): try again later",
        "failing": "the hub has a problem (503): try again later",
    }
    assert said[how] in other.stderr


def test_a_model_that_is_not_ours_is_told_what_it_is_good_for(hub: Hub, tiny_base: Path, cli: Run) -> None:
    hub.add("someone/bert", tiny_base)
    for name in ("someone/bert", f"someone/bert@{hub.repositories['someone/bert'].head}"):
        result = cli("predict", "--model", name, TEXT)
        assert result.exit_code == 1
        assert "is not a model that emoclass trained" in result.stderr
        assert "--base-model someone/bert" in result.stderr


@pytest.mark.parametrize(
    ("status", "headers", "message"),
    [
        (401, {}, "hf auth login"),
        (401, {"X-Error-Code": "RepoNotFound"}, "no such model, or it is private"),
        (403, {"X-Error-Code": "GatedRepo"}, "access to it has to be asked for"),
        (403, {}, "the token does not allow this"),
        (404, {"X-Error-Code": "RepoNotFound"}, "no such model, or it is private"),
        (429, {"Retry-After": "30"}, "try again in 30 seconds"),
        (500, {}, "the hub has a problem (500)"),
    ],
)
def test_what_the_hub_refuses_is_one_line(
    hub: Hub, cli: Run, status: int, headers: dict[str, str], message: str
) -> None:
    hub.fail(".", status=status, headers=headers, message=f"you sent {TOKEN}")
    result = cli("predict", "--model", REPO, TEXT)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"error: '{REPO}' is neither a model nor a directory here, and ")
    assert message in line
    assert TOKEN not in line
    assert {*hub.requests} == {f"HEAD /{REPO}/resolve/main/emoclass.json"}


def test_a_download_that_is_cut_counts_for_nothing(
    hub: Hub, repository: Repository, cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.fail("GET /files/", act=lambda handler: handler.cut(handler.server.objects[handler.path.split("/")[-1]]))
    result = cli("predict", "--model", REPO, TEXT)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].endswith("the connection to the hub was cut: run the same command again")
    switch_offline(monkeypatch)
    assert cli("predict", "--model", REPO, TEXT).exit_code == 1
    switch_offline(monkeypatch, False)
    hub.faults.clear()
    assert cli("predict", "--model", REPO, TEXT).exit_code == 0


def test_a_download_that_is_cut_leaves_the_version_before(
    hub: Hub, repository: Repository, cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = repository.head
    expected = cli("predict", "--model", REPO, TEXT).stdout
    change_manifest(repository, name="newer")
    hub.fail("GET .*/emoclass.json", act=lambda handler: handler.cut(repository.files["emoclass.json"]))
    assert cli("predict", "--model", REPO, TEXT).exit_code == 1
    switch_offline(monkeypatch)
    result = cli("predict", "--model", REPO, TEXT)
    assert result.stdout == expected
    assert f"at {first[:7]}" in result.stderr


def test_a_part_of_a_model_in_the_cache_is_not_a_model(
    hub: Hub, repository: Repository, cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = find_model(REPO).directory
    (directory / "frozen.safetensors").unlink()
    switch_offline(monkeypatch)
    result = cli("predict", "--model", REPO, TEXT)
    assert result.exit_code == 1
    assert "frozen.safetensors is not in the hub's cache, which has the model in part" in result.stderr
    switch_offline(monkeypatch, False)
    assert cli("predict", "--model", REPO, TEXT).exit_code == 0


def test_files_that_are_not_those_of_the_manifest_are_refused(hub: Hub, repository: Repository, cli: Run) -> None:
    content = bytearray(repository.files["trained.safetensors"])
    content[-1] ^= 1
    change(repository, "trained.safetensors", bytes(content))
    hub.objects.update({hashlib.sha256(content).hexdigest(): bytes(content)})
    for _ in range(2):
        result = cli("predict", "--model", REPO, TEXT)
        assert result.exit_code == 1
        (line,) = result.stderr.splitlines()
        assert f"{REPO} at {repository.head[:7]}: its files are not those that its emoclass.json names" in line
        assert "trained.safetensors" in line


def test_a_file_that_is_damaged_in_the_cache_is_fetched_again(
    hub: Hub, repository: Repository, cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = cli("predict", "--model", REPO, TEXT).stdout
    path = (find_model(REPO).directory / "trained.safetensors").resolve()
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    switch_offline(monkeypatch)
    result = cli("predict", "--model", REPO, TEXT)
    assert result.exit_code == 1
    assert "checksum is wrong" in result.stderr
    switch_offline(monkeypatch, False)
    assert cli("predict", "--model", REPO, TEXT).stdout == expected


@pytest.mark.parametrize(
    "name", ["../outside.json", "/etc/passwd", "a/b.json", "modeling.py", "x.bin", "a\\b.json", ""]
)
def test_a_manifest_cannot_name_other_files(hub: Hub, repository: Repository, cli: Run, name: str) -> None:
    checksums = json.loads(repository.files["emoclass.json"])["checksums"]
    change_manifest(repository, checksums={**checksums, name: "0" * 64})
    result = cli("predict", "--model", REPO, TEXT)
    assert result.exit_code == 1
    assert "names a file that no model has" in result.stderr
    assert hub.asked("passwd|outside|modeling|x.bin|b.json") == []


def test_a_manifest_cannot_take_its_weights_from_elsewhere(hub: Hub, repository: Repository, cli: Run) -> None:
    checksums = json.loads(repository.files["emoclass.json"])["checksums"]
    del checksums["frozen.safetensors"]
    change_manifest(repository, checksums=checksums, base_model={"name": "/somewhere", "source": "directory"})
    result = cli("predict", "--model", REPO, TEXT)
    assert result.exit_code == 1
    assert "is not that of a whole model: frozen.safetensors is missing" in result.stderr


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"format_version": 99}', b"\xff\xfe", b"[" * 100_000])
def test_a_damaged_manifest_is_one_line(hub: Hub, repository: Repository, cli: Run, content: bytes) -> None:
    change(repository, "emoclass.json", content)
    result = cli("predict", "--model", REPO, TEXT)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert "emoclass.json" in line


def test_a_file_that_the_repository_lacks_is_named(hub: Hub, repository: Repository, cli: Run) -> None:
    repository.add({name: content for name, content in repository.files.items() if name != "tokenizer.json"})
    result = cli("predict", "--model", REPO, TEXT)
    assert result.exit_code == 1
    assert "tokenizer.json is not in the repository: push the model again" in result.stderr


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX limits")
def test_a_full_disk_is_one_line(hub: Hub, repository: Repository, cli: Run) -> None:
    with largest_file(3000):
        result = cli("predict", "--model", REPO, TEXT)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert "cannot be written (File too large): free some space, or set HF_HOME" in line
    assert cli("predict", "--model", REPO, TEXT).exit_code == 0


@pytest.mark.skipif(os.name == "nt", reason="the cache has copies there")
def test_links_of_the_cache_do_not_lead_out_of_it(hub: Hub, repository: Repository, tmp_path: Path) -> None:
    model = find_model(REPO)
    path = model.directory / "trained.safetensors"
    assert path.is_symlink()
    shutil.copy(path, tmp_path / "elsewhere")
    path.unlink()
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ModelError, match=r"trained\.safetensors: is a link"):
        load(f"{REPO}@{repository.head}")


@pytest.mark.parametrize("field", ["name", "labels"])
def test_names_cannot_be_commands_to_a_terminal(
    hub: Hub, tiny_model: Path, cli: Run, tmp_path: Path, field: str
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tiny_model, copy)
    manifest = json.loads((copy / "emoclass.json").read_text())
    manifest[field] = "\x1b[31mred" if field == "name" else ["anger", "fear", "\x1b]0;title\x07joy"]
    (copy / "emoclass.json").write_text(json.dumps(manifest))
    hub.add("me/hostile", copy)
    result = cli("predict", "--model", "me/hostile", "a happy day")
    assert result.exit_code == 1
    assert "holds a name with control characters" in result.stderr
    assert "\x1b" not in result.output + result.stderr


def test_removing_is_for_models_on_this_disk(hub: Hub, cli: Run) -> None:
    result = cli("models", "remove", "me/emotions")
    assert result.exit_code == 1
    assert "hf cache rm model/me/emotions" in result.stderr


@pytest.mark.parametrize("name", ["no/such/place", "me/", "me/a b", "me/emotions@", "a--b/c"])
def test_what_cannot_be_a_repository_is_not_asked_for(hub: Hub, name: str) -> None:
    with pytest.raises(ModelError, match="there is no model named"):
        find_model(name)
    assert hub.requests == []


def test_without_the_client_the_message_says_what_to_install(
    hub: Hub, cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "huggingface_hub", None)
        result = cli("predict", "--model", REPO, TEXT)
    assert result.exit_code == 1
    assert "pip install huggingface-hub" in result.stderr
