"""Specs as a user may write them: whatever the schema of a kind allows, at random."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import strategies as st
from pydantic import ValidationError

from headrace_operator.api import addresses, crd
from headrace_operator.api.kinds import KINDS
from tests.operator import worlds
from tests.operator.plan import templates

Json = dict[str, Any]
URL = worlds.CONSUMER.spec["handler"]["http"]["url"]
WORDS = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=12)
TEMPLATES = {"ConnectCluster": "jvmOptions", "Consumer": "serviceAccountName"}
"""Kinds by the field that only their templates have."""

HOSTILE = st.sampled_from(
    ("", "root", "0", "privileged: true", "a\nhostNetwork: true", "{{ x }}", "$(id)", "../../etc")
)


def specs(kind: str) -> st.SearchStrategy[Json]:
    """Return specs that obey the schema of ``kind``, with exactly one where the rules want exactly one."""
    found = next(one for one in KINDS if one.name == kind)
    return _values(crd.schema(found)["properties"]["spec"]).map(CHOOSE.get(kind, lambda spec: spec))


@st.composite
def _templates(draw: st.DrawFn, kind: str) -> Json:
    """Return a template with any of its parts taken out, and any text in it another one that it may be."""
    made, model = templates.FULL_OF[kind], templates.MODELS[kind]
    for path in draw(st.lists(st.sampled_from(sorted(templates.paths(made), key=str)), max_size=20)):
        edit = draw(st.none() | st.none() | HOSTILE | WORDS)
        try:
            less = templates.without(made, path) if edit is None else templates.changed(made, path, edit)
            model.model_validate(less)
        except (ValidationError, LookupError, TypeError):
            continue
        made = less
    return made


def _values(node: Json) -> st.SearchStrategy[Any]:
    match node:
        case {"properties": {"startup": _, **own}}:
            return _templates(next((kind for kind, field in TEMPLATES.items() if field in own), "OutboxRelay"))
        case {"enum": words}:
            return st.sampled_from(words)
        case {"type": "object", "properties": properties}:
            required = set(node.get("required", ()))
            parts = {name: _values(child) for name, child in properties.items()}
            return st.fixed_dictionaries(
                {name: part for name, part in parts.items() if name in required},
                optional={name: part for name, part in parts.items() if name not in required},
            )
        case {"type": "object", "additionalProperties": values}:
            return st.dictionaries(WORDS, _values(values), max_size=3)
        case {"type": "array", "items": items}:
            return st.lists(_values(items), min_size=max(1, node.get("minItems", 0)), max_size=2)
        case _:
            return _plain(node)


def _plain(node: Json) -> st.SearchStrategy[Any]:
    """Return values of a field that has no parts."""
    match node:
        case {"type": "boolean"}:
            return st.booleans()
        case {"type": "integer"}:
            return st.integers(node.get("minimum", 0), node.get("maximum", 1000))
        case {"pattern": pattern}:
            most = node.get("maxLength", 2000)
            texts = st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True)
            return texts.filter(lambda text: len(text) <= most)
        case _:
            least, most = node.get("minLength", 0), node.get("maxLength", 2000)
            return (WORDS | HOSTILE | st.text(max_size=30)).filter(lambda text: least <= len(text) <= most)


def _one_of(spec: Json, *names: str) -> Json:
    """Return the part with the first of the names that it has, and none of the others."""
    first = next((name for name in names if name in spec), None)
    return {name: value for name, value in spec.items() if name == first or name not in names}


def _consumer(spec: Json) -> Json:
    handler = _one_of(spec["handler"], "python", "http") or worlds.CONSUMER.spec["handler"]
    if "http" in handler:
        handler = {"http": {**handler["http"], "url": URL}}
    if "python" in handler:
        handler = {"python": _one_of(handler["python"], "source", "image")}
    if "deduplication" in spec.get("delivery", {}):
        store = _one_of(spec["delivery"]["deduplication"], "redis", "memory")
        spec["delivery"]["deduplication"] = store if "redis" in store else {"memory": {}, **store}
    after = spec.get("delivery", {}).get("onDeadLetter", {})
    if after.get("action") == "ParkKey":
        spec["delivery"]["order"] = "Key"
    if "compensate" in after:
        after["compensate"] = _one_of(after["compensate"], "http", "topic") or {"topic": "undo"}
        if "http" in after["compensate"]:
            after["compensate"]["http"]["url"] = URL
    return {**spec, "from": worlds.CONSUMER.spec["from"], "handler": handler, "scale": {}}


def _connect_cluster(spec: Json) -> Json:
    """Return the spec with workers of its own; those that others run are made by nobody here."""
    spec = {name: part for name, part in spec.items() if name != "external"}
    workers = spec.setdefault("workers", {})
    if "resources" in workers and "template" in workers:
        workers["template"] = {**workers["template"], "resources": None}
    return spec


def _connector(spec: Json) -> Json:
    """Return the spec with one thing to capture, and a host that is one: most texts are none, and would be refused."""
    spec["capture"] = _one_of(spec["capture"], "outbox", "tables") or worlds.CONNECTOR.spec["capture"]
    if addresses.DATABASE.refusal(spec["postgres"]["host"]) is not None:
        spec["postgres"]["host"] = worlds.CONNECTOR.spec["postgres"]["host"]
    return spec


def _outbox_relay(spec: Json) -> Json:
    """Return the spec with one database, and a host and a table that are one: most texts would be refused."""
    known = worlds.OUTBOX_RELAY.spec
    spec = {**_one_of(spec, "postgres", "mysql", "mariadb"), "table": known["table"]}
    name = next((one for one in ("postgres", "mysql", "mariadb") if one in spec), "mariadb")
    return {**spec, name: {**spec.get(name, known["mariadb"]), "host": known["mariadb"]["host"]}}


CHOOSE = {
    "Consumer": _consumer,
    "Connector": _connector,
    "ConnectCluster": _connect_cluster,
    "OutboxRelay": _outbox_relay,
}
