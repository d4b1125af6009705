"""Runs one program and says what it cost: a process of its own, because Linux counts a child's peak memory from its parent's.

An order on stdin, an answer on stdout, both JSON. The standard library alone, and little of it: small is the point.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path


def main() -> None:
    order = json.load(sys.stdin)
    with Path(order["stdin"]).open("rb") as read, Path(order["log"]).open("wb") as written:
        started = time.perf_counter()
        process = subprocess.Popen(
            order["argv"], stdin=read, stdout=written, stderr=subprocess.STDOUT, env=order["environment"]
        )
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    cost = {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "peak_rss": usage.ru_maxrss * 1024}
    json.dump({"code": process.returncode, "cost": cost}, sys.stdout)


if __name__ == "__main__":
    main()
