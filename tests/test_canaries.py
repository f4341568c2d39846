"""What looks for canaries finds each in whatever form it was written in, and nothing else."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest

from tests.canaries import planted, seen

ONE = planted("login/password")
WRITTEN: dict[str, str | bytes] = {
    "a line": f"ts=1 msg='login failed: {ONE.value}'",
    "JSON": json.dumps({"a": ONE.value}),
    "an address": f"http://me:{quote(ONE.value)}@web",
    "half of it": ONE.value.partition("&")[2],
    "base64": base64.b64encode(ONE.value.encode()).decode(),
    "a login in base64": base64.b64encode(f"me:{ONE.value}".encode()).decode(),
    "another": base64.b64encode(f"u:{ONE.value}".encode()).decode(),
    "bytes": b"\x00\xff" + ONE.value.encode(),
    "hexadecimal": ONE.value.encode().hex(),
    "XML": ONE.value.replace("&", "&amp;"),
}


@pytest.mark.parametrize("where", WRITTEN)
def test_it_is_found_in_any_form(where: str) -> None:
    assert seen([planted("other"), ONE], {"elsewhere": "canary", where: WRITTEN[where]}) == [
        f"login/password in {where}"
    ]


def test_what_is_not_there_is_not_found() -> None:
    assert seen([ONE, planted("other")], {"a log": "canary & canary", "bytes": b"\xff"}) == []
