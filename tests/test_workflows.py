"""The workflows and issue forms name what exists, and nothing is published untested."""

import re
from pathlib import Path
from typing import Any

import pytest

yaml = pytest.importorskip("yaml")
PROJECT = Path(__file__).parents[1]
GITHUB = PROJECT / ".github"
pytestmark = pytest.mark.skipif(not GITHUB.is_dir(), reason="not in a clone")
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS = sorted(path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def jobs(name: str) -> dict[str, Any]:
    found: dict[str, Any] = load(GITHUB / "workflows" / name)["jobs"]
    return found


def needed(name: str, all_jobs: dict[str, Any]) -> set[str]:
    """Return all jobs that must have passed before one."""
    needs = all_jobs[name].get("needs", [])
    direct = {needs} if isinstance(needs, str) else set(needs)
    return direct.union(*(needed(each, all_jobs) for each in direct))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_has_limits_and_names_what_exists(path: Path) -> None:
    workflow = load(path)
    assert workflow["permissions"] == {"contents": "read"}
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    for name, job in workflow["jobs"].items():
        if "uses" in job:
            assert (PROJECT / job["uses"]).is_file(), name
            continue
        assert job["timeout-minutes"] <= 60, name
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step), name
            assert re.fullmatch(r"[\w./-]+@(v\d+|release/v\d+|[0-9a-f]{40})", step.get("uses", "a@v1")), step
            for target in re.findall(r"\bmake ([\w-]+)", step.get("run", "")):
                assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
            for script in re.findall(r"\bscripts/\S+", step.get("run", "")):
                assert (PROJECT / script).is_file(), script
        assert needed(name, workflow["jobs"]) <= workflow["jobs"].keys()


def test_every_supported_python_is_tested_on_every_system() -> None:
    classifiers = (PROJECT / "pyproject.toml").read_text(encoding="utf-8")
    supported = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', classifiers)
    matrix = jobs("tests.yml")["newest"]["strategy"]["matrix"]
    assert matrix["python"] == supported
    assert {system.split("-")[0] for system in matrix["os"]} == {"ubuntu", "macos", "windows"}
    assert f'requires-python = ">={supported[0]}"' in classifiers


def test_nothing_is_published_before_all_tests_have_passed() -> None:
    release = jobs("release.yml")
    uses = [step.get("uses", "") for step in release["publish"]["steps"]]
    assert any(each.startswith("pypa/gh-action-pypi-publish@") for each in uses)
    assert needed("publish", release) == {"build", "tests"}
    assert release["tests"]["uses"] == "./.github/workflows/tests.yml"
    assert "make release-check" in [step.get("run") for step in release["build"]["steps"]]
    allowed = {name: job.get("permissions") for name, job in release.items() if "permissions" in job}
    assert allowed == {"publish": {"id-token": "write"}, "announce": {"contents": "write"}}


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_an_issue_form_is_complete(path: Path) -> None:
    form = load(path)
    assert form["name"]
    assert form["description"]
    fields = [part for part in form["body"] if part["type"] != "markdown"]
    assert len({field["id"] for field in fields}) == len(fields) > 1
    assert all(field["attributes"]["label"] for field in fields)


def test_a_bug_report_asks_for_the_environment() -> None:
    fields = load(GITHUB / "ISSUE_TEMPLATE" / "bug_report.yml")["body"]
    (environment,) = [field for field in fields if field.get("id") == "environment"]
    assert "emoclass env" in environment["attributes"]["description"]
    assert environment["validations"]["required"]
