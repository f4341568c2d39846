"""Where images and their ingredients are kept, and the record of what an image is called. Paths and small files."""

import json
from pathlib import Path

from tests.cluster.places import CACHE

STORAGE = CACHE / "buildah"
CONTEXTS = CACHE / "context"
JARS = CACHE / "jars"
WHEELS = CACHE / "wheels"
BASES = CACHE / "base"
LOGS = CACHE / "log"
REFERENCES = CACHE / "images.json"
LOCK = CACHE / "images.lock"
JARS_LOCK = CACHE / "jars.lock"


def references() -> dict[str, str]:
    """Give the full reference of each image that was built last, by its name."""
    return dict(json.loads(REFERENCES.read_text())) if REFERENCES.exists() else {}


def record(name: str, reference: str) -> None:
    """Note what an image is called now."""
    replace(REFERENCES, json.dumps({**references(), name: reference}, indent=1, sort_keys=True) + "\n")


def replace(file: Path, content: str) -> None:
    """Write a file so that a reader sees the old or the new content, never half of it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    half = file.with_name(file.name + ".half")
    half.write_text(content)
    half.replace(file)
