"""`python -m tests.bench.plans`: the CPU of runs with nothing to do, beside bare Terraform in the same folder.

Sets up a sandbox with everything applied, runs each command in turn, and prints medians of user and system time of all
processes that a command waits for; the sandbox itself is not among them.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from tests.bench.processes import Cost, RunFailed, run
from tests.support.real_parts import require
from tests.support.sandbox import running_sandbox
from tests.support.toolkit_run import TOOLKIT

_REGION = "eu-west-1"


def main() -> None:
    """Set up, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.plans", description=__doc__)
    parser.add_argument("--repositories", type=int, default=50)
    parser.add_argument("--tags", type=int, default=3, help="images of each repository")
    parser.add_argument("--builds", type=int, default=10)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="toolkit-plans-") as name:
        folder = Path(name)
        names = [f"acme/app{number:03}" for number in range(options.repositories)]
        sources = [f"quay.io/{path}:{tag}.0" for path in names for tag in range(1, options.tags + 1)]
        (folder / "images.yaml").write_text(_manifest(sources, options.builds))
        with running_sandbox(folder / "sandbox", sources) as sandbox:
            registry = f"{sandbox.status.account_id}.dkr.ecr.{_REGION}.amazonaws.com"
            pairs = "".join(f"{source} {registry}/{source.replace('quay.io', 'quay')}\n" for source in sources)
            (folder / "pairs.txt").write_text(pairs)
            environment = {**sandbox.environment(), "TOOLKIT_CACHE_DIR": str(folder / "cache")}
            for name in ("TF_CLI_CONFIG_FILE", "PYTHONDONTWRITEBYTECODE"):
                environment.pop(name, None)
            environment["PYTHONPYCACHEPREFIX"] = str(folder / "compiled")  # as an installed program is
            environment["TOOLKIT_WORK_DIR"] = "work"
            _measure(folder, environment, options.runs)


def _measure(folder: Path, environment: Mapping[str, str], runs: int) -> None:
    os.chdir(folder)
    terraform = [require("terraform"), "-chdir=work"]
    ours = [TOOLKIT]
    commands = {
        "terraform plan": [*terraform, "plan", "-input=false", "-out=bare.tfplan"],
        "toolkit plan": [*ours, "plan"],
        "terraform apply": [*terraform, "apply", "-input=false", "-auto-approve"],
        "toolkit apply": [*ours, "apply", "--auto-approve"],
        "toolkit copy --list": [*ours, "copy", "--list", "pairs.txt", "--platform", "linux/amd64"],
        "toolkit seed": [*ours, "seed"],
    }
    log = folder / "log"
    for last in (
        False,
        False,
        True,
    ):  # a busy machine lets a request be sent twice, and the next run adopts what it made
        try:
            run([*ours, "apply", "--auto-approve"], "", environment, log)
            break
        except RunFailed:
            if last:
                raise
    found: dict[str, list[Cost]] = {name: [] for name in commands}
    for _ in range(runs):
        for name, argv in commands.items():
            found[name].append(run(argv, "", environment, log))
    cpu = {name: median(cost.cpu for cost in costs) for name, costs in found.items()}
    beside = {
        "toolkit plan": "terraform plan",
        "toolkit apply": "terraform apply",
        "toolkit seed": "toolkit copy --list",
    }
    for name, costs in found.items():
        seen = [cost.cpu for cost in costs]
        ratio = f"  {cpu[name] / cpu[beside[name]]:.2f} x {beside[name]}" if name in beside else ""
        wall = median(cost.wall for cost in costs)
        sys.stdout.write(
            f"{name:20} cpu {cpu[name]:6.2f} s ({min(seen):.2f}-{max(seen):.2f})  wall {wall:6.2f} s{ratio}\n"
        )


def _manifest(sources: list[str], builds: int) -> str:
    head = f"version: 1\nname: bench\naws: {{region: {_REGION}}}\nimages:\n"
    images = "".join(f"  - {source}\n" for source in sources)
    made = "".join(
        f"  - name: b{number:02}\n    source: {{type: GITHUB, location: 'https://github.com/acme/b{number:02}.git'}}\n"
        f"    images: [{sources[number % len(sources)]}]\n"
        for number in range(builds)
    )
    return head + images + (f"builds:\n{made}" if made else "")


if __name__ == "__main__":
    main()
