"""A server on loopback that does on its sockets what no HTTP library would, one script for each connection."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

Script = Callable[["Visit"], None]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"


class Visit:
    """A connection on the server's side."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.file = sock.makefile("rb")
        self.heads: list[str] = []

    def hear(self, *, body: bool = True) -> bool:
        """Read the next request; False when there is none."""
        head = b""
        while line := self.file.readline():
            head += line
            if line == b"\r\n":
                self.heads.append(head.decode())
                length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
                return not body or len(self.file.read(int(length or 0))) == int(length or 0)
        return False

    def say(self, *answers: bytes) -> None:
        """Give each request one of these answers."""
        for answer in answers:
            if self.hear():
                self.sock.sendall(answer)

    def keep_saying(self, answer: bytes) -> None:
        while self.hear():
            self.sock.sendall(answer)

    def reset(self) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.file.close()
        self.sock.close()


class Server:
    """Each connection follows the script of its number; those that come later the last one."""

    def __init__(
        self,
        scripts: tuple[Script, ...],
        family: socket.AddressFamily = socket.AF_INET,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.listener = socket.create_server(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0), family=family)
        self.port = self.listener.getsockname()[1]
        self.host = f"[::1]:{self.port}" if family == socket.AF_INET6 else f"127.0.0.1:{self.port}"
        self.url = f"{'https' if tls else 'http'}://{self.host}/"
        self.visits: list[Visit] = []
        self.ended: list[threading.Event] = []
        self._scripts = scripts
        self._tls = tls
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def heads(self) -> list[str]:
        return [head for visit in self.visits for head in visit.heads]

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or a reset overtakes an answer
                script = self._scripts[min(len(self.ended), len(self._scripts) - 1)]
                self.ended.append(threading.Event())
                threading.Thread(target=self._play, args=(sock, script, self.ended[-1]), daemon=True).start()

    def _play(self, sock: socket.socket, script: Script, ended: threading.Event) -> None:
        with suppress(OSError), closing(self._tls.wrap_socket(sock, server_side=True) if self._tls else sock) as open_:
            visit = Visit(open_)
            self.visits.append(visit)
            with closing(visit.file):
                script(visit)
        ended.set()

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for visit in self.visits:
            with suppress(OSError):
                visit.sock.shutdown(socket.SHUT_RDWR)
        for ended in self.ended:
            ended.wait(10)


@contextmanager
def serving(*scripts: Script, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    with closing(Server(scripts, tls=tls)) as server:
        yield server


def fine(visit: Visit) -> None:
    visit.keep_saying(OK)


def tunnel_to(registry: Server) -> Script:
    def script(visit: Visit) -> None:
        visit.hear()
        with socket.create_connection(("127.0.0.1", registry.port)) as beyond:
            visit.sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            back = threading.Thread(target=pump, args=(beyond, visit.sock), daemon=True)
            back.start()
            pump(visit.sock, beyond)
            back.join()

    return script


def pump(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
