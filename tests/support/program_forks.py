"""Runs the `toolkit` program in forks of a process that has loaded it, because its start costs up to 0.7 s of CPU.

Each run is a process of its own, with its arguments, environment, folder, streams, signals and exit code. What only a
new interpreter shows is for tests that start `toolkit_run.TOOLKIT`: which modules are imported and when, and what the
locale does to the streams.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import pkgutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import IO


def run_in_fork(
    program: str,
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    streams: Sequence[IO[bytes]],
    timeout: float,
) -> int:
    """The exit code of a run, whose stdin, stdout and stderr are the open files `streams`."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(timeout)
        socket.send_fds(_server(), [b"r"], [theirs.fileno(), *(stream.fileno() for stream in streams)])
        theirs.close()
        with ours.makefile("rw", encoding="utf-8") as talk:
            json.dump([[program, *arguments], str(folder), dict(environment)], talk)
            talk.write("\n")
            talk.flush()
            pid = int(talk.readline())
            try:
                return int(talk.readline())
            except TimeoutError:
                os.kill(pid, 9)
                raise


@cache
def _server() -> socket.socket:
    ours, theirs = socket.socketpair()
    server = subprocess.Popen([sys.executable, "-P", __file__], stdin=theirs, stdout=subprocess.DEVNULL)

    def end() -> None:
        ours.close()
        server.wait()

    theirs.close()
    atexit.register(end)
    return ours


def _serve() -> None:
    """Answer requests until the tests are gone; returns in a fork when its run is over."""
    import boto3

    import toolkit
    from toolkit.cli.main import run

    boto3.Session()
    for module in pkgutil.walk_packages(toolkit.__path__, "toolkit."):
        if not module.name.startswith("toolkit.sandbox"):
            import_module(module.name)
    gc.freeze()  # else each fork looks through all modules for garbage when it ends, 0.2 s
    requests = socket.socket(fileno=0)
    while True:
        message, descriptors, _, _ = socket.recv_fds(requests, 1, 4)
        if not message:
            return
        if os.fork() == 0:
            break
        for descriptor in descriptors:
            os.close(descriptor)
        while _reap():
            pass
    answers = socket.socket(fileno=descriptors[0])
    with answers.makefile("rw", encoding="utf-8") as talk:
        arguments, folder, environment = json.loads(talk.readline())
        child = os.fork()
        if child:
            talk.write(f"{child}\n")
            talk.flush()
            talk.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
            talk.flush()
            os._exit(0)
    answers.close()
    for number, descriptor in enumerate(descriptors[1:]):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.argv = arguments
    run()


def _reap() -> bool:
    try:
        return os.waitpid(-1, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return False


if __name__ == "__main__":
    _serve()
