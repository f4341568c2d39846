"""What contestants run in: Python environments by lock files, jars by Maven, the server by Go; all cached."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

from tests.cluster import places, pypi, toolchain
from tests.cluster.images import catalog, ingredients
from tests.cluster.progress import run_logged

FOLDER = Path(__file__).parent
CACHE = places.CACHE / "bench"
ASK = "import importlib.metadata as m, sys; print(*(f'{n} {m.version(n)}' for n in sys.argv[1:]), sep=', ')"


IMAGE = re.compile(r"^ARG BASE=python:(\d+\.\d+)", re.MULTILINE)


@cache
def interpreter() -> str:
    """Return the Python that all run on: of the release that the runtime's image has, else this one."""
    found = IMAGE.search((places.ROOT / "connectors" / "runtime" / "Dockerfile").read_text(encoding="utf-8"))
    assert found is not None
    environment = {**os.environ, "PYENV_VERSION": found[1]}  # what pyenv has installed it hides else
    words = [pypi.uv(), "python", "find", "--no-python-downloads", found[1]]
    told = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    return told.stdout.strip() if told.returncode == 0 else sys.executable


@cache
def python(group: str) -> Path:
    """Return the interpreter of the environment of one dependency group in ``pyproject.toml``, or of ``headrace``."""
    own = ["--no-dev", "--package", "headrace", "--project", str(places.ROOT)]
    which = own if group == "headrace" else ["--only-group", group, "--project", str(FOLDER)]
    folder = CACHE / f"python-{group}"
    words = [pypi.uv(), "sync", "--frozen", "--quiet", "--python", interpreter(), *which]
    environment = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(folder)}
    environment.pop("VIRTUAL_ENV", None)
    log = CACHE / "log" / f"{group}.log"
    run_logged(words, log=log, advice="is PyPI within reach? if so, see the log", env=environment)
    return folder / "bin" / "python"


def versions(interpreter: Path, *packages: str) -> str:
    """Return the versions of packages in an environment, as text."""
    done = subprocess.run([str(interpreter), "-c", ASK, *packages], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@cache
def jars() -> Path:
    """Return the folder with the jars of the Parallel Consumer in ``libs``."""
    return ingredients.jars(catalog.Image(name="parallel-consumer", folder=FOLDER / "jvm", pom=True))


@cache
def server() -> Path:
    """Return the program that records are pushed to."""
    source = FOLDER / "server" / "main.go"
    program = CACHE / f"server-{ingredients.digest(source.read_bytes(), toolchain.GO_VERSION.encode())}"
    if not program.exists():
        toolchain.install()
        half = program.with_name(program.name + ".half")
        words = [str(toolchain.GO), "build", "-o", str(half), str(source)]
        log = CACHE / "log" / "server.log"
        run_logged(words, log=log, advice="see the log", env=toolchain.environment(os.environ))
        half.rename(program)
    return program


PACKAGES = {
    "headrace": ("confluent-kafka", "httptools", "uvloop"),
    "bare": ("confluent-kafka", "aiohttp", "uvloop"),
    "faststream": ("faststream", "aiokafka"),
    "quix": ("quixstreams", "confluent-kafka"),
}
"""Whose versions are told of each environment."""


def release() -> str:
    """Return the version of Python."""
    done = subprocess.run([str(interpreter()), "--version"], capture_output=True, text=True, check=True)
    return done.stdout.split()[1]


def java() -> str:
    """Return the version of the JVM."""
    told = subprocess.run(["java", "--version"], capture_output=True, text=True, check=True).stdout
    return told.split()[1]


def jar_versions() -> str:
    """Return the versions of the Parallel Consumer and its client."""
    wanted = ("parallel-consumer-core-", "kafka-clients-")
    names = sorted(file.stem for file in (jars() / "libs").iterdir())
    return ", ".join(name for name in names if name.startswith(wanted))
