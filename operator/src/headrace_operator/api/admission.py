"""Who may name what in a spec: admission policies that the API server judges itself, made from the schemas.

What the operator does for a resource it does with rights of its own, so whoever writes one must have them, too: to get
each Secret that it names, to use what it refers to, and to create pods where it brings code. One question to the
authorizer costs 350,000 of the 1,000,000 that an expression may cost and of the 10,000,000 that all of a policy may
(Kubernetes, CEL limits): hence one expression for each place of a list of Secrets, and a bound for the list.

Pure: it returns manifests and text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from headrace_operator.api import crd
from headrace_operator.api.kind import Kind
from headrace_operator.api.kinds import KINDS
from headrace_operator.api.properties import WHOLE
from headrace_operator.api.schema import GROUP
from headrace_operator.api.secrets import slots

API_VERSION = "admissionregistration.k8s.io/v1"
RBAC = "rbac.authorization.k8s.io"
LABELS = {"app.kubernetes.io/name": "headrace-crds", "app.kubernetes.io/part-of": "headrace"}

MOST_SECRETS = 20
"""Secrets that one object may name: as many questions, and those about uses and pods, stay within the budget."""

MOST_REFERENCES = 100
"""Places in one object that may name them."""

JUDGED = {
    "KafkaConnection": ("bootstrapServers", "tls", "sasl", "properties"),
    "ConnectCluster": (
        "kafka",
        "workers.image",
        "workers.config",
        "workers.template",
        "rest",
        "external",
        "agent.template",
    ),
    "Connector": ("connect", "postgres", "config"),
    "Consumer": ("from", "handler", "delivery.deduplication", "delivery.onDeadLetter", "template"),
    "OutboxRelay": ("kafka", "postgres", "mysql", "mariadb", "template"),
    "Snapshot": ("connector", "tables", "type", "filter"),
}
"""Parts of a spec with references, addresses or code: a change of anything else asks nobody."""

USED = {
    "ConnectCluster": (("kafka", "kafkaconnections"),),
    "Connector": (("connect", "connectclusters"),),
    "Consumer": (("from.connector", "connectors"), ("from.kafka", "kafkaconnections")),
    "OutboxRelay": (("kafka", "kafkaconnections"),),
}
"""Parts of a spec that name another resource, whose login the object's pods are given."""

EDITED = {"Snapshot": (("connector", "connectors"),)}
"""Parts of a spec that name another resource, which who writes them must be allowed to edit.

What a Snapshot asks for is done by the Connector's login, its filter is SQL that the database runs with it, and the
Connector's own ``config`` takes such SQL, too: whoever may not write that gets it by no other way.
"""

ADDRESSES = {"ConnectCluster": (("external", "external.url", "externalconnects"),)}
"""Parts of a spec by which the operator itself asks an address for somebody, each with what holds that address.

It reaches what they may not, such as workers of other namespaces, so each address is a resource of its own to `use`.
"""

CODE = {
    "ConnectCluster": ("workers.image", "workers.template", "agent.template"),
    "Consumer": ("handler.python", "template"),
    "OutboxRelay": ("template",),
}
"""Parts of a spec that say what runs in pods."""

PROPERTIES, CUT = "variables.properties", "value.substring(value.indexOf('/') + 1, value.lastIndexOf(':'))"
RAW = {"ConnectCluster": "workers.config", "Connector": "config"}
"""Raw properties, of which some may name a key of a Secret."""


def policies() -> list[dict[str, Any]]:
    """Return a policy and its binding for each kind."""
    return [made for kind in KINDS for made in (_policy(kind), _binding(kind))]


def roles() -> list[dict[str, Any]]:
    """Return what Kubernetes' own roles ``view``, ``edit`` and ``admin`` are given over the kinds."""
    plurals = [kind.plural for kind in KINDS]
    used = sorted({plural for uses in USED.values() for _, plural in uses})
    reads = {"apiGroups": [GROUP], "resources": plurals, "verbs": ["get", "list", "watch"]}
    writes = {"apiGroups": [GROUP], "resources": plurals, "verbs": ["create", "update", "patch", "delete"]}
    uses = {"apiGroups": [GROUP], "resources": used, "verbs": ["use"]}
    return [_role("view", ("view", "edit", "admin"), [reads]), _role("edit", ("edit", "admin"), [writes, uses])]


def files() -> dict[str, str]:
    """Return the chart's files by name; each is left out where its value is false."""
    made = {"admission-policies.yaml": ("admissionPolicies", policies()), "roles.yaml": ("aggregatedRoles", roles())}
    return {name: _file(value, objects) for name, (value, objects) in made.items()}


