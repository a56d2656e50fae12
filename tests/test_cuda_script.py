"""The CUDA check runs from end to end, here on a CPU with a tiny model."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
SCRIPT = PROJECT / "benchmarks" / "cuda_run.py"
pytestmark = pytest.mark.skipif(not SCRIPT.is_file(), reason="not in a source tree")


def run(tmp_path: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    source = str(PROJECT / "src")
    settings = {"PYTHONPATH": source, "OUT": str(tmp_path / "out"), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, str(SCRIPT), *options]
    whole = {**os.environ, **settings, **environment}
    return subprocess.run(command, capture_output=True, text=True, timeout=240, env=whole)


@pytest.mark.slow
def test_every_section_runs_on_a_cpu(tmp_path: Path) -> None:
    result = run(tmp_path, "--device", "cpu", "--tiny")
    assert result.returncode == 0, result.stdout + (tmp_path / "out" / "cuda.log").read_text()
    rows = json.loads((tmp_path / "out" / "cuda.json").read_text())["rows"]
    verdicts = {f"{row['section']}: {row['what']}": row["verdict"] for row in rows}
    assert "FAILED" not in verdicts.values()
    for what in (
        "environment: packages",
        "parity: tiny, last layer, fp32: gradients",
        "parity: tiny, all layers, bf16: logits",
        "resume: first epoch after resuming",
        "resume: killed and resumed",
        "prediction: tiny, fp32: share of the CPU's labels",
    ):
        assert verdicts[what] == ("ok" if not what.startswith("environment") else ""), what
    for what in (
        "prediction: tiny: pipeline, batches of 32, texts/s",
        "speed: tiny, last layer: emoclass, s",
        "speed: tiny, all layers: Trainer, s",
        "host: tiny, last layer: ms per step",
        "host: attention, current, ms",
        "memory: tiny, all layers, batch size 8: peak GB",
    ):
        assert what in verdicts
    table = [line for line in result.stdout.splitlines() if line.startswith("| ")]
    assert len(table) == len(rows) + 1


def test_without_a_gpu_it_says_so(tmp_path: Path) -> None:
    result = run(tmp_path)
    assert result.returncode == 1
    assert "--device cuda: torch" in result.stderr
    assert not result.stdout


def test_what_no_longer_fits_is_skipped(tmp_path: Path) -> None:
    result = run(tmp_path, "--device", "cpu", "--tiny", "--minutes", "0")
    assert result.returncode == 0
    assert result.stdout.count("| skipped | no time left |") == 7
