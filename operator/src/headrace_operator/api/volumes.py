"""Volumes of a pod and where containers mount them, in the shapes that Kubernetes gives them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, StringConstraints

from headrace_operator.api.environment import FieldOf, ObjectOf
from headrace_operator.api.resources import BYTES
from headrace_operator.api.schema import LABEL, Key, Model, ObjectName
from headrace_operator.api.words import OneOf, Refused

OWN_VOLUMES = ("config", "kafka", "redis", "code", "token", "tmp")
OUR_VOLUMES = Refused(
    pattern=f"^({'|'.join(OWN_VOLUMES)})$",
    message=f"volumes called {', '.join(OWN_VOLUMES)} are made by Headrace: give this one another name",
)
OUR_PLACES = Refused(
    pattern=r"^/(tmp|etc|etc/headrace(/.*)?|opt|opt/headrace(/.*)?|(var/)?run|var|(var/)?run/secrets"
    r"|(var/)?run/secrets/kubernetes\.io(/.*)?|(proc|sys|dev)(/.*)?)$",
    message="files of Headrace, Kubernetes or the image are there: mount it elsewhere, such as below /mnt",
)
PART = r"\.?[a-zA-Z0-9_@+][-.a-zA-Z0-9_@+]*"
MODE = 0o777

VolumeName = Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=LABEL), AfterValidator(OUR_VOLUMES)]
"""The name of a volume, none of Headrace's own."""

Place = Annotated[
    str, StringConstraints(min_length=2, max_length=500, pattern=f"^(/{PART})+$"), AfterValidator(OUR_PLACES)
]
"""An absolute path in a container, none of Headrace's own."""

Below = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=f"^{PART}(/{PART})*$")]
"""A relative path that leads nowhere above."""


class Item(Model):
    """A key as a file."""

    key: Key = Field(description="Key in the object.")
    path: Below = Field(description="Path of the file in the volume.")
    mode: int | None = Field(None, ge=0, le=MODE, description="Permissions of the file, as a decimal number.")


class SecretVolume(Model):
    """A Secret as files."""

    secret_name: ObjectName = Field(description="Name of the Secret in the same namespace.")
    items: tuple[Item, ...] | None = Field(None, max_length=50, description="Keys to be files. Default: all.")
    default_mode: int | None = Field(None, ge=0, le=MODE, description="Permissions of files, as a decimal number.")
    optional: bool | None = Field(None, description="Whether pods start without it. Default: false.")


class ConfigMapVolume(ObjectOf):
    """A ConfigMap as files."""

    items: tuple[Item, ...] | None = Field(None, max_length=50, description="Keys to be files. Default: all.")
    default_mode: int | None = Field(None, ge=0, le=MODE, description="Permissions of files, as a decimal number.")


class ProjectedObject(ObjectOf):
    """A Secret or ConfigMap as files beside others."""

    items: tuple[Item, ...] | None = Field(None, max_length=50, description="Keys to be files. Default: all.")


class FieldFile(Model):
    """A field of the pod as a file."""

    path: Below = Field(description="Path of the file in the volume.")
    field_ref: FieldOf = Field(description="A field of the pod itself.")
    mode: int | None = Field(None, ge=0, le=MODE, description="Permissions of the file, as a decimal number.")


class DownwardApi(Model):
    """Fields of the pod as files."""

    items: tuple[FieldFile, ...] = Field(min_length=1, max_length=50, description="Fields to be files.")


class ProjectedSource(OneOf):
    """One part of a projected volume: exactly one of the three; tokens of accounts are none."""

    choices: ClassVar = ("secret", "configMap", "downwardAPI")

    secret: ProjectedObject | None = Field(None, description="A Secret in the same namespace.")
    config_map: ProjectedObject | None = Field(None, description="A ConfigMap in the same namespace.")
    downward_api: DownwardApi | None = Field(None, alias="downwardAPI", description="Fields of the pod itself.")


class Projected(Model):
    """Several objects as files of one volume."""

    sources: tuple[ProjectedSource, ...] = Field(min_length=1, max_length=20, description="What the volume holds.")
    default_mode: int | None = Field(None, ge=0, le=MODE, description="Permissions of files, as a decimal number.")


class EmptyDir(Model):
    """Room of the pod's own, gone with it."""

    medium: Literal["Memory"] | None = Field(None, description="Memory keeps it there. Default: the node's disk.")
    size_limit: str | None = Field(None, pattern=BYTES, max_length=20, description="What it may hold, such as 1Gi.")


class Claim(Model):
    """A PersistentVolumeClaim that exists."""

    claim_name: ObjectName = Field(description="Name of the claim in the same namespace.")
    read_only: bool | None = Field(None, description="Whether it is only read. Default: false.")


class Storage(Model):
    """An amount of storage."""

    storage: str = Field(pattern=BYTES, max_length=20, description="How much, such as 10Gi.")


class StorageRequests(Model):
    """What a claim asks for."""

    requests: Storage = Field(description="What is asked for.")


class ClaimSpec(Model):
    """A claim that is made with each pod."""

    access_modes: tuple[Literal["ReadWriteOnce", "ReadWriteOncePod"], ...] = Field(
        min_length=1, max_length=2, description="How nodes may use it, of which one does."
    )
    resources: StorageRequests = Field(description="How much storage is asked for.")
    storage_class_name: ObjectName | None = Field(None, description="Class of the storage. Default: the cluster's.")


class ClaimTemplate(Model):
    """What each pod's own claim is made from."""

    spec: ClaimSpec = Field(description="The claim of each pod.")


class Ephemeral(Model):
    """A claim of each pod's own, made and gone with it."""

    volume_claim_template: ClaimTemplate = Field(description="What each pod's claim is made from.")


class NamedSecret(Model):
    """A Secret in the same namespace."""

    name: ObjectName = Field(description="Name of the Secret in the same namespace.")


class Csi(Model):
    """What a storage driver on the node brings, such as secrets of a vault; it is only read."""

    driver: ObjectName = Field(description="Name of the driver, such as secrets-store.csi.k8s.io.")
    volume_attributes: dict[str, str] | None = Field(None, description="Attributes of the driver's own.")
    node_publish_secret_ref: NamedSecret | None = Field(None, description="Secret that the driver is given.")


class Volume(OneOf):
    """One volume: exactly one of its sources."""

    choices: ClassVar = ("secret", "configMap", "projected", "emptyDir", "persistentVolumeClaim", "ephemeral", "csi")

    name: VolumeName = Field(description="Name by which it is mounted.")
    secret: SecretVolume | None = Field(None, description="A Secret as files.")
    config_map: ConfigMapVolume | None = Field(None, description="A ConfigMap as files.")
    projected: Projected | None = Field(None, description="Several objects as files.")
    empty_dir: EmptyDir | None = Field(None, description="Room of the pod's own, gone with it.")
    persistent_volume_claim: Claim | None = Field(None, description="A PersistentVolumeClaim that exists.")
    ephemeral: Ephemeral | None = Field(None, description="A claim of each pod's own.")
    csi: Csi | None = Field(None, description="What a storage driver brings, only read.")


class Mount(Model):
    """Where a volume of the template is mounted."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=63, pattern=LABEL)] = Field(
        description="Name of the volume in the template."
    )
    mount_path: Place = Field(description="Path in the container, such as /mnt/data.")
    sub_path: Below | None = Field(None, description="Path in the volume. Default: its root.")
    read_only: bool | None = Field(None, description="Whether it is only read. Default: false.")
