"""The event loop that functions and requests run on: libuv's, where it is there for the platform, else Python's own.

A timer, a wake-up and a byte on a socket cost it less than half of what they cost Python's own loop, and its timers are
not rounded up to whole milliseconds, by which each key of a function that waits would wait longer, too.
It must not know what runs on the loop.
"""

from __future__ import annotations

import asyncio
import sys

if sys.platform != "win32":
    import uvloop

    loop = uvloop.new_event_loop
else:
    loop = asyncio.new_event_loop
