"""A name server for which every name exists, at one address."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable

_A = 1
_PKTINFO = 8  # of Linux; the socket module has no name for it
_HEADER = struct.Struct(">HHHHHH")


def answer_every_name(address: str, told: Callable[[str], None]) -> None:
    """Serve UDP port 53 in a thread; `told` hears each name that is asked for, before the answer goes out."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind(("0.0.0.0", 53))
    listener.setsockopt(socket.IPPROTO_IP, _PKTINFO, 1)
    threading.Thread(target=_serve, args=(listener, socket.inet_aton(address), told), daemon=True).start()


def _serve(listener: socket.socket, address: bytes, told: Callable[[str], None]) -> None:
    while True:
        question, asked, _, sender = listener.recvmsg(4096, 256)
        name, kind, end = _read_question(question)
        told(name)
        answers = 1 if kind == _A else 0
        header = _HEADER.pack(_HEADER.unpack_from(question)[0], 0x8580, 1, answers, 0, 0)
        record = struct.pack(">HHHIH", 0xC00C, _A, 1, 1, len(address)) + address if answers else b""
        # From the address that was asked: nobody takes an answer from another one.
        listener.sendmsg([header, question[_HEADER.size : end], record], asked, 0, sender)


def _read_question(message: bytes) -> tuple[str, int, int]:
    """Name, type and end of the first question."""
    at, labels = _HEADER.size, []
    while length := message[at]:
        labels.append(message[at + 1 : at + 1 + length].decode("ascii", "replace"))
        at += 1 + length
    kind, _class = struct.unpack_from(">HH", message, at + 1)
    return ".".join(labels).lower(), kind, at + 5
