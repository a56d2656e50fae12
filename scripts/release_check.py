"""Check that the last commit can be released, and leave its packages in dist/: make release-check.

    python scripts/release_check.py [--rehearsal]

Both packages are built twice, from two copies of the commit, and must be the same to the byte. Each is then installed
into an environment of its own, outside the clone: the commands of the README run with the wheel, and the tests with the
source distribution. --rehearsal does not ask CHANGELOG.md for the version. Needs a shell, the network for pip, and 6 GB
in the directory for temporary files.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT / "scripts"))

from release_notes import NotReleasableError, current_version, release_notes  # noqa: E402

# The greatest size of each package in bytes. The starter is most of it.
LIMITS = {".whl": 6_000_000, ".gz": 8_000_000}
# What must be in a wheel even if somebody takes it out of the repository.
NEEDED = {
    "emoclass/py.typed",
    "emoclass/starter/emoclass.json",
    "emoclass/starter/trained.safetensors",
    "emoclass/pages/evaluation.html.j2",
    "emoclass/pages/inspection.html.j2",
}
# Two builds differ in what must not matter: where, under which umask, in which time zone.
SURROUNDINGS = ((0o022, "UTC"), (0o077, "Asia/Tokyo"))
# Lines of a README that end by themselves: those that begin with emoclass, and what echo tells it.
COMMAND = re.compile(r"^(?:\$ | {4})((?:echo .*\| )?emoclass .*)$", re.MULTILINE)
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HELD_BACK = 60


def main() -> None:
    """Run all checks; the first that fails ends them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rehearsal", action="store_true", help="do not ask CHANGELOG.md for this version")
    arguments = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="emoclass-release-") as directory:
            check(Path(directory), rehearsal=arguments.rehearsal)
    except NotReleasableError as error:
        sys.exit(f"release-check: {error}")


def check(directory: Path, *, rehearsal: bool) -> None:
    """Check the last commit, cheap checks first.

    Args:
        directory: An empty directory outside the clone.
        rehearsal: The changelog may have unreleased changes.
    """
    version = current_version()
    refuse_changes(PROJECT)
    if not rehearsal:
        release_notes((PROJECT / "CHANGELOG.md").read_text(encoding="utf-8"), version)
    say(f"building emoclass {version} twice")
    wheel, sdist = build_twice(PROJECT, directory)
    tracked = git(PROJECT, "ls-files", "-z").rstrip("\0").split("\0")
    faults = [*wheel_faults(wheel, tracked, version), *sdist_faults(sdist, tracked, version)]
    if faults:
        raise NotReleasableError("; ".join(faults))
    run(sys.executable, "-m", "twine", "check", "--strict", str(wheel), str(sdist))
    source = unpacked(sdist, directory / "sources")
    check_wheel(wheel, source, version, directory)
    check_sdist(sdist, source, version, directory)
    dist = PROJECT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    dist.mkdir()
    for package in (wheel, sdist):
        shutil.copyfile(package, dist / package.name)
        say(f"{hashlib.sha256(package.read_bytes()).hexdigest()}  dist/{package.name}")


def refuse_changes(project: Path) -> None:
    """Stop if the clone has anything that the last commit does not have."""
    changed = git(project, "status", "--porcelain").splitlines()
    if changed:
        names = ", ".join(line[3:] for line in changed[:3]) + (", ..." if len(changed) > 3 else "")
        raise NotReleasableError(f"uncommitted changes: {names}; commit or stash them, then check again")


