"""What is BERT's stays in encoders/bert: a further family of encoders has one place to come to."""

import ast
import subprocess
import sys
from pathlib import Path

import emoclass
from emoclass.encoders.bert.config import HIDDEN_ACTIVATIONS
from emoclass.encoders.bert.linear import ACTIVATIONS

ROOT = Path(emoclass.__file__).parent
INSIDE = ROOT / "encoders" / "bert"
OUTSIDE = sorted(path for path in ROOT.rglob("*.py") if INSIDE not in path.parents)
# Prefixes of its tensors' names, and the beginnings of transformers' names of its classes.
NAMES = ("bert.", "embeddings.", "encoder.layer", "pooler.", "cls.", "Bert")


def strings(tree: ast.AST) -> set[str]:
    """Return all strings but docstrings."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstrings = {ast.get_docstring(node, clean=False) for node in ast.walk(tree) if isinstance(node, documented)}
    constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {value for value in constants if isinstance(value, str)} - docstrings


def test_other_packages_do_not_name_parts_of_bert() -> None:
    for path in OUTSIDE:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert not attributes & {"bert", "encoder", "word_embeddings", "attention"}, path
        assert not [value for value in strings(tree) if value.startswith(NAMES)], path


def test_sizes_names_and_token_ids_need_no_torch() -> None:
    modules = "bert.checkpoint", "bert.config", "bert.numpy_model", "base", "batching", "tokenization", "weights"
    code = "".join(f"import emoclass.encoders.{module}\n" for module in modules)
    code += "import sys\nsys.exit('torch' in sys.modules)"
    assert not subprocess.run([sys.executable, "-c", code], timeout=120, check=False).returncode


def test_all_activations_that_a_config_may_name_are_computed() -> None:
    assert set(HIDDEN_ACTIVATIONS) == set(ACTIVATIONS)
