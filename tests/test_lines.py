"""The half-written last line is left for the next look."""

from __future__ import annotations

from pathlib import Path

from tests import lines


def test_a_line_without_its_end_is_left(tmp_path: Path) -> None:
    file = tmp_path / "log"
    assert lines.written(file) == []
    file.write_text('{"n": 1}\n{"n": 2}\n{"n"')
    assert lines.events(file) == [{"n": 1}, {"n": 2}]
    assert lines.events(file, since=9) == lines.events(file, since=4) == [{"n": 2}]
    assert lines.written(file, since=18) == []


def test_a_file_that_grows_is_read_on(tmp_path: Path) -> None:
    file = tmp_path / "log"
    growing = lines.Growing(file)
    assert growing.events() == []
    file.write_text('{"n": "one"}\n{"n"')
    assert growing.events() == growing.events() == [{"n": "one"}]
    with file.open("a") as more:
        more.write(': "zwölf"}\n{"n": 3}\n')
    assert growing.events() == [{"n": "one"}, {"n": "zwölf"}, {"n": 3}]