def build_twice(project: Path, directory: Path) -> tuple[Path, Path]:
    """Return the wheel and the source distribution of the last commit, the same from two builds."""
    built = []
    for number, (umask, zone) in enumerate(SURROUNDINGS):
        source, target = directory / f"copy-{number}", directory / f"dist-{number}"
        archive = directory / f"copy-{number}.tar"
        git(project, "archive", "--output", str(archive), "HEAD")
        with tarfile.open(archive) as tar:
            tar.extractall(source, filter="data")
        environment = {**os.environ, "SOURCE_DATE_EPOCH": git(project, "log", "-1", "--format=%ct").strip(), "TZ": zone}
        command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(target), str(source)]
        run(*command, environment=environment, umask=umask)
        built.append({path.name: path for path in sorted(target.iterdir())})
    refuse_differences(*built)
    (wheel,) = [path for path in built[0].values() if path.suffix == ".whl"]
    (sdist,) = [path for path in built[0].values() if path.suffix == ".gz"]
    return wheel, sdist


def refuse_differences(first: dict[str, Path], second: dict[str, Path]) -> None:
    """Stop unless two builds have the same packages, to the byte."""
    if first.keys() != second.keys():
        raise NotReleasableError(f"two builds of one commit: {', '.join(first)} and {', '.join(second)}")
    for name in first:
        if first[name].read_bytes() != second[name].read_bytes():
            raise NotReleasableError(f"{name} differs between two builds of one commit; compare them with diffoscope")


def wheel_faults(wheel: Path, tracked: list[str], version: str) -> list[str]:
    """Return what is wrong with the content of a wheel.

    Args:
        wheel: The file.
        tracked: Paths in the repository.
        version: The version that it should have.
    """
    information = f"emoclass-{version}.dist-info/"
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    package = {name.removeprefix("src/") for name in tracked if name.startswith("src/")} | NEEDED
    package.add(f"{information}licenses/LICENSE")
    others = {name for name in names if not name.startswith(information)}
    return differences(wheel, missing=package - names, surplus=others - package)


def sdist_faults(sdist: Path, tracked: list[str], version: str) -> list[str]:
    """Return what is wrong with the content of a source distribution: it has all files but those of the forge."""
    top = f"emoclass-{version}/"
    with tarfile.open(sdist) as archive:
        names = {member.name.removeprefix(top) for member in archive if member.isfile()}
    wanted = {name for name in tracked if not name.startswith(".")}
    return differences(sdist, missing=wanted - names, surplus=names - wanted - {"PKG-INFO", ".gitignore"})


def differences(package: Path, missing: set[str], surplus: set[str]) -> list[str]:
    """Return in words what a package lacks, what it should not have, and whether it is too large."""
    found = []
    if missing:
        found.append(f"{package.name} lacks {', '.join(sorted(missing))}")
    if surplus:
        found.append(f"{package.name} should not have {', '.join(sorted(surplus))}")
    size, limit = package.stat().st_size, LIMITS[package.suffix]
    if size > limit:
        found.append(f"{package.name} has {size:,} bytes; the limit is {limit:,}")
    return found


def check_wheel(wheel: Path, source: Path, version: str, directory: Path) -> None:
    """Install a wheel, and run all commands and the Python of the README with it."""
    say("the wheel: the commands of the README")
    place = Installed(wheel, "offline", directory / "wheel", version)
    write_examples(source / "examples" / "emotions.csv", place.work)
    readme = (source / "README.md").read_text(encoding="utf-8")
    commands, programs = COMMAND.findall(readme), PYTHON.findall(readme)
    if len(commands) < 4 or not programs:
        raise NotReleasableError("README.md: the commands were not found; see COMMAND in scripts/release_check.py")
    for line in commands:
        say(f"$ {line}")
        place.run("bash", "-o", "pipefail", "-c", line)
    for program in programs:
        say("the README's Python")
        place.run("python", "-c", program)


def check_sdist(sdist: Path, source: Path, version: str, directory: Path) -> None:
    """Install a source distribution, and run the tests in it against what was installed."""
    say("the source distribution: the first answer and the tests")
    place = Installed(sdist, "dev,offline", directory / "sdist", version)
    place.run("bash", "-o", "pipefail", "-c", 'echo "I got the job!" | emoclass predict')
    # src is not on the path of the tests: they import what was installed.
    tests = ("pytest", "--numprocesses", "2", "--dist", "loadgroup", "-m", "not slow", "-q")
    place.run("python", "-m", *tests, cwd=source)
    say("a program with types, against what was installed")
    place.run("python", "-m", "pytest", "-q", "tests/test_typing.py", cwd=source)


