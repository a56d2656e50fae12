"""Models are pushed to the hub: whole, in one commit, with nothing in it about this machine."""

import errno
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from emoclass.store import starter
from emoclass.store.layout import FILES
from tests.conftest import WORDS, emotion_rows, load_script
from tests.hub_server import TOKEN, Hub

Run = Callable[..., Any]
pytestmark = [
    pytest.mark.usefixtures("trained_model"),
    pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning"),  # the client's own way to upload
]
REPO = "me/emotions"


def test_a_push_is_one_commit_with_the_whole_model(hub: Hub, push: Run, trained_model: Path) -> None:
    result = push(REPO)
    assert result.exit_code == 0, result.output
    repository = hub.repositories[REPO]
    assert result.stdout.split() == [f"{hub.endpoint}/{REPO}", repository.head]
    assert repository.messages == ["by hand", "Upload first with emoclass"]
    files = repository.files
    own = {path.name for path in trained_model.iterdir()}
    assert files.keys() == own - {"baseline.json", "baseline.safetensors"} | {".gitattributes"}
    for name in ("trained.safetensors", "frozen.safetensors", "tokenizer.json", "training_texts.npy"):
        assert files[name] == (trained_model / name).read_bytes()
    # Large files go to another host, which must not see the token.
    assert {each.split(":")[0] for each in hub.sent_tokens} == {"127.0.0.1"}
    assert hub.asked("PUT /upload")


