"""Build and push images: each is named by a hash of all it is made from, so what did not change is not built again."""

import shutil
import subprocess
from pathlib import Path

from tests.cluster import packages
from tests.cluster.images import buildah, debian, ingredients, store
from tests.cluster.images.catalog import Image
from tests.cluster.places import ROOT
from tests.cluster.progress import Steps, run_logged, say

TOOLS = ("buildah", "mmdebstrap")
MAVEN = ("default-jdk-headless", "maven")


def build(images: list[Image], *, registry: str, push: bool) -> dict[str, str]:
    """Build these images, push them when asked to, and give their references, pinned where they were pushed.

    `registry` is a prefix such as `localhost:5000/headrace`. Says how far it is. Raises ClusterError at the first that
    fails.
    """
    steps = Steps(len(images) + 2)
    with steps.step("Tools for images", "buildah, mmdebstrap, Maven; kept"):
        _install_tools(images)
    with steps.step("Base of the images", "first time 2 min, then kept"):
        debian.ensure()
    made: dict[str, str] = {}
    for image in images:
        with steps.step(f"Image {image.name}"):
            reference = f"{registry}/{image.name}:{tag(image)}"
            made[image.name] = _one(image, reference, push=push)
            store.record(image.name, reference)
    return made


def tag(image: Image) -> str:
    """Name the image's content: a hash of its Dockerfile, its context and its base."""
    parts = [image.dockerfile.read_bytes(), debian.key().encode()]
    parts += [(image.folder / file).read_bytes() for file in image.files]
    parts += ingredients.maven(image) if image.pom else []
    parts += [ingredients.requirements(image).encode()] if image.needs_packages else []
    return ingredients.digest(*parts, *_code(image))


def _one(image: Image, reference: str, *, push: bool) -> str:
    local = f"localhost/headrace-{image.name}:{tag(image)}"
    log = store.LOGS / f"image-{image.name}.log"
    if not buildah.has(local):
        context = _context(image, log)
        arguments = {"BASE": debian.name(), **_keys(image)}
        buildah.build(local, context=context, dockerfile=context / "Dockerfile", arguments=arguments, log=log)
        shutil.rmtree(context)
    if not push:
        return reference
    digest = buildah.push(local, reference, log=log)
    say(f"      {reference} {'pushed' if digest else 'was there'}")
    return f"{reference}@{digest}" if digest else reference


def _keys(image: Image) -> dict[str, str]:
    """Name what the Dockerfile mounts, so that buildah's layer cache sees a change of it."""
    if not image.needs_packages:
        return {}
    packages = {"PACKAGES_KEY": ingredients.digest(ingredients.requirements(image).encode())}
    return {**packages, "CODE_KEY": tag(image)} if image.wheels else packages


def _context(image: Image, log: Path) -> Path:
    """Lay out the folder that the Dockerfile copies from."""
    folder = store.CONTEXTS / image.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for file in ("Dockerfile", *image.files):
        shutil.copy(image.folder / file, folder)
    if image.pom:
        shutil.copytree(ingredients.jars(image), folder / "target")
    if image.needs_packages:
        shutil.copytree(ingredients.packages(image), folder / "packages")
    for wheel in image.wheels:
        ingredients.own_wheel(wheel, folder / "code", log)
    for tree in image.trees:
        target = folder / "code" / tree.relative_to(ROOT)
        shutil.copytree(tree, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    run_logged(["chmod", "-R", "go=u-w", str(folder)], log=log, advice="see the log")
    return folder


def _code(image: Image) -> list[bytes]:
    sources = [(folder / "pyproject.toml").read_bytes() for folder in image.wheels]
    sources += [part for folder in image.wheels for part in ingredients.tree(folder / "src")]
    return sources + [part for folder in image.trees for part in ingredients.tree(folder)]


def _install_tools(images: list[Image]) -> None:
    wanted = [name for name in TOOLS if shutil.which(name) is None]
    if any(image.pom for image in images) and not _maven_works():
        wanted += MAVEN
    if wanted:
        say(f"      installing {', '.join(wanted)}")
        packages.install(wanted)


def _maven_works() -> bool:
    if shutil.which("mvn") is None or shutil.which("javac") is None:
        return False
    return subprocess.run(["mvn", "-v"], capture_output=True, check=False).returncode == 0
