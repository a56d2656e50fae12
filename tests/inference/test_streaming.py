"""Records are predicted in order, in windows that close when the input pauses, and threads end."""

import io
import os
import queue
import sys
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from itertools import islice
from pathlib import Path

import pytest

from emoclass.data.options import DataOptions
from emoclass.data.tables.records import open_records
from emoclass.errors import DataError
from emoclass.inference.classifiers import Classifier
from emoclass.inference.predictor import load
from emoclass.inference.records import RecordInput, TextInput
from emoclass.inference.streaming import predict_items
from emoclass.inference.threads import Behind, Windows, ahead
from tests.conftest import until


@pytest.fixture
def classifier(tiny_model: Path) -> Classifier:
    return load(tiny_model, precision="fp32")


def lines(content: bytes) -> list[str]:
    with open_records("-", stdin=io.BytesIO(content), prediction=True) as reader:
        return [record.values[0] for record in reader]


def test_lines_are_not_changed() -> None:
    content = b"\xef\xbb\xbffirst\r\n\n caf\xc3\xa9 \xc2\x85 one \xe2\x80\xa8 line\nbroken \xff byte\nno\0end"
    assert lines(content) == ["first", "", " café \x85 one \u2028 line", "broken \ufffd byte", "no\0end"]


def test_invalid_utf8_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes(b"x" * 70_000 + "é\n".encode() + b"\xff a \xff\n" + "caf\xe9\n".encode("cp1252") * 3)
    with open_records(path, prediction=True) as reader:
        assert len(list(reader)) == 5
        assert reader.replaced == (5, "cp1252")


def test_a_window_closes_when_the_input_pauses() -> None:
    source: queue.Queue[str | None] = queue.Queue()
    groups = iter(Windows(iter(source.get, None), 3))
    source.put("a")
    assert next(groups) == ["a"]
    for line in "bcdef":
        source.put(line)
    source.put(None)
    rest = list(groups)
    assert [line for group in rest for line in group] == list("bcdef")
    assert max(map(len, rest)) <= 3


def test_windows_start_small_and_have_a_maximum_weight() -> None:
    sizes = [len(window) for window in Windows(iter(range(5000)), 1024)]
    assert max(sizes) <= 1024
    assert sizes[0] <= 32
    assert sum(sizes) == 5000
    heavy = list(Windows(iter([3, 30, 3, 3, 5]), 1024, weigh=lambda item: item, most=10))
    assert [item for window in heavy for item in window] == [3, 30, 3, 3, 5]
    assert all(sum(window) <= 10 or len(window) == 1 for window in heavy)


def test_reading_ahead_is_bounded() -> None:
    read = []

    def endless() -> Iterator[int]:
        while True:
            read.append(1)
            yield 1

    windows, taken = Windows(endless(), 64), 0
    for window in islice(windows, 20):
        taken += len(window)
        until(lambda ahead=taken + 2 * 64: len(read) >= ahead)
        assert len(read) <= taken + 2 * 64 + 1  # one waits for room
    windows.stop()


def test_a_reading_error_is_raised_after_the_items_before_it() -> None:
    def broken() -> Iterator[str]:
        yield "a"
        raise OSError("the pipe is gone")

    groups = ahead(Windows(broken(), 10))
    assert next(groups) == ["a"]
    with pytest.raises(OSError, match="the pipe is gone"):
        next(groups)


def test_work_behind_keeps_the_order_and_raises_its_errors() -> None:
    done: list[int] = []
    with Behind(done.append) as behind:
        for number in range(20):
            behind.put(number)
    assert done == list(range(20))

    def fail(number: int) -> None:
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError), Behind(fail) as behind:
        behind.put(1)


def test_closing_a_stream_early_ends_its_threads(classifier: Classifier) -> None:
    before = threading.active_count()
    stream = predict_items(classifier, TextInput(f"a happy day {n}" for n in range(100_000)))
    next(stream)
    stream.close()
    for thread in threading.enumerate():
        if thread.name.startswith("emoclass"):
            thread.join(timeout=5)
    assert threading.active_count() <= before


def test_each_line_of_a_slow_input_is_answered_at_once(classifier: Classifier) -> None:
    source: queue.Queue[str | None] = queue.Queue()
    stream = predict_items(classifier, TextInput(iter(source.get, None)))
    for text in ("happy", "so afraid", "angry"):
        source.put(text)
        (item, prediction), *more = next(stream)
        assert (item.text, more) == (text, [])
        assert prediction.label
    source.put(None)
    assert list(stream) == []


def test_the_text_column_is_detected_or_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("id,what was said\n1,a happy day it is\n2,so afraid of you\n")
    notes: list[str] = []
    with RecordInput([str(path)], DataOptions(), on_note=notes.append) as records:
        items = list(records)
    assert [item.text for item in items] == ["a happy day it is", "so afraid of you"]
    assert "--text-column" in notes[0]
    with RecordInput([str(path), str(path)], DataOptions(text_column="ID")) as records:
        items = list(records)
    assert [item.text for item in items] == ["1", "2"] * 2
    with pytest.raises(DataError, match="no column 'nothing'"):
        RecordInput([str(path)], DataOptions(text_column="nothing"))


@pytest.mark.skipif(sys.platform == "win32", reason="needs named pipes")
@pytest.mark.parametrize("header", [None, True])
def test_a_first_line_of_data_is_noticed_in_a_slow_pipe(header: bool | None, tmp_path: Path) -> None:
    pipe = tmp_path / "rows.csv"
    os.mkfifo(pipe)

    def write() -> None:
        with pipe.open("wb", buffering=0) as stream:
            stream.write(b"i am so happy today,joy\n")
            stream.write(b"what a day it is,sad\nwhat a night it was,joy\n")

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    expected = pytest.raises(DataError, match="first line seems to be data") if header is None else nullcontext()
    with expected, RecordInput([str(pipe)], DataOptions(header=header)) as records:
        assert [item.text for item in records] == ["what a day it is", "what a night it was"]
    thread.join(timeout=20)


@pytest.mark.skipif(sys.platform == "win32", reason="needs named pipes")
def test_closing_does_not_wait_for_a_stalled_input(tmp_path: Path) -> None:
    pipe = tmp_path / "lines.txt"
    os.mkfifo(pipe)
    closed = threading.Event()

    def read_one_window() -> None:
        with RecordInput([str(pipe)], DataOptions()) as records:
            (item,) = next(iter(Windows(records, 10)))
            assert item.text == "a happy day"
        closed.set()

    thread = threading.Thread(target=read_one_window, daemon=True)
    thread.start()
    with pipe.open("wb", buffering=0) as stream:
        stream.write(b"a happy day\n")
        assert closed.wait(timeout=20)