def _file(value: str, objects: Sequence[Mapping[str, Any]]) -> str:
    text = "---\n".join(yaml.safe_dump(one, sort_keys=False, width=120, allow_unicode=True) for one in objects)
    return f"{crd.HEAD}{{{{- if .Values.{value} }}}}\n{text}{{{{- end }}}}\n"


def _policy(kind: Kind) -> dict[str, Any]:
    spec = crd.schema(kind)["properties"]["spec"]
    rule = {"apiGroups": [GROUP], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"], "resources": [kind.plural]}
    body = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [rule]},
        "matchConditions": [{"name": "references-addresses-or-code", "expression": _changes(kind, spec)}],
        **_variables(kind, spec),
        "validations": _validations(kind, spec),
    }
    return {"apiVersion": API_VERSION, "kind": "ValidatingAdmissionPolicy", "metadata": _metadata(kind), "spec": body}


def _binding(kind: Kind) -> dict[str, Any]:
    spec = {"policyName": _metadata(kind)["name"], "validationActions": ["Deny"]}
    return {
        "apiVersion": API_VERSION,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": _metadata(kind),
        "spec": spec,
    }


def _metadata(kind: Kind) -> dict[str, Any]:
    return {"name": f"{kind.plural}.{GROUP}", "labels": LABELS}


