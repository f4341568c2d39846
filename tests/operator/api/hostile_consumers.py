"""Consumers that somebody wrote to do harm; see `hostile`, which has the other kinds."""

from __future__ import annotations

from typing import Any

from tests.operator.api.hostile import (
    ABOVE,
    ELSEWHERE,
    EXTRA,
    HAS_LOGIN,
    INVALID,
    LOCAL,
    LOGIN,
    MOST,
    PASSWORD,
    PATTERN,
    PLAIN,
    SHAPE,
    UNKNOWN,
    VICTIM,
    Hostile,
    Json,
)


def _consumer(after: str, server: str, plan: str, reason: str = INVALID, **change: Any) -> Hostile:
    return Hostile(kind="Consumer", after=after, change=change, server=server, plan=plan, reason=reason)


def _of_topics(kafka: str, topic: str) -> Json:
    return {"from": {"connector": None, "routes": None, "kafka": kafka, "topics": [topic]}}


def _url(after: str, url: str, server: str = LOCAL, plan: str = LOCAL, reason: str = INVALID) -> Hostile:
    return _consumer(after, server, plan, reason, handler={"http": {"url": url}})


def _template(after: str, server: str, plan: str, reason: str = INVALID, **template: Any) -> Hostile:
    return _consumer(after, server, plan, reason, template=template)


OF_CONSUMERS = (
    _url("the cloud's metadata", "http://169.254.169.254/latest/meta-data/iam"),
    _url("the same by a name that leads there", "http://169.254.169.254.nip.example/"),
    _url("the same in IPv6", "http://[fd00:ec2::254]/latest"),
    _url("the node, link-local", "http://[fe80::1]:10255/pods"),
    _url("the metadata as octal", "http://0251.0376.0251.0376/"),
    _url("the metadata in two parts", "http://169.16689662/"),
    _url("the metadata of another cloud", "http://Metadata.Google.Internal./computeMetadata/v1"),
    _url("a login in the status", "http://me:s3cret@web/", LOGIN, HAS_LOGIN, PASSWORD),
    _url("a header of one's own", "http://web\r\nX-Evil: 1/", "without blanks", "without blanks"),
    _url("another host than it seems", "http://web\\@evil/", LOGIN, HAS_LOGIN, PASSWORD),
    _url("a file", "file:///etc/passwd", SHAPE, PATTERN),
    _url("a text without end", "http://web/" + "x" * 3000, "may not be more than 2000", "at most 2000 characters"),
    _consumer(
        "the metadata, by a command",
        LOCAL,
        LOCAL,
        delivery={"onDeadLetter": {"compensate": {"http": {"url": "http://169.254.169.254/"}}}},
    ),
    _consumer(
        "the metadata, by a store",
        LOCAL,
        LOCAL,
        delivery={"deduplication": {"redis": {"url": "redis://169.254.169.254:80"}}},
    ),
    _consumer(
        "somebody's Secret, by a store of one's own",
        "you name the Secret victim and may not get it",
        "Secret victim may be sent to friend only",
        ELSEWHERE,
        delivery={"deduplication": {"redis": {"url": "rediss://evil:6379", "credentials": {"secret": VICTIM}}}},
    ),
    _consumer(
        "code in a name",
        SHAPE,
        PATTERN,
        handler={"http": None, "python": {"function": "__import__('os').system('id'):x"}},
    ),
    _consumer(
        "files elsewhere",
        SHAPE,
        PATTERN,
        handler={"http": None, "python": {"function": "a:b", "source": {"configMap": "../code"}}},
    ),
    _consumer("a topic without a name", "at least 1 chars long", "at least 1 character", **_of_topics("a", "")),
    _consumer("a Kafka of another namespace", SHAPE, PATTERN, **_of_topics("b/a", "c")),
    _consumer(
        "a header of ours", "is added by Headrace", "is added by Headrace", delivery={"messageIdHeader": "headrace.id"}
    ),
    _consumer("two headers in one", SHAPE, PATTERN, delivery={"messageIdHeader": "a\nb"}),
    _consumer("pods without number", MOST, ABOVE, scale={"max": 10**12}),
    _consumer("a time without end", "from 1ms to 24h", "from 1ms to 24h", delivery={"retry": {"maxAge": "9999h"}}),
    _consumer("no time at all", "from 1ms to 24h", "from 1ms to 24h", delivery={"retry": {"maxInMemory": "0s"}}),
    _template(
        "pods that are taken for others",
        "are not yours to give",
        "are not yours to give",
        labels={"headrace.dev/consumer": "x"},
    ),
    _template("a label that ends early", SHAPE, PATTERN, labels={"a": 'x"} or vector(1)\n'}),
    _template("the operator's account", "are Headrace's", "are Headrace's", serviceAccountName="headrace-operator"),
    _template("the workers' account", "are Headrace's", "are Headrace's", serviceAccountName="main-connect"),
    _template(
        "a token",
        UNKNOWN,
        EXTRA,
        volumes=[{"name": "a", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}],
    ),
    _template("the node's network", UNKNOWN, EXTRA, hostNetwork=True),
    _template("a login in the status", PLAIN, PLAIN, env=[{"name": "A", "value": "postgres://me:s3cret@db/x"}]),
    _template("a password in the status", PLAIN, PLAIN, env=[{"name": "DB_PASSWORD", "value": "s3cret"}]),
    _template(
        "a field of others", SHAPE, PATTERN, env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.x"}}}]
    ),
    _template(
        "files above the volume",
        SHAPE,
        PATTERN,
        volumes=[{"name": "a", "emptyDir": {}}],
        mounts=[{"name": "a", "mountPath": "/mnt/a", "subPath": "../../b"}],
    ),
    _template(
        "a Secret that may not go to code",
        "you name the Secret victim and may not get it",
        "would give Secret victim to code that may send it anywhere",
        ELSEWHERE,
        envFrom=[{"secretRef": {"name": VICTIM}}],
    ),
    Hostile(
        kind="Consumer",
        after="the resolutions of another Consumer",
        name="billing.resolutions",
        change={},
        server="a name has no dots",
        plan="a name has no dots",
    ),
    Hostile(
        kind="Consumer",
        after="code of somebody who may create no pods",
        change={"handler": {"http": None, "python": {"function": "os:system"}}},
        server="and you may not create pods in namespace shop",
        plan=None,
        argued="who asks is known to the API server alone",
    ),
    Hostile(
        kind="Consumer",
        after="the records, and the login, of a Kafka that somebody may not use",
        change=_of_topics("others", "orders"),
        server="you refer to the KafkaConnection others and may not use it",
        plan=None,
        argued="who asks is known to the API server alone",
    ),
)
