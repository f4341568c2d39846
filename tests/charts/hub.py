"""What Artifact Hub is told of the charts, in the annotations of Chart.yaml, by ``python -m tests.charts.hub``.

The kinds are those of the models, the examples those of `operator/examples`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

from headrace_operator.api.kinds import KINDS
from headrace_operator.api.schema import GROUP, VERSION
from tests.charts.rendering import CHARTS

EXAMPLES = CHARTS.parent / "operator/examples"
PREFIX = "artifacthub.io/"


class _Block(str):
    """A text that stands in YAML as it is."""


class _Dumper(yaml.SafeDumper):
    """Writes such texts as blocks."""


_Dumper.add_representer(_Block, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|"))


def main() -> int:
    """Write the annotations of both charts."""
    for chart, wanted in told().items():
        file = CHARTS / chart / "Chart.yaml"
        file.write_text(_with(file, wanted))
    return 0


def told() -> dict[str, dict[str, str]]:
    """Return the annotations of each chart."""
    common = {"license": "Apache-2.0", "operator": "true", "category": "streaming-messaging"}
    kinds = {"crds": _Block(_text(_kinds())), "crdsExamples": _Block(_text(_examples()))}
    found = {"headrace": common, "headrace-crds": {**common, **kinds}}
    return {chart: {PREFIX + name: text for name, text in one.items()} for chart, one in found.items()}


def _kinds() -> list[dict[str, str]]:
    return [
        {
            "kind": kind.name,
            "version": VERSION,
            "name": f"{kind.plural}.{GROUP}",
            "displayName": kind.name,
            "description": kind.description,
        }
        for kind in KINDS
    ]


def _examples() -> list[dict[str, Any]]:
    found = list(yaml.safe_load_all((EXAMPLES / "outbox.yaml").read_text()))
    known = {one["kind"] for one in found}
    more = ("outbox-relay.yaml", "snapshot.yaml")
    others = [one for name in more for one in yaml.safe_load_all((EXAMPLES / name).read_text())]
    return [*found, *(one for one in others if one["kind"] not in known)]


def _text(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, width=1000, allow_unicode=True)


def _with(file: Path, wanted: dict[str, str]) -> str:
    """Return the text of a Chart.yaml with these annotations, which come last in it."""
    before = file.read_text().partition("annotations:\n")[0]
    return before + yaml.dump({"annotations": wanted}, Dumper=_Dumper, sort_keys=False, width=1000, allow_unicode=True)


if __name__ == "__main__":
    sys.exit(main())
