"""Two registries in a process of their own, whose answers go wrong now and then, and the images between them."""

from __future__ import annotations

import random
import shutil
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path

from tests.support.fault_injection import ON_ARRIVAL, Asked, Broken, Fault, Refused
from tests.support.made_images import MadeImage, image
from tests.support.two_registries import open_side, two_servers

FAULTS: list[Fault] = [
    Refused(500),
    Refused(503),
    Refused(429),
    Broken(ON_ARRIVAL),
    Refused(404, "BLOB_UPLOAD_UNKNOWN"),
]


def made(round_number: int, number: int) -> MadeImage:
    """An image of a layer that all share, one of its own and a config."""
    return image([b"shared" * 1_000, b"%d/%d" % (round_number, number) * 500])


def serve(pipe: Connection, share: float) -> None:
    """Serve both, a new pair of stores for each number of images that comes; answer with what is to be copied. The destination's host comes first."""
    dice = random.Random(0)

    def strike(asked: Asked) -> Fault | None:
        return dice.choice(FAULTS) if dice.random() < share else None

    with two_servers() as (source_server, destination_server):
        pipe.send(destination_server.host)
        while (asked := pipe.recv()) is not None:
            round_number, count = asked
            folder = Path(tempfile.mkdtemp())
            source, _ = open_side(source_server, folder / "source"), open_side(destination_server, folder / "copy")
            pinned = [str(source.keep(made(round_number, n), f"lib/r{n % 20}", f"v{n}")) for n in range(count)]
            source_server.restart(strike=strike)
            destination_server.restart(strike=strike)
            pipe.send(pinned)
            pipe.recv()
            shutil.rmtree(folder)
