"""A proxy that lets every request wait, as a network far away does, and passes bytes at full speed."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

_PIECE = 2**18
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked", re.IGNORECASE)

Sleep = Callable[[float], Awaitable[None]]


@contextmanager
def delay_proxy(port: int, delay: float, sleep: Sleep = asyncio.sleep) -> Iterator[str]:
    """The address `host:port` of a proxy before the server on loopback's `port`; gone when the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="delay proxy", daemon=True)
    thread.start()

    async def listen() -> asyncio.Server:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            # The stream's own callback would show a cancelled connection as an error.
            with suppress(asyncio.CancelledError):
                await _serve(reader, writer, port, lambda: sleep(delay))

        return await asyncio.start_server(serve, "127.0.0.1", 0, limit=_PIECE)

    async def close() -> None:
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    server = asyncio.run_coroutine_threadsafe(listen(), loop).result()
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        asyncio.run_coroutine_threadsafe(close(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _serve(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int, wait: Callable[[], Awaitable[None]]
) -> None:
    """One client's connection, and one of ours behind it, until either side closes."""
    try:
        answers, requests = await asyncio.open_connection("127.0.0.1", port, limit=_PIECE)
    except OSError:
        writer.close()
        return
    pumps = [asyncio.create_task(_requests(reader, requests, wait)), asyncio.create_task(_all(answers, writer))]
    try:
        done, _ = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in done:
            # A side that goes away in mid-stream is the other side's to notice.
            with suppress(OSError, asyncio.IncompleteReadError):
                pump.result()
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        requests.close()
        writer.close()


async def _requests(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wait: Callable[[], Awaitable[None]]
) -> None:
    """Pass on request after request, each after a wait; only where one ends has to be understood."""
    while first := await reader.read(1):
        if not first.isalpha():
            # Somebody tries TLS where there is none, and waits for the server's refusal.
            await wait()
            writer.write(first)
            await _all(reader, writer)
            return
        head = first + await reader.readuntil(b"\r\n\r\n")
        await wait()
        writer.write(head)
        if _CHUNKED.search(head):
            await _chunks(reader, writer)
        elif length := _LENGTH.search(head):
            await _exactly(reader, writer, int(length[1]))
        await writer.drain()


async def _chunks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    size = -1
    while size != 0:
        line = await reader.readuntil(b"\r\n")
        writer.write(line)
        size = int(line.split(b";")[0], 16)
        await _exactly(reader, writer, size)
        writer.write(await reader.readuntil(b"\r\n"))


async def _exactly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: int) -> None:
    while count:
        piece = await reader.read(min(count, _PIECE))
        if not piece:
            raise asyncio.IncompleteReadError(b"", count)
        count -= len(piece)
        writer.write(piece)
        await writer.drain()


async def _all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(_PIECE):
        writer.write(piece)
        await writer.drain()