def _role(name: str, into: Sequence[str], rules: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    aggregated = {f"{RBAC}/aggregate-to-{one}": "true" for one in into}
    metadata = {"name": f"headrace-{name}", "labels": {**LABELS, **aggregated}}
    return {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": metadata, "rules": list(rules)}


def _changes(kind: Kind, spec: Mapping[str, Any]) -> str:
    """Return an expression that holds for what is new, or differs in a part that is judged."""
    differing = (f"object.spec{_optional(one)} != oldObject.spec{_optional(one)}" for one in JUDGED[kind.name])
    known = [text for one, text in zip(JUDGED[kind.name], differing, strict=True) if _has(spec, one)]
    return " || ".join(("request.operation == 'CREATE'", *known))


def _optional(path: str) -> str:
    return "".join(f".?{part}" for part in path.split("."))


def _has(spec: Mapping[str, Any], path: str) -> bool:
    """Tell whether a schema has a field."""
    name, _, rest = path.partition(".")
    child = (spec.get("properties") or {}).get(name)
    return child is not None and (not rest or _has(child, rest))


def _validations(kind: Kind, spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return every question about an object."""
    uses = (*_uses(kind), *_edits(kind), *_reaches(kind))
    return [*_secrets(_places(kind, spec)), *uses, *_pods(kind, spec)]


def _variables(kind: Kind, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an object's Secrets are called; nothing where a kind names none."""
    places = _places(kind, spec)
    if places == 0:
        return {}
    named = {"name": "named", "expression": _named(kind, spec)}
    distinct = {"name": "secrets", "expression": _distinct("variables.named", places or MOST_REFERENCES)}
    return {"variables": [*_properties(kind), named, distinct]}


def _properties(kind: Kind) -> list[dict[str, Any]]:
    raw = RAW.get(kind.name)
    return [{"name": "properties", "expression": f"object.spec{_optional(raw)}.orValue({{}})"}] if raw else []


def _named(kind: Kind, spec: Mapping[str, Any]) -> str:
    """Return an expression for the list of the names of Secrets, some perhaps twice.

    Lists in lists are flattened as texts: a name has no comma.
    """
    texts = [_text("object.spec", path.split("."), 0) for path in slots(spec)]
    if kind.name in RAW:
        values = f"{PROPERTIES}.map(key, {PROPERTIES}[key]).filter(value, value.matches(r'{WHOLE}'))"
        texts.append(f"{values}.map(value, {CUT}).join(',')")
    return f"[{', '.join(texts)}].join(',').split(',').filter(name, name != '')"


def _text(root: str, parts: Sequence[str], depth: int) -> str:
    """Return an expression for the names at a path below ``root``, as one text with commas; empty for none."""
    part, rest = parts[0], parts[1:]
    at = f"{root}.{part.removesuffix('[]')}"
    if part.endswith("[]"):
        each = f"each{depth}"
        inner = _text(each, rest, depth + 1) if rest else f"string({each})"
        return f"(has({at}) ? {at}.map({each}, {inner}).join(',') : '')"
    return f"(has({at}) ? {_text(at, rest, depth) if rest else f'string({at})'} : '')"


def _distinct(names: str, most: int) -> str:
    return f"{list(range(most))}.filter(i, i < size({names}) && {names}.indexOf({names}[i]) == i).map(i, {names}[i])"


def _places(kind: Kind, spec: Mapping[str, Any]) -> int | None:
    """Return how many Secrets an object can name at most; None where lists or raw properties name any number."""
    found = list(slots(spec))
    return None if kind.name in RAW or any("[]" in path for path in found) else len(found)


def _secrets(places: int | None) -> list[dict[str, Any]]:
    """Return a question for each of so many Secrets; where there may be any number, rules for that, too."""
    bounds = [
        {
            "expression": f"size(variables.named) <= {MOST_REFERENCES}",
            "message": f"Secrets are named in more than {MOST_REFERENCES} places: name them in fewer",
            "reason": "Invalid",
        },
        {
            "expression": f"size(variables.secrets) <= {MOST_SECRETS}",
            "message": f"more than {MOST_SECRETS} Secrets are named: put what belongs together into one",
            "reason": "Invalid",
        },
    ]
    return [*(bounds if places is None else ()), *map(_secret, range(MOST_SECRETS if places is None else places))]


def _secret(place: int) -> dict[str, Any]:
    return _allowed(
        f"size(variables.secrets) <= {place}",
        ("", "secrets", f"variables.secrets[{place}]", "get"),
        f"'you name the Secret ' + variables.secrets[{place}] + ' and may not get it",
        "name one that you may, or ask for a Role with get on it",
    )


def _uses(kind: Kind) -> list[dict[str, Any]]:
    """Return a question for each resource that the object refers to."""
    singular = {one.plural: one.name for one in KINDS}
    return [
        _used(path, path, plural, (f"you refer to the {singular[plural]}", ""))
        for path, plural in USED.get(kind.name, ())
    ]


def _edits(kind: Kind) -> list[dict[str, Any]]:
    """Return a question for each resource that the object has do something."""
    singular = {one.plural: one.name for one in KINDS}
    return [
        _allowed(
            "",
            (GROUP, plural, f"object.spec.{field}", "update"),
            f"'you have the {singular[plural]} ' + object.spec.{field} + ' do something and may not update it",
            f"ask for a Role with the verb update on {plural}.{GROUP}",
        )
        for field, plural in EDITED.get(kind.name, ())
    ]


def _reaches(kind: Kind) -> list[dict[str, Any]]:
    """Return a question for each address that the operator asks for the object."""
    told = ("you name the address", ", which Headrace would ask for you,")
    return [
        _used(part, field, plural, told, ", with that address as its resource name")
        for part, field, plural in ADDRESSES.get(kind.name, ())
    ]


def _used(part: str, field: str, plural: str, told: tuple[str, str], how: str = "") -> dict[str, Any]:
    """Return a rule: whoever writes ``part`` may use what its ``field`` names, told before and after that name."""
    return _allowed(
        f"!object.spec{_optional(part)}.hasValue()",
        (GROUP, plural, f"object.spec.{field}", "use"),
        f"'{told[0]} ' + object.spec.{field} + '{told[1]} and may not use it",
        f"ask for a Role with the verb use on {plural}.{GROUP}{how}",
    )


def _pods(kind: Kind, spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a question where the object brings what runs in pods."""
    paths = [path for path in CODE.get(kind.name, ()) if _has(spec, path)]
    if not paths:
        return []
    absent = " && ".join(f"!object.spec{_optional(path)}.hasValue()" for path in paths)
    told = " or ".join(f"spec.{path}" for path in paths)
    asked = ("", "pods", "", "create")
    return [
        _allowed(
            absent,
            asked,
            f"'{told} says what runs in pods, and you may not create pods",
            "ask for a Role with create on pods",
        )
    ]


def _allowed(unless: str, asked: tuple[str, str, str, str], problem: str, remedy: str) -> dict[str, Any]:
    """Return a rule: ``unless`` holds, if given, or who asks has the verb on (group, resource, name, verb)."""
    group, resource, name, verb = asked
    named = f".name({name})" if name else ""
    question = f"authorizer.group('{group}').resource('{resource}').namespace(request.namespace){named}.check('{verb}')"
    return {
        "expression": " || ".join(filter(None, (unless, f"{question}.allowed()"))),
        "messageExpression": f"{problem} in namespace ' + request.namespace + ': {remedy}'",
        "reason": "Forbidden",
    }
