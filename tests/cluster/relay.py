"""Carry the host's connections to the API server inside the node, both ways, byte for byte.

The listening socket belongs to the host's network, this process to the node's: it is the only door between the two.
Run as ``python -m tests.cluster.relay LISTENER_FD PORT``.
"""

import asyncio
import contextlib
import socket
import sys

CHUNK = 262_144


async def serve(listener: socket.socket, port: int) -> None:
    """Relay each connection accepted on `listener` to 127.0.0.1:`port`, until cancelled."""

    carrying: set[asyncio.Task[None]] = set()  # nothing else refers to a connection whose one side has ended

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(carry(reader, writer))
        carrying.add(task)
        task.add_done_callback(carrying.discard)

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream = await asyncio.open_connection("127.0.0.1", port)
        except OSError as error:
            print(f"cannot reach the API server at 127.0.0.1:{port}: {error}", file=sys.stderr, flush=True)
            writer.transport.abort()
            return
        await asyncio.gather(_pump(reader, upstream[1]), _pump(upstream[0], writer))
        writer.close()
        upstream[1].close()

    server = await asyncio.start_server(accept, sock=listener, limit=CHUNK)
    async with server:
        await server.serve_forever()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy until the end of `reader`, pass that end on, and leave the other direction open (a half-closed stream)."""
    try:
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:  # the peer went away: the other direction must not wait for it
        writer.transport.abort()


def main() -> None:
    """Serve the inherited listener until the node stops this process."""
    listener, port = socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])
    listener.setblocking(False)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(listener, port))


if __name__ == "__main__":
    main()
