"""`python -m tests.bench`: the copy engine beside its peers, on real registries on loopback."""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
from fnmatch import fnmatchcase
from pathlib import Path

from tests.bench.cases import CASES
from tests.bench.measure import Bench
from tests.bench.report import document, machine, markdown
from tests.bench.tools import OURS, TOOLS

_PEERS = list(dict.fromkeys(tool.program for tool in TOOLS.values() if not tool.is_ours))
# A tmpfs where there is one: the steadiest store.
_MEMORY = Path("/dev/shm")


def main() -> int:
    """Measure what the command line asks for; 1 if a tool failed."""
    options = _parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    wanted = [case for case in CASES if any(fnmatchcase(case.name, pattern) for pattern in options.cases or ["*"])]
    programs = [OURS, *options.peers]
    paths = {tool.program: tool.path for tool in TOOLS.values() if tool.program in programs}
    installed = {program: path for program, path in paths.items() if path}
    missing = [program for program in programs if program not in installed]
    if missing:
        sys.stderr.write(f"not installed, so not measured: {', '.join(missing)}\n")
    root = options.folder or Path(tempfile.mkdtemp(prefix="toolkit-bench-", dir=_MEMORY if _MEMORY.is_dir() else None))
    root.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="work-", dir=root)).resolve()
    tools = [tool.name for tool in TOOLS.values() if tool.program in installed]
    results = []
    try:
        bench = Bench(root.resolve() / "fixtures", work, tools, options.runs, options.jobs)
        about = machine({"docker-registry": "docker-registry", **installed}, missing)
        for case in wanted:
            results.append((case, bench.measure(case)))
            if options.json:
                options.json.write_text(json.dumps(document(about, results), indent=1) + "\n")
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
    finally:
        shutil.rmtree(work if options.folder else root, ignore_errors=True)
    sys.stdout.write(markdown(about, results))
    return 1 if any(outcome.failures for _, outcome in results) else 0


def _parse() -> argparse.Namespace:
    names = [case.name for case in CASES]
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "cases", metavar="CASE", nargs="*", help=f"names or patterns; all without one: {', '.join(names)}"
    )
    parser.add_argument("--runs", type=int, default=5, help="of each tool, in turn [default: 5]")
    parser.add_argument(
        "--peers", default=",".join(_PEERS), help=f"programs to measure against [default: {','.join(_PEERS)}]"
    )
    parser.add_argument("--jobs", type=int, help="--jobs of ours, where the case does not say [default: its own]")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every run here")
    parser.add_argument(
        "--folder",
        type=Path,
        metavar="DIR",
        help="work here, and keep the sets of images for the next time [default: a new folder in memory, removed at the end]",
    )
    options = parser.parse_args()
    options.peers = [peer for peer in options.peers.split(",") if peer]
    if strangers := [peer for peer in options.peers if peer not in _PEERS]:
        parser.error(f"no such peer: {', '.join(strangers)}; there are {', '.join(_PEERS)}")
    if strangers := [one for one in options.cases if not any(fnmatchcase(name, one) for name in names)]:
        parser.error(f"no such case: {', '.join(strangers)}; there are {', '.join(names)}")
    if options.runs < 1:
        parser.error("--runs: at least 1")
    if not shutil.which("docker-registry"):
        parser.error("docker-registry is not installed")
    return options


if __name__ == "__main__":
    sys.exit(main())
