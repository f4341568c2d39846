"""Why a task failed, by the words of its trace, and what is done about it: the first entry of the table that fits.

Words are those of Debezium 3.6 and Kafka Connect 4.3, as tests record them from real failures.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from headrace_operator.plan import outbox_rows, record_sizes

LONGEST = 500
"""Characters of a trace's words."""

Answer = Literal["Soon", "Secret", "Never"]
"""Restart with back-off; or every half a minute, until the Secret is right; or not, as it would fail again."""


@dataclass(frozen=True, kw_only=True)
class Cause:
    """One kind of failure; ``advice`` says what to do, and may name the ``{secret}`` and the ``{connector}``."""

    name: str
    words: str
    answer: Answer
    advice: str


UNKNOWN = Cause(name="Unknown", words="", answer="Soon", advice="")
SLOT_LOST, SIZE = "SlotLost", "Size"
READ_ANEW = Cause(
    name=SLOT_LOST,
    words="",
    answer="Soon",
    advice="As spec.postgres.onSlotLost says, all rows are read anew once the source agent has dropped the slot.",
)
CAUSES = (
    Cause(
        name="Credentials",
        words=r"password authentication failed|role .* is not permitted to log in|no pg_hba\.conf entry",
        answer="Secret",
        advice="The database refuses the login of Secret {secret}: write what it takes into the Secret, which is read "
        "anew at each restart.",
    ),
    Cause(
        name=SLOT_LOST,
        words=r"no longer available on the server",
        answer="Never",
        advice="The slot is gone, or was made anew, and changes since the committed offsets may be lost. To read the "
        "tables anew and go on: headrace connector offsets reset {connector}; deletes in between are not told.",
    ),
    Cause(
        name="SlotInUse",
        words=r"is active for PID|all replication slots are in use",
        answer="Soon",
        advice="Somebody else reads the slot, or there is none left: SELECT slot_name, active_pid FROM "
        "pg_replication_slots.",
    ),
    Cause(
        name="Publication",
        words=r"Publication autocreation is disabled|publication \".*\" does not exist|Unable to update filtered",
        answer="Soon",
        advice="The publication is not as the connector needs it: docs/capturing-tables.md says how it is made.",
    ),
    Cause(
        name="Rights",
        words=r"must be owner of|permission denied for",
        answer="Soon",
        advice="The user of Secret {secret} lacks a right in the database: grant it.",
    ),
    Cause(
        name="Tables",
        words=r"No table filters found",
        answer="Soon",
        advice="The database has none of the captured tables: make one, or mend capture.",
    ),
    Cause(
        name="TopicSize",
        words=r"larger than the max message size the server will accept",
        answer="Soon",
        advice="Its topic takes less: set spec.topics.maxRecordBytes, to which Headrace raises topics within minutes, "
        "or raise max.message.bytes of the topic yourself.",
    ),
    Cause(
        name=SIZE,
        words=rf"RecordTooLargeException|{record_sizes.WORDS}",
        answer="Never",
        advice="",
    ),
    Cause(
        name="Route",
        words=r"InvalidTopicException",
        answer="Never",
        advice="A record goes to what cannot be a topic: mend transforms in config.",
    ),
    Cause(
        name="Converter",
        words=r"Failed to serialize",
        answer="Never",
        advice="The converter takes no such record: mend key.converter or value.converter in config.",
    ),
    Cause(
        name="Transform",
        words=r"Unable to find .* field|is not a valid field name",
        answer="Never",
        advice="A transform takes no such record: mend capture.outbox.columns, or transforms in config.",
    ),
    Cause(
        name="Row",
        words=outbox_rows.WORDS,
        answer="Never",
        advice="Raise spec.topics.maxRecordBytes where it is too large, or let the row become no record: "
        "headrace connector skip {connector}.",
    ),
    Cause(
        name="Connection",
        words=r"SocketException|EOFException|Connection to \S+ refused|connection has been closed|reading from copy"
        r"|I/O error occurred|terminating connection|UnknownHostException|the database system is",
        answer="Soon",
        advice="The database is away, or ended the connection.",
    ),
)


def of(trace: str | None) -> Cause:
    """Return what a trace, or a sentence of Kafka Connect, is a case of."""
    told = "\n".join(_told(trace))
    return next((one for one in CAUSES if re.search(one.words, told)), UNKNOWN)


def said(trace: str | None, cause: Cause) -> str | None:
    """Return the words in a trace by which the cause is known, as whole a line as there is; None where there are none.

    They may stand in an exception that is suppressed, beside the chain of causes.
    """
    if not cause.words:
        return None
    return next((line[:LONGEST] for line in _told(trace) if re.search(cause.words, line)), None)


def _told(trace: str | None) -> list[str]:
    """Return the lines of a trace that are no frames, without what introduces them."""
    lines = (line for line in (trace or "").splitlines() if not re.match(r"\s*(at |\.\.\. )", line))
    return [re.sub(r"^\s*(?:Suppressed: |Caused by: )?", "", line) for line in lines]
