"""The sandbox image: one static program that holds a pod's namespaces, packed and given to containerd.

Run inside the node as ``python -m tests.cluster.sandbox PAUSE_BINARY``; does nothing when containerd has it already.
"""

import hashlib
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

from tests.cluster.settings import SANDBOX_IMAGE

CONTAINERD = ["ctr", "--namespace", "k8s.io", "images"]


def archive(program: bytes) -> bytes:
    """Pack `program` as an image with the one file `/pause`, in the layout of `docker save`."""
    layer = _tar({"pause": (program, 0o755)})
    root = {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]}
    process = {"Entrypoint": ["/pause"], "User": "65535:65535"}
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": process, "rootfs": root}).encode()
    manifest = [{"Config": "config.json", "RepoTags": [SANDBOX_IMAGE], "Layers": ["layer.tar"]}]
    files = {"config.json": config, "layer.tar": layer, "manifest.json": json.dumps(manifest).encode()}
    return _tar({name: (data, 0o644) for name, data in files.items()})


def _tar(files: dict[str, tuple[bytes, int]]) -> bytes:
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as tar:
        for name, (data, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), mode
            tar.addfile(entry, io.BytesIO(data))
    return output.getvalue()


def main() -> None:
    """Import the image when it is missing; the exit code is containerd's client's."""
    listed = subprocess.run([*CONTAINERD, "list", "--quiet"], capture_output=True, text=True, check=True)
    if SANDBOX_IMAGE not in listed.stdout.splitlines():
        subprocess.run([*CONTAINERD, "import", "-"], input=archive(Path(sys.argv[1]).read_bytes()), check=True)


if __name__ == "__main__":
    main()
