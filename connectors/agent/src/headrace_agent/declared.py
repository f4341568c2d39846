"""What the operator declares in a ConfigMap, and the agent reads at its start: each source, and what to keep of it.

It must not know either side: no I/O beyond parsing the text it is given, no Kubernetes, no database.
"""

from __future__ import annotations

import hashlib
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

VERSION: Literal[1] = 1
"""The version of this schema. A new one is needed once a reader of the old one would misread what is written."""


class Document(BaseModel):
    """A part of the declaration: frozen, and strict about unknown keys so that a version skew is seen at once."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Login(Document):
    """User name and password of the Secret ``secret``, which are files, never values; read anew at each connect."""

    secret: str
    username_file: str
    password_file: str


TlsMode = Literal["disable", "prefer", "require", "verify-ca", "verify-full"]
"""How far a server is verified; the words are those of PostgreSQL's clients."""


class Tls(Document):
    """How to verify the server; without ``ca_file`` the system's authorities are used where the mode asks for any.

    A client certificate, if any, is ``certificate_file`` with ``key_file``.
    """

    mode: TlsMode = "prefer"
    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None

    @model_validator(mode="after")
    def _certificate_with_key(self) -> Self:
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file go together")
        return self


Operation = Literal["insert", "update", "delete", "truncate"]
"""What a publication may publish, as PostgreSQL names it."""


class Publication(Document):
    """A publication: kept, when it is ours; looked at only, when a user made it; or dropped.

    Kept, it is made where it is missing, and altered until it publishes exactly the source's tables that exist, by
    ``operations``, as of the root of a partitioned table.
    """

    name: str = Field(min_length=1, max_length=63)
    state: Literal["Kept", "LookedAt", "Dropped"]
    operations: tuple[Operation, ...] = ("insert", "update", "delete", "truncate")


class Slot(Document):
    """A replication slot, which Debezium makes: looked at, or dropped once nobody uses it, or once it is lost."""

    name: str = Field(min_length=1, max_length=63)
    state: Literal["LookedAt", "DroppedOnceLost", "Dropped"] = "LookedAt"


class Heartbeat(Document):
    """Logical messages by which the slot of a quiet database moves; Debezium is told to hide those of ``prefix``."""

    prefix: str = Field(min_length=1)
    interval: float = Field(10.0, ge=1, le=86_400, description="Seconds between two.")


class Postgres(Document):
    """A PostgreSQL database. ``name`` is that of its Connector; a table is written ``schema.table``, as a literal name.

    What to capture is ``tables``; which of them exist is told, not demanded.
    """

    engine: Literal["postgres"] = "postgres"
    name: str = Field(min_length=1)
    host: str = Field(min_length=1)
    port: int = Field(5432, ge=1, le=65535)
    database: str = Field(min_length=1)
    login: Login
    tls: Tls = Tls()
    tables: tuple[str, ...]
    publication: Publication
    slot: Slot
    heartbeat: Heartbeat | None = None


class Declaration(Document):
    """All that one agent looks at. ``namespace`` and ``cluster`` (a ConnectCluster) are labels of its metrics."""

    version: Literal[1] = VERSION
    namespace: str
    cluster: str
    sources: tuple[Postgres, ...]

    @model_validator(mode="after")
    def _names_once(self) -> Self:
        names = [source.name for source in self.sources]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"declared twice: {', '.join(twice)}")
        return self


def load(text: str) -> Declaration:
    """Read a declaration from JSON ``text``; raises ``pydantic.ValidationError`` naming the field."""
    return Declaration.model_validate_json(text)


def dump(declaration: Declaration) -> str:
    """Write ``declaration`` as stable JSON: equal ones give equal text."""
    return declaration.model_dump_json(indent=2)


def digest(declaration: Declaration) -> str:
    """Return what an agent's answer names its declaration by: 16 hexadecimal digits."""
    return hashlib.sha256(dump(declaration).encode()).hexdigest()[:16]
