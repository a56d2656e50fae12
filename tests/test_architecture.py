"""The layers of the code, and what a command may import."""

import ast
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import emoclass

ROOT = Path(emoclass.__file__).parent
# A package imports only from packages of lower layers, and from itself.
LAYERS = {
    "errors": 0, "_version": 0, "fingerprint": 0, "lfs": 0,
    "config": 1, "recipes": 2, "runtime": 1, "locking": 1, "files": 1, "outputs": 2, "verified": 2, "hub": 2,
    "torch_state": 2,
    "data.columns": 2, "data.tables": 3, "data.options": 4, "data.similarity": 4, "data.cleaning": 5, "data.split": 6,
    "data.inspection": 6, "data.parts": 6, "data.preparation": 7, "data": 7,
    "encoders": 4, "encoders.bert": 3, "encoders.generic": 3, "activations": 5, "store": 5,
    "inference": 8, "inference.ray": 9, "export": 9, "evaluation": 9, "pages": 10, "training": 10, "api": 11,
    "sklearn_labels": 11, "sklearn": 12, "cli": 12,
}  # fmt: skip
FILES = sorted(path for path in ROOT.rglob("*.py") if path.parent != ROOT or path.stem in LAYERS)


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path): path for path in FILES}


def package_of(module: str) -> str:
    """The innermost package, or the module itself where it stands beside packages."""
    return max((name for name in LAYERS if module == name or module.startswith(f"{name}.")), key=len)


@cache
def imported_names(path: Path) -> list[str]:
    """Everything that a file imports, at the top, in functions, and for types only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


@cache
def imported_modules(path: Path) -> set[str]:
    """The modules of emoclass that a file imports from."""
    found = set()
    for parts in (name.split(".") for name in imported_names(path) if name.startswith("emoclass.")):
        candidates = (".".join(parts[1:end]) for end in range(len(parts), 1, -1))
        found |= {next((module for module in candidates if module in MODULES), "errors")}
    return found


@cache
def public_modules(package: str) -> set[str]:
    """What ``__all__`` of a package names: the modules that other packages may import from."""
    tree = ast.parse((ROOT / package.replace(".", "/") / "__init__.py").read_text(encoding="utf-8"))
    lists = [node.value for node in tree.body if isinstance(node, ast.Assign)]
    return {f"{package}.{name}" for value in lists for name in ast.literal_eval(value)}


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_point_down(path: Path) -> None:
    own = package_of(module_of(path))
    for module in imported_modules(path):
        other = package_of(module)
        assert other == own or LAYERS[other] < LAYERS[own], f"{own} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_other_packages_are_entered_by_their_public_modules(path: Path) -> None:
    own = package_of(module_of(path))
    for module in imported_modules(path):
        other = package_of(module)
        if other != own and module != other:
            assert module in public_modules(other), f"{module} is not in __all__ of {other}"


def test_no_module_imports_itself_by_way_of_others() -> None:
    TopologicalSorter({module: imported_modules(path) for module, path in MODULES.items()}).prepare()


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_only_the_command_line_prints_and_exits(path: Path) -> None:
    if package_of(module_of(path)) == "cli":
        return
    assert not {name.split(".")[0] for name in imported_names(path)} & {"typer", "rich", "click"}
    calls = [node.func for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    names = {call.id for call in calls if isinstance(call, ast.Name)}
    names |= {f"{c.value.id}.{c.attr}" for c in calls if isinstance(c, ast.Attribute) and isinstance(c.value, ast.Name)}
    assert not names & {"print", "exit", "quit", "sys.exit"}


def test_transformers_is_imported_where_base_models_are_loaded() -> None:
    users = {
        module for module, path in MODULES.items() for n in imported_names(path) if n.split(".")[0] == "transformers"
    }
    assert users == {"encoders.base", "encoders.generic.loading"}


def test_the_client_of_the_hub_is_imported_where_the_hub_is_asked() -> None:
    users = {
        module for module, path in MODULES.items() for n in imported_names(path) if n.split(".")[0] == "huggingface_hub"
    }
    assert users == {"hub.client", "hub.errors", "store.card"}


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


def test_what_looks_at_files_imports_no_numbers() -> None:
    for command in (["models"], ["models", "show", "starter"], ["models", "path", "starter"], ["cache"]):
        assert not loaded_modules(*command) & {"torch", "numpy", "pandas", "tokenizers", "huggingface_hub"}, command


def test_what_looks_at_data_imports_no_models(emotions_csv: Path, tmp_path: Path) -> None:
    table = str(emotions_csv)
    for command in (["split", table, "-o", str(tmp_path / "parts")], ["inspect-data", table, "--base-model", "none"]):
        loaded = loaded_modules(*command)
        assert not loaded & {"torch", "transformers", "sklearn", "tokenizers", "huggingface_hub", "ray"}, command


@pytest.mark.usefixtures("trained_model")
@pytest.mark.parametrize("more", [[], ["--engine", "torch"]])
def test_predict_does_not_import_what_it_does_not_need(more: list[str]) -> None:
    loaded = loaded_modules("predict", *more, "a happy day")
    assert ("torch" in loaded) == bool(more)
    assert not loaded & {
        "transformers",
        "pyarrow",
        "rich",
        "ftfy",
        "safetensors",
        "pandas",
        "sklearn",
        "huggingface_hub",
        "ray",
    }
