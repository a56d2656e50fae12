"""A stream of blocks gives the same rows as reading and cleaning the whole table."""

import json
import os
import threading

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from emoclass.data.cleaning import stream as labelled
from emoclass.data.cleaning.cleaning import clean
from emoclass.data.cleaning.stream import LabelledReader
from emoclass.data.options import DataOptions
from emoclass.data.similarity.folding import HashSet
from emoclass.errors import DataError

OPTIONS = DataOptions()


def streamed(path, **options):
    with LabelledReader(path, DataOptions(**options)) as reader:
        blocks = list(reader.blocks())
        rows = [(int(n), text, label) for b in blocks for n, text, label in zip(b.rows, b.texts, b.labels, strict=True)]
        return rows, reader.removed_counts, [block.read for block in blocks]


def whole(path, **options):
    data = DataOptions(**options)
    table = data.read(path)
    data = clean(table, data.choose_columns(table))
    return list(zip(data.rows.tolist(), data.texts, data.labels, strict=True)), data.removed_counts


cells = st.sampled_from(
    ["a", "A", "a ", "b", "b | c", 'd "e"\tf\ng', "", " ", None, 1, 1.0, "1.0", "text", "Label ", [], ["a"], ["a", "b"],
     "['a']", "[]", {"choices": ["b"]}, [None]]
)  # fmt: skip

texts = cells.filter(lambda cell: not isinstance(cell, list | dict))


@settings(deadline=None)
@given(
    st.lists(st.tuples(texts, cells), max_size=40),
    st.integers(1, 7),
)
@example([("a", "b"), ("Label ", "text")], 1)
def test_blocks_hold_the_rows_that_cleaning_the_table_keeps(tmp_path_factory, rows, size):
    path = tmp_path_factory.mktemp("labelled") / "data.jsonl"
    lines = [{"text": "first", "label": "x"}, *({"text": text, "label": label} for text, label in rows)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(labelled, "BLOCK_ROWS", size)
        if ("Label ", "text") in rows:
            for read_all in (streamed, whole):
                with pytest.raises(DataError, match="repeats the header in another order"):
                    read_all(path)
            return
        found, removed, read = streamed(path)
    assert (found, removed) == whole(path)
    assert sum(read) == len(lines)
    with LabelledReader(path, OPTIONS) as reader:
        list(reader.blocks())
    table = OPTIONS.read(path)
    assert reader.notes == (*table.notes, *clean(table, OPTIONS.choose_columns(table)).notes)


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(-5, 5) | st.integers(-(2**63), 2**63 - 1), max_size=20), max_size=20))
def test_a_hash_set_finds_what_was_added(batches):
    known, seen = HashSet(), set()
    for batch in batches:
        hashes = np.array(batch, dtype=np.int64)
        assert known.find(hashes).tolist() == [value in seen for value in batch]
        expected = []
        for value in batch:
            expected.append(value not in seen)
            seen.add(value)
        assert known.add(hashes).tolist() == expected


def sorted_rows(count):
    """Yield rows sorted by label, with a third column that looks like a label in the first half."""
    for number in range(count):
        label = "sad" if number < count / 2 else "glad"
        yield f"an ordinary sentence of several words, number {number}", label, "one" if number % 2 else f"u{number}"


def test_columns_are_chosen_by_rows_from_the_whole_file(write, monkeypatch):
    monkeypatch.setattr(labelled, "SAMPLE_ROWS", 50)
    path = write("what,how,who\n" + "".join(f'"{a}",{b},{c}\n' for a, b, c in sorted_rows(500)))
    found, *_ = streamed(path, label_column="how")
    assert found == whole(path, label_column="how")[0]
    path = write("what,how\n" + "".join(f'"{a}",{b}\n' for a, b, _ in sorted_rows(500)))
    assert streamed(path)[0] == whole(path)[0]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_is_read_once(tmp_path):
    path = tmp_path / "pipe.csv"
    os.mkfifo(path)
    content = "what,how\n" + "".join(f'"{a}",{b}\n' for a, b, _ in sorted_rows(20_000))
    writer = threading.Thread(target=path.write_text, args=(content,))
    writer.start()
    found, *_ = streamed(path)
    writer.join()
    assert len(found) == 20_000


def test_json_keys_may_come_late(write, monkeypatch):
    monkeypatch.setattr(labelled, "_HEAD_RECORDS", 2)
    rows = [{"id": n} for n in range(5)] + [{"id": 5, "text": "b", "label": "x"}, {"label": "y", "text": "c", "id": 6}]
    path = write("".join(json.dumps(row) + "\n" for row in rows), "data.jsonl")
    found, removed, _ = streamed(path)
    assert found == [(6, "b", "x"), (7, "c", "y")]
    assert removed["null_text"] == 5


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("text,label\n", ["no data rows"]),
        ("what,how\n", ["no data rows"]),
        ("text,label\n,joy\na,\n", ["no row has both", "1 blank text, 1 blank label"]),
        ("text,mood,feeling\na,b\n", ["row 1", "2 fields"]),
        ('{"text": "a", "label": "x"}\n{"text": "b", "label": {"id": 1}}\n', ["row 2 (line 2)", '{"id": 1}']),
        ("text,topic,part\n" + "some words,a,b\n" * 3, ["'topic', 'part' could all hold", "--label-column"]),
    ],
)
def test_errors_are_the_same_as_for_a_table(write, error_of, content, words):
    path = write(content, "data.jsonl" if content.startswith("{") else "data.csv")
    message = error_of(streamed, path)
    assert all(word in message for word in words)
    assert message == error_of(whole, path)
