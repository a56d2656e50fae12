"""States of unfinished trainings: whole or skipped, and nothing else is touched."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest
import torch

from emoclass.runtime import runs_dir
from emoclass.store.runs import RunStates, clear_runs, parse_state, run_key, unfinished_runs
from tests.disks import largest_file

KEY = run_key("a recipe", 1)
TENSORS = {
    "weights": torch.arange(12, dtype=torch.bfloat16).view(3, 4).T,  # not contiguous
    "order": torch.arange(5, dtype=torch.uint8),
    "none": torch.empty(0, 3),
    "one": torch.tensor(1.5),
}
METADATA = {"epoch": 3, "history": [{"loss": 0.1}], "name": "grün\n"}


def test_a_state_comes_back_also_by_way_of_bytes() -> None:
    with RunStates(KEY) as states:
        states.save(TENSORS, METADATA)
        for state in (states.load(), parse_state(states.read())):
            assert state is not None
            assert state.metadata == METADATA
            assert state.tensors.keys() == TENSORS.keys()
            assert all(torch.equal(tensor, TENSORS[name]) for name, tensor in state.tensors.items())
        states.note(name="other", more=None)
        state = states.load()
        assert state is not None
        assert state.metadata == {**METADATA, "name": "other", "more": None}
    assert parse_state(b"") is None


def test_a_changed_byte_anywhere_is_noticed() -> None:
    with RunStates(KEY) as states:
        states.save(TENSORS, METADATA)
        content = states.read()
        same = 0
        for place in range(len(content)):
            state = parse_state(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
            if state is not None:  # spaces that pad the header
                same += 1
                assert state.metadata == METADATA
                assert all(torch.equal(tensor, TENSORS[name]) for name, tensor in state.tensors.items())
        assert same < 8
        assert all(parse_state(content[:size]) is None for size in range(len(content)))


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_full_disk_leaves_the_states_before() -> None:
    with RunStates(KEY) as states:
        states.save(TENSORS, METADATA)
        with largest_file(10_000), pytest.raises(OSError, match="File too large"):
            states.save({"x": torch.zeros(10_000)}, {})
        state = states.load()
        assert state is not None
        assert state.metadata == METADATA
        assert sorted(path.name for path in states.directory.iterdir()) == ["1.state", "lock"]


def test_what_a_killed_process_left_goes_when_the_run_is_opened() -> None:
    with RunStates(KEY) as states:
        states.save(TENSORS, METADATA)
    for name in (".2.state.0123abcd.tmp", ".tmpAbCdEf"):  # the second is of safetensors
        (states.directory / name).write_text("half")
    with RunStates(KEY, idle=True):
        assert len(list(states.directory.iterdir())) == 4
    with RunStates(KEY) as states:
        assert sorted(path.name for path in states.directory.iterdir()) == ["1.state", "lock"]


def test_clearing_leaves_what_is_not_of_a_run() -> None:
    with RunStates(KEY) as states:
        states.save(TENSORS, METADATA)
    theirs = runs_dir() / "tensorboard"
    theirs.mkdir()
    (theirs / "1.state").write_text("theirs")
    assert [path for path, _ in unfinished_runs()] == [states.directory]
    assert clear_runs() > 0
    assert [path.name for path in runs_dir().iterdir()] == ["tensorboard"]
    assert [path.name for path in theirs.iterdir()] == ["1.state"]


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX permissions")
def test_states_have_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    with RunStates(KEY) as states:
        states.save(TENSORS, METADATA)
        (path,) = states.directory.glob("*.state")
        assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "usual").stat().st_mode)
