"""Copies images for half an hour while a fifth of the answers go wrong: `make soak`. Memory and descriptors stay flat.

One process, one client and one pool of connections; every round copies other images. A line per round says how much
memory and how many descriptors and threads are left behind. The first rounds warm up: connections, code and the
allocator's arenas. Registries run in another process, so that what is measured is ours.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import os
import statistics
import sys
import threading
import time
from pathlib import Path

from tests.soak.world import serve
from tests.support.clocks import FakeTime
from tests.support.two_registries import QUICK, Passing, quick_transport
from toolkit.oci.client import RegistryClient
from toolkit.oci.copy import CopyRequest
from toolkit.oci.reference import Reference, Repository
from toolkit.seed.seeder import Seeder

WARM_UP = 5
ALLOWED_MB = 3.0


def memory() -> float:
    """Resident megabytes of this process."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> int:
    """1 where the last third of the rounds holds more than the third before."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--images", type=int, default=250)
    parser.add_argument("--faults", type=float, default=0.18)
    arguments = parser.parse_args()

    context = multiprocessing.get_context("spawn")
    pipe, other = context.Pipe()
    server = context.Process(target=serve, args=(other, arguments.faults), daemon=True)
    server.start()
    destination = pipe.recv()
    fake_time = FakeTime()
    client = RegistryClient(transport=quick_transport(fake_time), clock=fake_time.clock)
    seen: list[tuple[float, int, int]] = []
    end = time.monotonic() + 60 * arguments.minutes
    while time.monotonic() < end or len(seen) < WARM_UP + 6:
        pipe.send((len(seen), arguments.images))
        requests = []
        for pinned in pipe.recv():
            found = Reference.parse(pinned)
            to = Repository(destination, found.name.path).with_tag(f"v{len(requests)}")
            requests.append(CopyRequest(f"image {len(requests)}", found, to))
        seeder = Seeder(client, client, lambda event: None, jobs=8, retry_policy=QUICK, clock=Passing())
        outcomes = seeder.seed(requests)
        failed = sum(outcome.error_code is not None for outcome in outcomes)
        del outcomes, requests, seeder
        pipe.send(None)
        seen.append((memory(), len(list(Path("/proc/self/fd").iterdir())), threading.active_count()))
        megabytes, descriptors, threads = seen[-1]
        sys.stdout.write(
            f"{len(seen):5} {megabytes:7.1f} MB {descriptors:4} fds {threads:3} threads, {failed} failed\n"
        )
        sys.stdout.flush()
    pipe.send(None)
    server.join()

    steady = seen[WARM_UP:]
    third = len(steady) // 3
    before, after = steady[third : 2 * third], steady[2 * third :]
    growth = [
        statistics.mean(row[column] for row in after) - statistics.mean(row[column] for row in before)
        for column in range(3)
    ]
    sys.stdout.write("growth: {:+.2f} MB, {:+.2f} descriptors, {:+.2f} threads\n".format(*growth))
    return int(growth[0] > ALLOWED_MB or growth[1] > 1 or growth[2] > 1)


if __name__ == "__main__":
    sys.exit(main())
