"""Activation files name themselves in errors."""

import errno
from pathlib import Path

import numpy as np
import pytest
import torch

from emoclass.activations.files import RowFile, RowWriter


def test_a_file_that_became_too_short_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.activations"
    with RowWriter(path) as writer:
        writer.write(torch.arange(8.0).view(4, 2))
    file = RowFile(path, 2, torch.float32, pinned=False)
    assert file.read(np.array([2, 0]), np.array([1, 2])).tolist() == [[4, 5], [0, 1], [2, 3]]
    with path.open("rb+") as content:
        content.truncate(20)
    with pytest.raises(OSError, match="cache clear") as caught:
        file.read(np.array([2]), np.array([2]))
    assert (caught.value.filename, caught.value.errno) == (str(path), errno.EIO)
