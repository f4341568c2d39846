"""What goes into images from outside, or is made first: jars by Maven, pinned wheels by pip and uv, our own wheels.

Everything is fetched on this machine, so that the build itself needs no network.
"""

import hashlib
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from tests.cluster import places, pypi
from tests.cluster.alone import alone
from tests.cluster.failure import ClusterError
from tests.cluster.images import debian, store
from tests.cluster.images.catalog import Image
from tests.cluster.progress import run_logged

PLATFORMS = (*(f"manylinux_2_{minor}" for minor in range(36, 16, -1)), "manylinux2014")
"""Wheels for a C library up to that of the base (PEP 600)."""


def jars(image: Image) -> Path:
    """Give the folder that Maven filled from the image's pom.xml and src, made once for each version of them."""
    folder = store.JARS / f"{image.name}-{digest(*maven(image))}"
    with alone(store.JARS_LOCK, "download of jars"):
        if not folder.exists():
            _fill(folder, image.folder, store.LOGS / f"maven-{image.name}.log")
    return folder / "target"


def maven(image: Image) -> list[bytes]:
    """Give what Maven makes the image's jars from."""
    return [(image.folder / "pom.xml").read_bytes(), *tree(image.folder / "src")]


def _fill(folder: Path, project: Path, log: Path) -> None:
    half = folder.with_name(folder.name + ".half")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(parents=True)
    shutil.copy(project / "pom.xml", half)
    if (project / "src").exists():
        shutil.copytree(project / "src", half / "src")
    run_logged(
        ["mvn", "-B", "-q", "package"], cwd=half, log=log, advice="is Maven Central within reach? if so, see the log"
    )
    half.rename(folder)


@cache
def requirements(image: Image) -> str:
    """Give the pinned requirements of the image, from uv.lock. Raises ClusterError when that is out of date."""
    if not image.requirements:
        return _export("--package", image.package, "--all-extras", "--no-dev", "--no-emit-workspace")
    locked = _export("--all-packages", "--all-groups", "--no-hashes", "--no-emit-workspace")
    pins = dict(_pin(line) for line in locked.splitlines())
    wanted = (image.folder / image.requirements).read_text().split()
    if unlocked := [one for one in wanted if _plain(one) not in pins]:
        advice = f"add it to pyproject.toml or mend {image.requirements}"
        raise ClusterError(f"not in uv.lock: {', '.join(unlocked)}", advice=advice)
    return "".join(f"{one}=={pins[_plain(one)]}\n" for one in wanted)


def fetched(text: str) -> str:
    """Give what to fetch of pinned requirements: also what only older patch releases of the base's Python need.

    pip judges that by the Python that it runs on; the base's decides when they are installed.
    """
    return re.sub(rf" ; python_full_version < '{re.escape(debian.PYTHON)}\.\d+'", "", text)


def packages(image: Image) -> Path:
    """Give a folder with the wheels of the image's requirements for the base's Python, made once for each set."""
    text = requirements(image)
    wanted = fetched(text)
    folder = store.WHEELS / f"{image.name}-{digest(wanted.encode(), debian.PYTHON.encode())}"
    if not folder.exists():
        half = folder.with_name(folder.name + ".half")
        half.mkdir(parents=True, exist_ok=True)
        (half / "requirements.txt").write_text(text)
        (half / "fetched.txt").write_text(wanted)
        tags = [word for tag in PLATFORMS for word in ("--platform", f"{tag}_{os.uname().machine}")]
        chosen = ["--only-binary=:all:", "--implementation=cp", f"--python-version={debian.PYTHON}", *tags]
        words = [pypi.pip(), "download", "--disable-pip-version-check", *chosen, "-d", str(half)]
        log = store.LOGS / f"wheels-{image.name}.log"
        run_logged([*words, "-r", str(half / "fetched.txt")], log=log, advice="is PyPI within reach?")
        half.rename(folder)
    return folder


def own_wheel(folder: Path, target: Path, log: Path) -> None:
    """Build the wheel of one workspace package into `target`."""
    words = [pypi.uv(), "build", "--wheel", "--no-config", "--out-dir", str(target), str(folder)]
    run_logged(words, log=log, advice="see the log")


def digest(*parts: bytes) -> str:
    """Name contents by a hash."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(hashlib.sha256(part).digest())
    return whole.hexdigest()[:12]


def tree(folder: Path) -> list[bytes]:
    """Give the names and contents of all files below a folder, save those that tools leave there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not _is_left(path))
    return [part for path in files for part in (str(path.relative_to(folder)).encode(), path.read_bytes())]


def _is_left(path: Path) -> bool:
    return bool({"__pycache__", "dist", "target"} & set(path.parts)) or path.suffix == ".pyc"


def _export(*options: str) -> str:
    words = [pypi.uv(), "export", "--frozen", "--quiet", "--no-annotate", "--no-header", *options]
    done = subprocess.run(words, cwd=places.ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ClusterError(f"`{' '.join(words)}` failed: {done.stderr.strip()}", advice="run `uv lock`")
    return done.stdout


def _pin(line: str) -> tuple[str, str]:
    name, _, version = line.partition(";")[0].strip().partition("==")
    return _plain(name), version


def _plain(requirement: str) -> str:
    return requirement.partition("[")[0].strip().lower().replace("_", "-")
