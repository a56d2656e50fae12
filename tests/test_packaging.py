"""The built wheel works when it is installed alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import emoclass
from tests.conftest import load_script

PROJECT = Path(__file__).parents[1]


def run(*command: str, **settings: object) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=True, **settings).stdout


@pytest.mark.slow
@pytest.mark.skipif(not (PROJECT / "pyproject.toml").is_file(), reason="not in a source tree")
def test_the_wheel_works_alone(tmp_path: Path) -> None:
    pytest.importorskip("build")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(PROJECT))
    (wheel,) = tmp_path.glob("*.whl")
    files = [path for path in (PROJECT / "src" / "emoclass").rglob("*") if path.is_file()]
    tracked = [path.relative_to(PROJECT).as_posix() for path in files if "__pycache__" not in path.parts]
    check = load_script(PROJECT / "scripts" / "release_check.py")
    assert check.wheel_faults(wheel, tracked, emoclass.__version__) == []
    installed = tmp_path / "installed"
    options = ["--no-deps", "--no-index", "--disable-pip-version-check", "--target", str(installed)]
    run(sys.executable, "-m", "pip", "install", "--quiet", *options, str(wheel))
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    where = run(sys.executable, "-c", "import emoclass; print(emoclass.__file__)", cwd=tmp_path, env=environment)
    assert where.startswith(str(installed))
    shown = run(sys.executable, "-m", "emoclass", "--version", cwd=tmp_path, env=environment)
    assert shown == f"emoclass {emoclass.__version__}\n"
    script = (installed / "bin" / "emoclass") if os.name != "nt" else (installed / "Scripts" / "emoclass.exe")
    assert script.is_file()
