"""Nothing is released that is not committed, not in the changelog, or not complete."""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

import emoclass
from tests.conftest import load_script

PROJECT = Path(__file__).parents[1]
SCRIPTS = PROJECT / "scripts"
pytestmark = pytest.mark.skipif(not SCRIPTS.is_dir(), reason="not in a source tree")
CHANGELOG = """# Changelog

## [Unreleased]

## [0.2.0] - 2026-03-01

### Added

- Two things, see [the page](docs/page.md).

## [0.1.0] - 2026-01-31

The first release.
"""


@pytest.fixture(scope="module")
def notes() -> Any:
    return load_script(SCRIPTS / "release_notes.py")


@pytest.fixture(scope="module")
def check() -> Any:
    path = list(sys.path)
    yield load_script(SCRIPTS / "release_check.py")
    sys.path[:] = path


def test_the_notes_of_a_version_are_its_section(notes: Any) -> None:
    assert notes.release_notes(CHANGELOG, "0.1.0") == "The first release.\n"
    assert notes.release_notes(CHANGELOG, "0.2.0") == "### Added\n\n- Two things, see [the page](docs/page.md).\n"


@pytest.mark.parametrize(
    ("changelog", "message"),
    [
        (CHANGELOG.replace("[0.2.0] - 2026-03-01", "[0.3.0] - 2026-03-01"), "no section for 0.2.0; add: ## [0.2.0] -"),
        (CHANGELOG.replace(" - 2026-03-01", ""), "0.2.0 has no date"),
        (CHANGELOG.replace(" - 2026-03-01", " - soon"), "0.2.0 has no date"),
        (CHANGELOG.replace("### Added\n\n- Two things, see [the page](docs/page.md).\n", ""), "of 0.2.0 is empty"),
        (CHANGELOG.replace("## [Unreleased]\n", "## [Unreleased]\n\n- More.\n"), "[Unreleased] is not empty"),
        ("", "no section for 0.2.0"),
    ],
)
def test_a_changelog_that_is_not_ready_is_refused(notes: Any, changelog: str, message: str) -> None:
    with pytest.raises(notes.NotReleasableError) as caught:
        notes.release_notes(changelog, "0.2.0")
    assert message in str(caught.value)


def test_no_notes_are_one_line_and_no_traceback() -> None:
    command = [sys.executable, str(SCRIPTS / "release_notes.py"), "99.0.0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr == "CHANGELOG.md: no section for 99.0.0; add: ## [99.0.0] - YYYY-MM-DD\n"


def test_the_version_is_that_of_the_package_and_in_the_changelog_or_unreleased(notes: Any) -> None:
    version = notes.current_version()
    assert version == emoclass.__version__
    found = notes.sections((PROJECT / "CHANGELOG.md").read_text(encoding="utf-8"))
    assert version in found or found["Unreleased"][1]
    assert all(notes.DATE.fullmatch(date) for name, (date, _) in found.items() if name != "Unreleased")


def test_what_is_not_committed_is_refused(check: Any, tmp_path: Path) -> None:
    if shutil.which("git") is None:
        pytest.skip("needs git")
    check.git(tmp_path, "init", "--quiet")
    check.refuse_changes(tmp_path)
    (tmp_path / "new.py").write_text("")
    with pytest.raises(check.NotReleasableError, match="uncommitted changes: new.py; commit or stash them"):
        check.refuse_changes(tmp_path)


def write_wheel(path: Path, names: list[str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return path


def test_a_wheel_has_the_package_and_nothing_else(check: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracked = ["README.md", "tests/test_a.py", "src/emoclass/__init__.py", *(f"src/{name}" for name in check.NEEDED)]
    information = ["emoclass-1.0.dist-info/METADATA", "emoclass-1.0.dist-info/licenses/LICENSE"]
    whole = ["emoclass/__init__.py", *check.NEEDED, *information]
    wheel = tmp_path / "emoclass-1.0-py3-none-any.whl"
    assert check.wheel_faults(write_wheel(wheel, whole), tracked, "1.0") == []
    for lost in (*check.NEEDED, "emoclass/__init__.py", information[1]):
        faults = check.wheel_faults(write_wheel(wheel, [name for name in whole if name != lost]), tracked, "1.0")
        assert faults == [f"{wheel.name} lacks {lost}"]
    faults = check.wheel_faults(write_wheel(wheel, [*whole, "tests/test_a.py"]), tracked, "1.0")
    assert faults == [f"{wheel.name} should not have tests/test_a.py"]
    without = [name for name in tracked if name != "src/emoclass/py.typed"]
    assert check.wheel_faults(write_wheel(wheel, [n for n in whole if n != "emoclass/py.typed"]), without, "1.0")
    monkeypatch.setitem(check.LIMITS, ".whl", 100)
    (fault,) = check.wheel_faults(write_wheel(wheel, whole), tracked, "1.0")
    assert fault.endswith("bytes; the limit is 100")


def test_a_source_distribution_has_all_files_but_those_of_the_forge(check: Any, tmp_path: Path) -> None:
    sdist = tmp_path / "emoclass-1.0.tar.gz"
    (tmp_path / "file").write_text("")
    with tarfile.open(sdist, "w:gz") as archive:
        for name in ("PKG-INFO", ".gitignore", "README.md", "tests/test_a.py"):
            archive.add(tmp_path / "file", f"emoclass-1.0/{name}")
    tracked = [".gitignore", ".github/workflows/tests.yml", "README.md", "tests/test_a.py"]
    assert check.sdist_faults(sdist, tracked, "1.0") == []
    assert check.sdist_faults(sdist, [*tracked, "SECURITY.md"], "1.0") == [f"{sdist.name} lacks SECURITY.md"]
    assert check.sdist_faults(sdist, tracked[:3], "1.0") == [f"{sdist.name} should not have tests/test_a.py"]


def test_two_builds_must_be_the_same(check: Any, tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    first.write_bytes(b"same")
    second.write_bytes(b"same")
    check.refuse_differences({"a.whl": first}, {"a.whl": second})
    second.write_bytes(b"other")
    with pytest.raises(check.NotReleasableError, match="a.whl differs between two builds"):
        check.refuse_differences({"a.whl": first}, {"a.whl": second})
    with pytest.raises(check.NotReleasableError, match="two builds of one commit"):
        check.refuse_differences({"a.whl": first}, {"b.whl": first})


def test_the_commands_of_the_readme_are_found_and_have_their_files(check: Any, tmp_path: Path) -> None:
    readme = (PROJECT / "README.md").read_text(encoding="utf-8")
    commands = check.COMMAND.findall(readme)
    assert commands[0] == 'echo "I got the job!" | emoclass predict'
    assert "emoclass train tweets.csv --base-model minilm" in commands
    assert not [line for line in commands if line.startswith("tail")]
    (program,) = check.PYTHON.findall(readme)
    check.write_examples(PROJECT / "examples" / "emotions.csv", tmp_path)
    for name in ("tweets.csv", "gold.csv", "new.csv", "lines.txt"):
        assert (tmp_path / name).stat().st_size > 1000
        assert name in program + "\n".join(commands)