def test_nothing_of_this_machine_is_uploaded(
    hub: Hub, push: Run, trained_model: Path, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    local = (trained_model / "emoclass.json").read_text()
    assert str(tiny_base) in local
    push(REPO)
    uploaded = b"\n".join(hub.repositories[REPO].files.values())
    secrets = [str(tmp_path_factory.getbasetemp()), str(Path.home()), TOKEN]
    assert [secret for secret in secrets if len(secret) > 1 and secret.encode() in uploaded] == []
    assert [text for text, _ in emotion_rows() if text.encode() in uploaded] == []
    manifest = json.loads(hub.repositories[REPO].files["emoclass.json"])
    assert manifest["base_model"]["name"] == manifest["recipe"]["base_model"] == tiny_base.name
    assert manifest["data"]["source"] == manifest["metrics"]["test"]["source"] == "emotions.csv"
    assert (trained_model / "emoclass.json").read_text() == local


def test_the_same_model_again_changes_nothing(hub: Hub, push: Run) -> None:
    push(REPO)
    head, hub.requests[:] = hub.repositories[REPO].head, []
    again = push(REPO)
    assert again.exit_code == 0
    assert "nothing changed" in again.stderr
    assert again.stdout.split()[1] == hub.repositories[REPO].head == head
    assert hub.asked("POST|PUT") == []


def test_json_says_what_has_changed(hub: Hub, push: Run) -> None:
    document = json.loads(push(REPO, "--json").stdout)
    assert document["revision"] == hub.repositories[REPO].head
    assert (document["repository"], document["url"]) == (REPO, f"{hub.endpoint}/{REPO}")
    assert document["uploaded"].keys() == hub.repositories[REPO].files.keys() - {".gitattributes"}
    assert json.loads(push(REPO, "--json").stdout)["changed"] is False


def test_a_dry_run_changes_nothing(hub: Hub, push: Run) -> None:
    result = push(REPO, "--dry-run")
    assert result.exit_code == 0, result.output
    assert "would upload frozen.safetensors" in result.stderr
    assert result.stdout == ""
    assert hub.repositories == {}


def test_a_new_version_takes_the_place_of_the_old_one(hub: Hub, push: Run, cli: Run, tiny_train: Run) -> None:
    push(REPO)
    repository = hub.repositories[REPO]
    repository.add({**repository.files, "LICENSE": b"mine", "pictures/plot.png": b"png"})
    assert tiny_train("--name", "second", "--unfreeze", "all").exit_code == 0
    result = cli("models", "push", "second", REPO)
    assert result.exit_code == 0, result.output
    kept = {".gitattributes", "LICENSE", "pictures/plot.png"}
    assert {"model.safetensors", *kept} <= repository.files.keys()
    assert not {"frozen.safetensors", "trained.safetensors", "model.safetensors.index.json"} & repository.files.keys()
    assert repository.files.keys() - kept <= FILES
    assert len(repository.commits) == 4
    assert "removed frozen.safetensors" in result.stderr


def test_something_else_is_replaced_only_when_asked(hub: Hub, push: Run) -> None:
    repository = hub.add(REPO, {"pytorch_model.bin": b"pickle", "README.md": b"# Mine", "a/b.txt": b"x"})
    before = repository.head
    result = push(REPO)
    assert result.exit_code == 1
    assert "holds something that is not a model of emoclass (README.md, a/b.txt, pytorch_model.bin)" in result.stderr
    assert "--overwrite" in result.stderr
    assert repository.head == before
    assert push(REPO, "--overwrite").exit_code == 0
    assert repository.files.keys() <= FILES | {".gitattributes"}
    assert repository.commits[before]["README.md"] == b"# Mine"


def test_private_repositories_are_new_ones(hub: Hub, push: Run) -> None:
    assert push(REPO, "--private").exit_code == 0
    assert hub.repositories[REPO].private
    assert push(REPO, "--private").exit_code == 0
    assert push("me/default").exit_code == 0
    asked = hub.created[-1]
    assert (asked.get("private"), asked.get("visibility")) == (None, None)  # organizations have defaults of their own
    hub.add("me/public", {})
    result = push("me/public", "--private")
    assert result.exit_code == 1
    assert "exists and is public" in result.stderr


def test_the_card_says_where_the_model_is(hub: Hub, push: Run, tmp_path: Path) -> None:
    assert push(REPO, "--license", "apache-2.0").exit_code == 0
    card = ModelCard(hub.repositories[REPO].files["README.md"].decode())
    assert card.data.license == "apache-2.0"
    assert (card.data.get("library_name"), card.data.pipeline_tag) == ("emoclass", "text-classification")
    assert [result.metric_type for result in card.data.eval_results or ()] == ["accuracy", "f1", "f1"]
    assert not card.data.get("base_model")
    assert f"emoclass predict --model {REPO} " in card.text
    assert f'emoclass.load("{REPO}")' in card.text
    assert f'transformers.pipeline("text-classification", "{REPO}")' in card.text
    assert "license" not in ModelCard(_card_without_license(hub, push)).data.to_dict()


def test_what_somebody_wrote_into_the_card_stays(hub: Hub, push: Run, cli: Run, tiny_train: Run) -> None:
    push(REPO)
    repository = hub.repositories[REPO]
    card = repository.files["README.md"].decode()
    edited = card.replace("---\n", "---\nlanguage: en\n", 1) + "\nNot for hiring decisions.\n"
    repository.add({**repository.files, "README.md": edited.encode()})
    assert cli("predict", "--model", REPO, "a happy day").exit_code == 0
    tiny_train("--name", "first", "--overwrite", "--seed", 3)
    result = push(REPO)
    assert "README.md was edited on the hub and stays as it is: check its scores, or pass --overwrite" in result.stderr
    assert repository.files["README.md"].decode() == edited
    assert cli("predict", "--model", REPO, "a happy day").exit_code == 0
    assert "README.md" not in push(REPO).stderr.replace("README.md was edited", "")
    assert push(REPO, "--overwrite").exit_code == 0
    card = repository.files["README.md"].decode()
    assert "hiring" not in card
    assert ModelCard(card).data.language == "en"


@pytest.mark.parametrize("damage", ["title: joy: a model", "foo: [", "- a"])
def test_a_card_that_was_damaged_on_the_hub_does_not_block_a_push(hub: Hub, push: Run, damage: str) -> None:
    push(REPO)
    repository = hub.repositories[REPO]
    damaged = f"---\n{damage}\n---\n\n# Mine\n".encode()
    repository.add({**repository.files, "README.md": damaged})
    assert push(REPO).exit_code == 0
    assert repository.files["README.md"] == damaged
    assert push(REPO, "--overwrite").exit_code == 0
    assert ModelCard(repository.files["README.md"].decode()).data.get("library_name") == "emoclass"


def test_a_card_that_was_edited_here_is_pushed(hub: Hub, push: Run, trained_model: Path) -> None:
    path = trained_model / "README.md"
    card = path.read_text()
    mine = card.replace("## Usage\n", "## Usage\n\nAsk me first.\n").replace("---\n", "---\nlicense: mit\n", 1)
    path.write_text("\ufeff" + mine, encoding="utf-8")
    assert push(REPO).exit_code == 0
    pushed = hub.repositories[REPO].files["README.md"].decode()
    assert "Ask me first." in pushed
    assert ModelCard(pushed).data.license == "mit"
    path.write_bytes(b"---\nlanguage: \xff\n---\n")
    result = push(REPO)
    assert result.exit_code == 1
    assert f"{path}: cannot be read" in result.stderr
    path.unlink()
    assert push(REPO).exit_code == 0


def test_the_license_stays_that_of_an_earlier_push(hub: Hub, push: Run, tiny_train: Run) -> None:
    push(REPO, "--license", "mit")
    tiny_train("--name", "first", "--overwrite", "--seed", 3)
    result = push(REPO)
    assert "edited" not in result.stderr
    assert ModelCard(hub.repositories[REPO].files["README.md"].decode()).data.license == "mit"


def _card_without_license(hub: Hub, push: Run) -> str:
    push("me/other")
    return hub.repositories["me/other"].files["README.md"].decode()


def test_an_unknown_license_is_what_the_hub_says(hub: Hub, push: Run) -> None:
    result = push(REPO, "--license", "mine")
    assert result.exit_code == 1
    assert '"license" must be one of' in result.stderr
    assert hub.repositories[REPO].messages == ["by hand"]


def test_a_damaged_model_is_not_pushed(hub: Hub, push: Run, trained_model: Path) -> None:
    path = trained_model / "trained.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    result = push(REPO)
    assert result.exit_code == 1
    assert "checksum is wrong" in result.stderr
    assert hub.repositories == {}


def test_a_copy_without_room_is_no_error_of_the_hub(hub: Hub, push: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("emoclass.store.publishing.copy_model", full)
    result = push(REPO)
    assert result.exit_code == 1
    assert "has no room for a copy of the model: No space left on device" in result.stderr
    assert "TMPDIR" in result.stderr


def test_without_a_token_nothing_is_asked(hub: Hub, push: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    result = push(REPO)
    assert result.exit_code == 1
    assert "hf auth login" in result.stderr
    assert hub.requests == []


@pytest.mark.parametrize(
    "name", ["me", "me/a/b", "me/", "/x", "me/a b", "../me", "me/a..b", "me/x@main", "me/" + "x" * 96]
)
def test_names_that_are_no_repositories(hub: Hub, push: Run, name: str) -> None:
    result = push(name)
    assert result.exit_code == 1
    assert "cannot be a repository on the hub: write USER/REPO" in result.stderr
    assert hub.requests == []


@pytest.mark.parametrize(
    ("where", "status", "headers", "message"),
    [
        ("GET /api/models", 401, {}, "does not accept the token"),
        ("POST /api/repos/create", 403, {}, "the token does not allow this"),
        ("preupload", 403, {}, "the token does not allow this"),
        ("GET /api/models", 429, {"Retry-After": "77"}, "try again in 77 seconds"),
        ("GET /api/models", 503, {}, "the hub has a problem (503): try again later"),
        ("POST .*/commit/", 500, {}, "the hub has a problem (500): try again later"),
        ("POST .*/commit/", 412, {}, "changed meanwhile: run the same command again"),
        ("PUT /upload", 500, {}, "the hub has a problem (500): try again later"),
        ("objects/batch", 502, {}, "the hub has a problem (502): try again later"),
    ],
)
def test_what_the_hub_refuses_is_one_line(
    hub: Hub, push: Run, where: str, status: int, headers: dict[str, str], message: str
) -> None:
    hub.fail(where, status=status, headers=headers, message=f"you sent {TOKEN}\nand more")
    result = push(REPO)
    assert result.exit_code == 1
    (line,) = (line for line in result.stderr.splitlines() if line.startswith("error"))
    assert message in line
    assert f"{REPO}: nothing was pushed" in line
    assert TOKEN not in result.output
    assert not any("emoclass.json" in files for each in hub.repositories.values() for files in each.commits.values())


def test_a_push_that_is_cut_leaves_the_repository_as_it_was(hub: Hub, push: Run, cli: Run, tiny_train: Run) -> None:
    push(REPO)
    repository = hub.repositories[REPO]
    before = repository.head
    assert tiny_train("--name", "second").exit_code == 0
    hub.fail("PUT /upload", act=lambda handler: handler.connection.shutdown(socket.SHUT_RDWR))
    result = cli("models", "push", "second", REPO)
    assert result.exit_code == 1
    assert "the connection to the hub was cut" in result.stderr or "cannot be reached" in result.stderr
    assert repository.head == before
    hub.faults.clear()
    assert cli("models", "push", "second", REPO).exit_code == 0
    assert repository.head != before


def test_what_others_commit_meanwhile_is_not_overwritten(hub: Hub, push: Run, cli: Run, tiny_train: Run) -> None:
    push(REPO)
    repository = hub.repositories[REPO]
    assert tiny_train("--name", "second").exit_code == 0

    def commit_first(handler: Any) -> None:
        repository.add({**repository.files, "notes.txt": b"theirs"})
        handler.answer(200, {"errors": [], "warnings": []})

    hub.fail("validate-yaml", act=commit_first, times=1)
    result = cli("models", "push", "second", REPO)
    assert result.exit_code == 1
    assert "changed meanwhile" in result.stderr
    assert repository.files["notes.txt"] == b"theirs"
    assert cli("models", "push", "second", REPO).exit_code == 0
    assert repository.files["notes.txt"] == b"theirs"


def test_the_starter_is_pushed_with_all_weights(
    hub: Hub, cli: Run, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Path(__file__).parents[2] / "scripts" / "train_starter.py"
    if not script.is_file():
        pytest.skip("the script is not installed")
    load_script(script).write_thin(tiny_model, tmp_path / "starter", "nowhere")
    monkeypatch.setattr(starter, "DIRECTORY", tmp_path / "starter")
    result = cli("models", "push", "starter", REPO)
    assert result.exit_code == 0, result.output
    assert "frozen.safetensors" in hub.repositories[REPO].files
    assert not (tmp_path / "starter" / "frozen.safetensors").exists()
    text = "so happy"
    assert cli("predict", "--model", REPO, text).stdout == cli("predict", "--model", "starter", text).stdout
    assert "nothing changed" in cli("models", "push", "starter", REPO).stderr


def test_a_model_of_several_labels_is_pushed_and_used_alike(
    hub: Hub, cli: Run, tiny_base: Path, tmp_path: Path
) -> None:
    pairs = [("joy", "fear"), ("fear", "anger"), ("anger", "joy")]
    rows = [(f"{a} {b} {x} {y}", a, b) for a, b in pairs for x in WORDS[a] for y in WORDS[b][:5]]
    lines = [f'"{text}","{first}, {second}"' for text, first, second in rows]
    (tmp_path / "several.csv").write_text("text,labels\n" + "\n".join(lines) + "\n")
    settings = ("--task", "multi", "--base-model", tiny_base, "--epochs", 1, "--max-length", 40, "--name", "several")
    trained = cli("train", tmp_path / "several.csv", *settings)
    assert trained.exit_code == 0, trained.output
    assert cli("models", "push", "several", REPO).exit_code == 0
    card = ModelCard(hub.repositories[REPO].files["README.md"].decode())
    assert [result.metric_name for result in card.data.eval_results or ()] == [
        "Micro F1",
        "Macro F1",
        "Subset accuracy",
    ]
    text = "happy and scared"
    assert cli("predict", "--model", REPO, text).stdout == cli("predict", "--model", "several", text).stdout
