"""Which images there are, and what each is made from. Data only."""

from dataclasses import dataclass
from pathlib import Path

from tests.cluster.places import ROOT

HERE = Path(__file__).resolve().parent
AGENT = ROOT / "connectors" / "agent"
RUNTIME = ROOT / "connectors" / "runtime"
OPERATOR = ROOT / "operator"
CONNECT = ROOT / "connectors" / "connect"
DEMO = ROOT / "tests" / "demo"


@dataclass(frozen=True, kw_only=True)
class Image:
    """One image: its Dockerfile and what its build context holds, each part optional.

    `files` lie beside the Dockerfile; `pom` makes `target/`; `package` (a workspace package) or `requirements` makes
    `packages/`, pinned wheels; `wheels` (workspace folders) and `trees` (folders of the repository) make `code/`.
    """

    name: str
    folder: Path
    files: tuple[str, ...] = ()
    pom: bool = False
    package: str = ""
    requirements: str = ""
    wheels: tuple[Path, ...] = ()
    trees: tuple[Path, ...] = ()

    @property
    def dockerfile(self) -> Path:
        """Where the image's Dockerfile is."""
        return self.folder / "Dockerfile"

    @property
    def needs_packages(self) -> bool:
        """Whether Python packages from outside go into it."""
        return bool(self.package or self.requirements)


IMAGES = (
    Image(
        name="connect",
        folder=CONNECT,
        pom=True,
        files=("entrypoint.sh", "rest.jaas", "jmx-exporter.yaml", "log4j2.properties", "log-template.json"),
    ),
    Image(name="kafka", folder=HERE / "kafka", pom=True, files=("entrypoint.sh", "kafka-run", "log4j2.properties")),
    Image(name="postgres", folder=HERE / "postgres", files=("entrypoint.sh",)),
    Image(name="prometheus", folder=HERE / "prometheus", files=("discover.py",)),
    Image(name="agent", folder=AGENT, package="headrace-agent", wheels=(AGENT,)),
    Image(name="runtime", folder=RUNTIME, package="headrace", wheels=(RUNTIME,)),
    Image(name="operator", folder=OPERATOR, package="headrace-operator", wheels=(RUNTIME, AGENT, OPERATOR)),
    Image(name="demo", folder=DEMO, requirements="requirements.txt", trees=(DEMO,)),
)


def chosen(names: list[str]) -> list[Image]:
    """Give the images of these names, all of them for none. Raises ValueError for a name that is not known."""
    known = {image.name: image for image in IMAGES}
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"no such image: {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in names] if names else list(IMAGES)
