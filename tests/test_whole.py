"""The shell around all tests: times, what it leaves running, signals, and failures that say what to do."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.waiting import PATIENCE, until

ROOT = Path(__file__).parent.parent
GOALS = """
first second:
	@touch $@; echo made $@
broken build:
	@false
hears-interrupts:
	@trap 'exit 0' INT; kill -INT $$$$; exit 1
up cluster:
	@echo $@ of $(CURDIR) >> ../cache/log; sleep 0.5
endless:
	@touch begun; sleep 3000
patient:
	@until [ -e second ]; do sleep 0.1; done; echo made $@
down:
	@touch is-down
"""


def checkout(folder: Path) -> Path:
    """Return a checkout of nothing but the script and the goals that it makes."""
    (folder / "tests").mkdir(parents=True)
    shutil.copy(ROOT / "tests" / "whole.sh", folder / "tests")
    (folder / "Makefile").write_text(GOALS)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return checkout(tmp_path / "one")


def started(folder: Path, *goals: str, path: str = os.environ["PATH"]) -> subprocess.Popen[str]:
    words = ["env", "--default-signal=INT", str(folder / "tests" / "whole.sh"), *goals]
    environment = {**os.environ, "HEADRACE_CACHE": str(folder.parent / "cache"), "PATH": path}
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)


def test_each_part_and_the_whole_are_timed(folder: Path) -> None:
    whole = started(folder, "first", "second")

    said, _ = whole.communicate(timeout=PATIENCE)

    assert whole.returncode == 0
    assert re.findall(r"^ *\d+ min \d\d s  (\w+)$", said, re.MULTILINE) == ["first", "second", "down", "whole"]


def test_what_runs_hears_interrupts(folder: Path) -> None:
    """A signal that is ignored stays ignored for all that a process starts, tests of Ctrl-C included."""
    whole = started(folder, "hears-interrupts")

    whole.communicate(timeout=PATIENCE)

    assert whole.returncode == 0


def test_a_red_part_does_not_hide_the_others(folder: Path) -> None:
    whole = started(folder, "first", "broken", "second")

    said, _ = whole.communicate(timeout=PATIENCE)

    assert whole.returncode == 2
    assert "made second" in said


def test_what_is_made_beside_the_others_is_shown_after_them(folder: Path) -> None:
    whole = started(folder, "beside:patient", "second")

    said, _ = whole.communicate(timeout=PATIENCE)

    assert whole.returncode == 0
    assert said.index("made second") < said.index("made patient")
    assert re.findall(r"^ *\d+ min \d\d s  (\w+)$", said, re.MULTILINE) == ["second", "patient", "down", "whole"]


def test_what_is_red_beside_the_others_is_red(folder: Path) -> None:
    whole = started(folder, "beside:broken", "second")

    said, _ = whole.communicate(timeout=PATIENCE)

    assert whole.returncode == 2
    assert "made second" in said


def test_what_others_need_ends_it_and_still_nothing_is_left_running(folder: Path) -> None:
    whole = started(folder, "first", "build", "second")

    said, _ = whole.communicate(timeout=PATIENCE)

    assert whole.returncode == 2
    assert "made second" not in said
    assert (folder / "is-down").exists()


def test_of_two_checkouts_one_waits_for_the_cluster(folder: Path, tmp_path: Path) -> None:
    both = [started(one, "up", "cluster") for one in (folder, checkout(tmp_path / "other"))]

    for one in both:
        one.communicate(timeout=PATIENCE)
    assert [one.returncode for one in both] == [0, 0]
    used = [line.split()[-1] for line in (tmp_path / "cache" / "log").read_text().splitlines()]
    assert used in (sorted(used), sorted(used, reverse=True))
    assert len(set(used)) == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_what_waits_for_the_cluster(folder: Path, tmp_path: Path, number: signal.Signals) -> None:
    """And takes nothing down that the other one uses."""
    (tmp_path / "cache").mkdir()
    with (tmp_path / "cache" / "whole.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        whole = started(folder, "first", "up")
        until("the first goal to be made", (folder / "first").exists)
        whole.send_signal(number)
        whole.communicate(timeout=PATIENCE)
    assert whole.returncode == 128 + number
    assert not (folder / "is-down").exists()


@pytest.mark.parametrize("goals", [["endless", "second"], ["beside:endless", "patient", "second"], ["beside:endless"]])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_what_runs_and_leaves_nothing_running(
    folder: Path, number: signal.Signals, goals: list[str]
) -> None:
    whole = started(folder, *goals)
    until("the goal to begin", (folder / "begun").exists)

    whole.send_signal(number)
    said, _ = whole.communicate(timeout=PATIENCE)

    assert whole.returncode == 128 + number
    assert "made second" not in said
    assert (folder / "is-down").exists()


def test_what_has_not_its_group_yet_is_ended_too(folder: Path, tmp_path: Path) -> None:
    """A signal may come between the start of a goal and its first breath."""
    slow = tmp_path / "bin" / "setsid"
    slow.parent.mkdir()
    late = 'case "$*" in *patient) touch is-late; sleep 2 ;; esac'
    slow.write_text(f'#!/bin/sh\n{late}\nexec {shutil.which("setsid")} "$@"\n')
    slow.chmod(0o755)
    whole = started(folder, "patient", "second", path=f"{slow.parent}:{os.environ['PATH']}")
    until("the goal to be begun", (folder / "is-late").exists)

    whole.send_signal(signal.SIGTERM)
    whole.communicate(timeout=PATIENCE)

    assert whole.returncode == 128 + signal.SIGTERM
    assert (folder / "is-down").exists()


def test_a_generated_file_that_nobody_committed_fails_verify(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    shutil.copy(ROOT / "Makefile", tmp_path)
    verify = ["make", "-C", str(tmp_path), "--old-file=generate", "verify"]

    assert subprocess.run(verify, check=False).returncode == 0
    (tmp_path / "charts").mkdir()
    (tmp_path / "charts" / "made.yaml").touch()
    done = subprocess.run(verify, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "?? charts/" in done.stdout
    assert "run 'make generate' and commit" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("has_uv", [False, True])
def test_a_set_up_that_fails_says_where_its_log_is_and_what_to_do(tmp_path: Path, has_uv: bool) -> None:
    """Where PyPI does not answer: first for uv itself, then for what uv installs."""
    toolchain = Path(os.environ.get("HEADRACE_CACHE") or Path.home() / ".cache" / "headrace") / "toolchain"
    if has_uv:
        (tmp_path / "toolchain").symlink_to(toolchain)
    away = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_RETRIES": "0", "UV_OFFLINE": "1"}
    places = {"HEADRACE_CACHE": tmp_path, "UV_CACHE_DIR": tmp_path / "uv", "UV_PROJECT_ENVIRONMENT": tmp_path / "venv"}
    environment = {**os.environ, **away, **{name: str(path) for name, path in places.items()}}

    done = subprocess.run(
        [ROOT / "tests" / "toolchain.sh"], env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert f"log: {tmp_path}/log/setup.log; check that" in done.stderr
    assert ("uv sync" if has_uv else "pip install") in done.stderr
