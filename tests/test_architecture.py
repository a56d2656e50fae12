"""The floors of the code, and what a command may import."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import emoclass

ROOT = Path(emoclass.__file__).parent
# Each room imports only from those on floors below its own, or from itself.
FLOORS = {
    "errors": 0, "_version": 0, "fingerprint": 0, "locking": 1, "config": 1, "runtime": 1,
    "model": 2, "data": 3, "store": 3, "inference": 4, "evaluation": 5, "pages": 6, "training": 6, "api": 7, "cli": 8,
}  # fmt: skip
FILES = sorted(path for path in ROOT.rglob("*.py") if path.parent != ROOT or path.stem in FLOORS)


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    own = room(path)
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "emoclass" or len(parts) < 2 or parts[1] not in FLOORS:
            continue
        assert parts[1] == own or FLOORS[parts[1]] < FLOORS[own], f"{own} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_command_line_prints_and_exits(path: Path) -> None:
    if room(path) == "cli":
        return
    assert not {name.split(".")[0] for name in imports(path)} & {"typer", "rich", "click"}
    calls = [node.func for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    names = {call.id for call in calls if isinstance(call, ast.Name)}
    names |= {f"{c.value.id}.{c.attr}" for c in calls if isinstance(c, ast.Attribute) and isinstance(c.value, ast.Name)}
    assert not names & {"print", "exit", "quit", "sys.exit"}


def test_transformers_is_imported_in_one_place() -> None:
    users = {str(path.relative_to(ROOT)) for path in FILES for n in imports(path) if n.split(".")[0] == "transformers"}
    assert users == {str(Path("model") / "base.py")}


def loaded_modules(*arguments: str) -> set[str]:
    code = (
        "import sys\n"
        "from emoclass.cli import app\n"
        f"try:\n    app({list(arguments)!r})\nexcept SystemExit as error:\n    assert not error.code, error.code\n"
        "sys.stderr.write('LOADED ' + ' '.join(sys.modules))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    return set(result.stderr.split("LOADED ")[1].split())


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["train", "--help"], ["predict", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    assert not loaded_modules(*arguments) & {"torch", "transformers", "pandas", "sklearn", "numpy", "tokenizers"}


def test_split_and_models_never_import_torch(emotions_csv: Path, tmp_path: Path) -> None:
    assert "torch" not in loaded_modules("split", str(emotions_csv), "--output-dir", str(tmp_path / "parts"))
    assert "torch" not in loaded_modules("models", "list")
    assert "torch" not in loaded_modules("cache", "show")


def test_predict_does_not_import_what_it_does_not_need(tiny_train) -> None:
    assert tiny_train().exit_code == 0
    assert not loaded_modules("predict", "a happy day") & {
        "transformers",
        "pandas",
        "sklearn",
        "huggingface_hub",
        "ray",
    }
