"""What pods may be given beside what Headrace gives them: an allow-list, in the shapes that Kubernetes gives its parts.

Nothing in it says how pods are secured, which account of ours they have, or what Headrace mounts where.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from headrace_operator.api.durations import Duration
from headrace_operator.api.environment import Env, EnvFrom
from headrace_operator.api.placement import ODD_KEYS, Affinity, Labels, Spread, Toleration
from headrace_operator.api.properties import IMAGE, SECRET
from headrace_operator.api.resources import Resources
from headrace_operator.api.schema import LABEL, Model, ObjectName
from headrace_operator.api.volumes import Mount, NamedSecret, Volume
from headrace_operator.api.words import Refused, distinct, keyed, unless

SHORTEST_STOP, LONGEST_STOP = 20, 3600
LOGIN_IN_IMAGE = "a login would stand here in plain text: write the image without the part before the @"
UNKNOWN_VOLUME = "a mount names a volume of this template: write it under volumes, or take the mount out"
NO_ADDRESS = "an address is one of IPv4 or IPv6, such as 192.0.2.7"

OUR_KEYS = Refused(
    pattern=r"^([-a-z0-9.]*\.)?(headrace\.dev|app\.kubernetes\.io|security\.(alpha|beta)\.kubernetes\.io)/"
    "|^pod-template-hash$",
    message="names of headrace.dev, app.kubernetes.io and of Kubernetes' security are not yours to give: take another",
)
OUR_ACCOUNTS = Refused(
    pattern="^headrace-operator$|-(agent|connect|consumer)$",
    message="headrace-operator, and accounts whose names end with -agent, -connect or -consumer, are Headrace's: "
    "name one of your own",
)
OUR_CONTAINERS = Refused(
    pattern="^(agent|consumer|connect|outbox-relay)$",
    message="containers called agent, consumer, connect and outbox-relay are made by Headrace: give this one another "
    "name",
)


def _without_login(image: str) -> str:
    if not re.search(IMAGE, image):
        raise ValueError(LOGIN_IN_IMAGE)
    return image


def _address(text: str) -> str:
    try:
        ipaddress.ip_address(text)
    except ValueError as error:
        raise ValueError(NO_ADDRESS) from error
    return text


PodLabels = Annotated[Labels, AfterValidator(OUR_KEYS.keys)]
"""Labels of pods, none of Headrace's own."""

Annotations = Annotated[
    dict[str, Annotated[str, StringConstraints(max_length=20_000)]],
    AfterValidator(ODD_KEYS.keys),
    AfterValidator(OUR_KEYS.keys),
]
"""Annotations of pods, none of Headrace's own."""

ContainerName = Annotated[
    str, StringConstraints(min_length=1, max_length=63, pattern=LABEL), AfterValidator(OUR_CONTAINERS)
]
Image = Annotated[str, StringConstraints(min_length=1, max_length=1000), AfterValidator(_without_login)]
Address = Annotated[
    str, StringConstraints(min_length=2, max_length=45, pattern=r"^[0-9a-fA-F:.]+$"), AfterValidator(_address)
]
Envs = Annotated[
    tuple[Env, ...], Field(max_length=100, json_schema_extra=keyed("name")), AfterValidator(distinct("name"))
]
Mounts = Annotated[
    tuple[Mount, ...],
    Field(max_length=40, json_schema_extra=keyed("mountPath")),
    AfterValidator(distinct("mount_path")),
]
Volumes = Annotated[
    tuple[Volume, ...], Field(max_length=20, json_schema_extra=keyed("name")), AfterValidator(distinct("name"))
]
Spreads = Annotated[
    tuple[Spread, ...],
    Field(max_length=10, json_schema_extra=keyed("topologyKey", "whenUnsatisfiable")),
    AfterValidator(distinct("topology_key", "when_unsatisfiable")),
]
PullSecrets = Annotated[
    tuple[NamedSecret, ...], Field(max_length=10, json_schema_extra=keyed("name")), AfterValidator(distinct("name"))
]
Word = Annotated[str, StringConstraints(max_length=10_000)]


class Container(Model):
    """What any container may be given."""

    env: Envs | None = Field(None, description="Environment variables of the container.")
    env_from: tuple[EnvFrom, ...] | None = Field(
        None, max_length=20, description="Secrets and ConfigMaps whose keys are environment variables."
    )
    mounts: Mounts | None = Field(None, description="Where volumes of the template are mounted.")
    resources: Resources | None = Field(None, description="Compute of the container in one pod.")


class InitContainer(Container):
    """A container that runs before ours, as restricted as ours is."""

    name: ContainerName = Field(description="Name of the container, none of Headrace's own.")
    image: Image = Field(description="Image of the container, which runs as user 65532.")
    command: tuple[Word, ...] | None = Field(None, max_length=50, description="What it runs. Default: the image's.")
    args: tuple[Word, ...] | None = Field(None, max_length=50, description="Arguments of what it runs.")
    restart_policy: Literal["Always"] | None = Field(
        None, description="Always has it run on beside ours, such as a proxy. Default: ours waits for its end."
    )


