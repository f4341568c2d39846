"""The base that local images share in place of the public ones: Debian with Python, Java, PostgreSQL, Prometheus.

One layer for all, so a node fetches it once. Only `ensure` acts.
"""

import hashlib

from tests.cluster.images import buildah, store
from tests.cluster.progress import run_logged

RELEASE = "bookworm"
PYTHON = "3.11"
"""Version of this release's python3; wheels are chosen for it."""

PACKAGES = (
    "ca-certificates",
    "openjdk-17-jre-headless",
    "postgresql-15",
    "procps",
    "prometheus",
    "prometheus-alertmanager",
    "python3",
    "python3-venv",
)
MIRRORS = (
    f"deb http://deb.debian.org/debian {RELEASE} main",
    f"deb http://deb.debian.org/debian-security {RELEASE}-security main",
)
LEFT_OUT = (
    "/usr/share/doc",
    "/usr/share/man/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
    "/usr/share/javascript/moment-timezone/moment-timezone-with-data-*",
    "/usr/lib/x86_64-linux-gnu/libLLVM-14.so*",
    "/usr/lib/postgresql/15/lib/bitcode",
    "/var/cache/apt",
    "/var/lib/apt/lists",
    "/var/log/*",
)
"""Removed when all is installed: 400 MB that no container here reads."""

SET_UP = """mkdir -p "$1/etc/postgresql-common"
echo "create_main_cluster = false" > "$1/etc/postgresql-common/createcluster.conf"
"""
STRIP = f"""find "$1" -xdev -perm /6000 -type f -exec chmod a-s {{}} +
cd "$1" && rm -rf {" ".join(f".{path}" for path in LEFT_OUT)}
"""
DOCKERFILE = """FROM scratch
ADD base.tar /
ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8
"""


def key() -> str:
    """Name this base by what it is made from."""
    parts = [RELEASE, *PACKAGES, *MIRRORS, SET_UP, STRIP, DOCKERFILE]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def name() -> str:
    """What the base is called in the storage."""
    return f"localhost/headrace-base:{key()}"


def ensure() -> str:
    """Make the base if it is not there (2 minutes) and give its name. Raises ClusterError when that fails."""
    if not buildah.has(name()):
        folder, log = store.BASES / key(), store.LOGS / "base.log"
        folder.mkdir(parents=True, exist_ok=True)
        tar = folder / "base.tar"
        (folder / "Dockerfile").write_text(DOCKERFILE)
        run_logged(_command(str(tar)), log=log, advice="does `apt-get update` work on this machine?")
        buildah.build(name(), context=folder, dockerfile=folder / "Dockerfile", arguments={}, log=log)
        tar.unlink()
    return name()


def _command(target: str) -> list[str]:
    hooks = [f"--essential-hook={SET_UP}", f"--customize-hook={STRIP}"]
    return ["mmdebstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", *hooks, RELEASE, target, *MIRRORS]
