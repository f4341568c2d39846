"""Tables keep what one types next, at any width, and nothing is cut where no terminal is."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from headrace.cli.laptop import dlq, status, table
from tests.runtime.cli import transcripts

pytestmark = pytest.mark.case("seeing-5")

DLQ_LIST = """
from headrace.cli.laptop import dlq
from headrace.cli.laptop import output
from tests.runtime.cli import transcripts as t
output.write(output.render([], dlq.columns(t.LETTERS, t.NOW), output.Format.TABLE))
"""


@pytest.mark.parametrize("name", transcripts.texts())
def test_transcript_is_the_golden_one(name: str) -> None:
    golden = (transcripts.GOLDEN / name).read_text()

    assert transcripts.texts()[name] == golden, "look at it, then: python -m tests.runtime.cli.transcripts"


def test_there_is_no_transcript_of_nothing() -> None:
    assert {path.name for path in transcripts.GOLDEN.iterdir()} == set(transcripts.texts())


@given(
    room=st.integers(min_value=80, max_value=300),
    key=st.text(min_size=1, max_size=400).filter(str.strip),
    error=st.text(max_size=400),
    place=st.from_regex(r"[0-9]{1,3}/[0-9]{1,12}", fullmatch=True),
)
def test_a_list_of_dead_letters_keeps_name_and_key(room: int, key: str, error: str, place: str) -> None:
    letters = [transcripts.letter(), transcripts.letter(name=place, key=key, error=error)]
    text = table.text(dlq.columns(letters, transcripts.NOW), room)
    head, _, line = text.splitlines()

    assert head.split() == ["NAME", "KEY", "SOURCE", "REASON", "ATTEMPTS", "REDRIVEN", "AGE", "ERROR"]
    assert line.split()[0] == place
    assert max(map(cell_len, text.splitlines())) <= room
    assert head.index("SOURCE") - head.index("KEY") - 2 >= 12 or "…" not in line[head.index("KEY") :].split()[0]


@given(
    room=st.integers(min_value=80, max_value=300),
    name=st.from_regex(r"[a-z]([-a-z0-9]{0,44}[a-z0-9])?", fullmatch=True),
    message=st.text(max_size=400),
)
def test_a_status_keeps_every_name_and_every_column(room: int, name: str, message: str) -> None:
    one = status.state(transcripts.resource(name, ready="False", reason="RollingOut", message=message), "Consumer")
    columns = status.columns([one, *transcripts.STATES], everywhere=True)
    text = table.text(columns, room)

    assert [line.split()[2] for line in text.splitlines()[1:]] == columns["NAME"]
    assert " ".join(text.splitlines()[0].split()) == " ".join(columns)


def test_a_longer_last_column_takes_nothing_from_the_others() -> None:
    """It is cut first, down to 32 cells."""
    widths = {"NAME": 5, "KEY": 30, "ERROR": 400}

    assert table.fitted(widths, 80) == {"NAME": 5, "KEY": 30, "ERROR": 41}
    assert table.fitted(widths, 60) == {"NAME": 5, "KEY": 26, "ERROR": 25}


def test_one_key_without_end_leaves_a_piped_table_whole() -> None:
    """Nothing is cut, and the other lines are not filled up to its length."""
    letters = [transcripts.letter(key="k" * 300_000), transcripts.letter(name="0/1")]
    first, second = table.text(dlq.columns(letters, transcripts.NOW), None).splitlines()[1:]

    assert "k" * 300_000 in first
    assert transcripts.UNREACHED in first
    assert second.startswith("0/1 ")
    assert len(second) < 400


@pytest.mark.parametrize("width", [80, 120, 200])
def test_a_terminal_is_asked_for_its_width(width: int) -> None:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    with subprocess.Popen(
        [sys.executable, "-c", DLQ_LIST], stdin=theirs, stdout=theirs, stderr=theirs,
        env={**environment, "TERM": "dumb"},
    ) as process:  # fmt: skip
        os.close(theirs)
        seen = _read(ours)
    os.close(ours)

    assert process.returncode == 0, seen
    assert seen.replace("\r\n", "\n") == transcripts.texts()[f"dlq-list-{width}.txt"]


def _read(terminal: int) -> str:
    seen = b""
    while True:
        try:
            more = os.read(terminal, 65536)
        except OSError:  # the other side is closed
            more = b""
        if not more:
            return seen.decode()
        seen += more