InitContainers = Annotated[
    tuple[InitContainer, ...], Field(max_length=5, json_schema_extra=keyed("name")), AfterValidator(distinct("name"))
]


class HostAlias(Model):
    """Names of an address in the pods' hosts file."""

    ip: Address = Field(description="The IP address itself.")
    hostnames: tuple[Annotated[str, StringConstraints(max_length=253, pattern=r"^[-a-zA-Z0-9.]+$")], ...] = Field(
        min_length=1, max_length=50, description="Names of that address."
    )


HostAliases = Annotated[
    tuple[HostAlias, ...], Field(max_length=20, json_schema_extra=keyed("ip")), AfterValidator(distinct("ip"))
]


class Template(Container):
    """What pods may be given beside what Headrace gives them."""

    labels: PodLabels | None = Field(None, description="Labels of the pods, none of Headrace's own.")
    annotations: Annotations | None = Field(None, description="Annotations of the pods, none of Headrace's own.")
    volumes: Volumes | None = Field(None, description="Volumes of the pods; containers mount them by mounts.")
    init_containers: InitContainers | None = Field(None, description="Containers that run before ours, in this order.")
    node_selector: Labels | None = Field(None, description="Labels that a pod's node must have.")
    tolerations: tuple[Toleration, ...] | None = Field(
        None, max_length=20, description="Taints of nodes that the pods bear."
    )
    affinity: Affinity | None = Field(None, description="Where the pods must or should run.")
    topology_spread: Spreads | None = Field(
        None, description="How evenly the pods are spread, beside over nodes as far as that goes."
    )
    priority_class_name: ObjectName | None = Field(None, description="PriorityClass of the pods.")
    runtime_class_name: ObjectName | None = Field(None, description="RuntimeClass of the pods.")
    image_pull_secrets: PullSecrets | None = Field(
        None, description="Secrets to pull images with, beside those of the release."
    )
    host_aliases: HostAliases | None = Field(None, description="Names of addresses in the pods' hosts file.")
    startup: Duration | None = Field(
        None, description="Longest time until a started container answers, 1ms to 24h. Default: 10m, of workers 3m."
    )
    termination_grace_period_seconds: int | None = Field(
        None,
        ge=SHORTEST_STOP,
        le=LONGEST_STOP,
        description="Seconds that a pod has to finish what runs when it is to stop. Default: 45, of workers 30.",
    )

    @model_validator(mode="after")
    def _has_its_volumes(self) -> Self:
        known = {volume.name for volume in self.volumes or ()}
        containers: tuple[Container, ...] = (self, *(self.init_containers or ()))
        if any(mount.name not in known for one in containers for mount in one.mounts or ()):
            raise ValueError(UNKNOWN_VOLUME)
        return self


class ConsumerTemplate(Template):
    """What a Consumer's pods may be given beside what Headrace gives them."""

    service_account_name: Annotated[ObjectName, AfterValidator(OUR_ACCOUNTS)] | None = Field(
        None, description="ServiceAccount of the pods, none of Headrace's own. Default: one without a token."
    )


OUR_OPTIONS = Refused(
    pattern="ExitOnOutOfMemoryError|OnOutOfMemoryError|OnError|VMOptionsFile|^-XX:Flags|^-Dheadrace|^-Dlog4j2|^-Djava.io.tmpdir",
    message="options for the end of a worker, its files and its log are set by Headrace: take this one out",
)
OPEN_OPTIONS = Refused(
    pattern=r"^-D(com\.sun\.(jndi|management)|org\.apache\.kafka|java\.rmi)\.",
    message="options that open a port, load code from elsewhere or lift what Kafka forbids: take this one out",
)
SECRET_OPTIONS = Refused(
    pattern=rf"(?i)^-D[^=]*({SECRET.removeprefix('(?i)')})",
    message="a password would stand here in plain text: Secrets are for env, volumes and credentials",
)
REFUSED_OPTIONS = (OUR_OPTIONS, SECRET_OPTIONS, OPEN_OPTIONS)
JvmOption = Annotated[
    str,
    StringConstraints(
        min_length=3,
        max_length=500,
        pattern=r"^-(X[a-z]+[0-9]+[kKmMgG]?|XX:[-+][A-Za-z0-9]+|XX:[A-Za-z0-9]+=[-A-Za-z0-9_./:%,+]+"
        r"|D[A-Za-z0-9_.-]+(=[-A-Za-z0-9_./:%,+@]*)?)$",
    ),
    AfterValidator(unless(*REFUSED_OPTIONS)),
]
"""One option of a JVM, without blanks or quotes: memory, a flag, or a property."""


class WorkersTemplate(Template):
    """What pods of workers may be given beside what Headrace gives them."""

    jvm_options: tuple[JvmOption, ...] | None = Field(
        None,
        max_length=50,
        description="Options of the workers' JVM, such as -Xmx2g; they win over Headrace's, whose heap is 60% of the "
        "memory limit.",
    )
