"""Build, find and push images with buildah, in a storage of our own. The only caller of buildah."""

import json
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from tests.cluster import node
from tests.cluster.images import store
from tests.cluster.progress import run_logged

LOCAL = "localhost:5000/"
POLICY = store.STORAGE / "policy.json"
ADVICE = "see the log; `rm -rf " + str(store.STORAGE) + "` makes buildah start anew"
ASK = "is the registry there, and are you logged in to it (`buildah login`)?"
FIND = """
import sys, urllib.request
host, _, rest = sys.argv[1].partition("/")
name, _, tag = rest.rpartition(":")
accept = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
request = urllib.request.Request(f"http://{host}/v2/{name}/manifests/{tag}", headers=accept, method="HEAD")
try:
    print(urllib.request.urlopen(request, timeout=60).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""


def has(name: str) -> bool:
    """Tell whether the storage holds this image."""
    return (
        subprocess.run([*_words(), "inspect", "--type=image", name], capture_output=True, check=False).returncode == 0
    )


def build(name: str, *, context: Path, dockerfile: Path, arguments: Mapping[str, str], log: Path) -> None:
    """Build an image from a context folder. Raises ClusterError with the end of the log when that fails."""
    chosen = [word for key, value in arguments.items() for word in ("--build-arg", f"{key}={value}")]
    fixed = ["--isolation=chroot", "--pull-never", "--layers", "--format=oci", f"--signature-policy={_policy()}"]
    where = ["--tag", name, "--file", str(dockerfile), str(context)]
    run_logged([*_words(), "bud", *fixed, *chosen, *where], log=log, advice=ADVICE)


def push(name: str, reference: str, *, log: Path) -> str | None:
    """Bring an image of the storage to its registry and give its digest; None when the cluster's own has it already.

    The cluster's registry is reached inside its network, any other one from here with the login of
    `buildah login`. Raises ClusterError when the registry refuses.
    """
    inside = reference.startswith(LOCAL)
    if inside and node.run(["python3", "-c", FIND, reference]).strip() == "200":
        return None
    digest = store.STORAGE / "digest"
    words = [*_words(), "push", f"--signature-policy={_policy()}", "--format=oci", f"--digestfile={digest}"]
    if inside:
        words = [*node.enter(), *words, "--tls-verify=false"]
    run_logged([*words, name, f"docker://{reference}"], log=log, advice=ASK)
    return digest.read_text().strip()


@cache
def _words() -> tuple[str, ...]:
    places = (f"--root={store.STORAGE / 'storage'}", f"--runroot={store.STORAGE / 'run'}")
    overlay = ("buildah", *places, "--storage-driver=overlay")
    works = subprocess.run([*overlay, "info"], capture_output=True, check=False).returncode == 0
    return overlay if works else ("buildah", *places, "--storage-driver=vfs")


def _policy() -> Path:
    """Images are ours: no signature is asked for."""
    if not POLICY.exists():
        store.replace(POLICY, json.dumps({"default": [{"type": "insecureAcceptAnything"}]}))
    return POLICY