class Installed:
    """A fresh environment with one package and what it needs."""

    def __init__(self, package: Path, extras: str, directory: Path, version: str) -> None:
        self.environment = directory / "environment"
        self.work = directory / "work"
        self.home = directory / "home"
        self.work.mkdir(parents=True)
        run(sys.executable, "-m", "venv", str(self.environment))
        pip = ("python", "-m", "pip", "install", "--quiet", "--constraint", str(PROJECT / "constraints.txt"))
        self.run(*pip, f"emoclass[{extras}] @ {package.as_uri()}")
        where = Path(self.run("python", "-c", "import emoclass; print(emoclass.__file__)", quiet=True).strip())
        if not where.is_relative_to(self.environment):
            raise NotReleasableError(f"{package.name}: emoclass is imported from {where}")
        shown = self.run("emoclass", "--version", quiet=True).strip()
        if shown != f"emoclass {version}":
            raise NotReleasableError(f"{package.name}: emoclass --version prints {shown!r}")

    def run(self, *command: str, cwd: Path | None = None, quiet: bool = False) -> str:
        """Run a command of this environment, in cwd or a directory of its own, with nothing of the user's settings."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
        path = f"{self.environment / 'bin'}{os.pathsep}{os.environ['PATH']}"
        own = {"PATH": path, "EMOCLASS_HOME": str(self.home), "HF_HUB_OFFLINE": "1", "PYTHONNOUSERSITE": "1"}
        return run(*command, environment={**kept, **own}, cwd=cwd or self.work, quiet=quiet)


def write_examples(examples: Path, target: Path) -> None:
    """Write the files that the README names, from the example: most rows to train, the rest for everything else."""
    with examples.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    texts = [row[header.index("text")] for row in rows[-HELD_BACK:]]
    for name, part in (("tweets.csv", rows[:-HELD_BACK]), ("gold.csv", rows[-HELD_BACK:])):
        with (target / name).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([header, *part])
    with (target / "new.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["text"], *([text] for text in texts)])
    (target / "lines.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")


def unpacked(sdist: Path, target: Path) -> Path:
    """Unpack a source distribution, and return its only directory."""
    with tarfile.open(sdist) as archive:
        archive.extractall(target, filter="data")
    (source,) = target.iterdir()
    return source


def git(project: Path, *arguments: str) -> str:
    """Return what git prints."""
    return run("git", "-C", str(project), *arguments, quiet=True)


def run(
    *command: str,
    environment: dict[str, str] | None = None,
    cwd: Path | None = None,
    umask: int = -1,
    quiet: bool = False,
) -> str:
    """Run a command, and stop if it fails.

    Args:
        command: The program, looked up in the PATH of environment, and its arguments.
        environment: In place of that of this process.
        cwd: The directory to run in.
        umask: The umask of the command; -1: that of this process.
        quiet: Return what it prints, in place of showing it.
    """
    program = shutil.which(command[0], path=(environment or os.environ)["PATH"])
    if program is None:
        raise NotReleasableError(f"{command[0]} is not installed")
    output = subprocess.PIPE if quiet else None
    done = subprocess.run(
        [program, *command[1:]], env=environment, cwd=cwd, umask=umask, stdout=output, text=True, check=False
    )
    if done.returncode:
        raise NotReleasableError(f"failed with exit code {done.returncode}: {' '.join(command)}")
    return done.stdout or ""


def say(line: str) -> None:
    """Show which check runs, before the output of what it starts."""
    print(line, flush=True)


if __name__ == "__main__":
    main()
