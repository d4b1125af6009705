"""`python -m tests.bench.plans`: the CPU of runs with nothing to do and with updates, beside bare Terraform.

Sets up a sandbox with everything applied, runs each command in turn, and prints medians of user and system time of all
processes that a command waits for; the sandbox itself is not among them.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from tests.bench.processes import RunFailed, run
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
    plan = [*terraform, "plan", "-input=false", "-out=bare.tfplan"]
    ours = [TOOLKIT]
    nothing = {
        "terraform plan": [plan],
        "toolkit plan": [[*ours, "plan"]],
        "terraform apply": [[*terraform, "apply", "-input=false", "-auto-approve"]],
        "toolkit apply": [[*ours, "apply", "--auto-approve"]],
        "toolkit copy --list": [[*ours, "copy", "--list", "pairs.txt", "--platform", "linux/amd64"]],
        "toolkit seed": [[*ours, "seed"]],
    }
    updates = {
        "terraform plan, show": [plan, [*terraform, "show", "-json", "bare.tfplan"]],
        "toolkit plan, updates": [[*ours, "plan"]],
    }
    apply = [*ours, "apply", "--auto-approve"]
    try:
        run(apply, "", environment, folder / "log")
    except RunFailed:  # on a busy machine the provider sends a request twice; the next run adopts what it made
        run(apply, "", environment, folder / "log")
    _compare(nothing, runs, environment, folder / "log")
    manifest = folder / "images.yaml"
    manifest.write_text(manifest.read_text().replace("images:", "repositories: {scan_on_push: false}\nimages:", 1))
    run([*ours, "plan"], "", environment, folder / "log")
    _compare(updates, runs, environment, folder / "log")


def _compare(
    cases: Mapping[str, Sequence[Sequence[str]]], runs: int, environment: Mapping[str, str], log: Path
) -> None:
    """Run the cases in turn and print them; every second one beside the one before."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
    for _ in range(runs):
        for name, commands in cases.items():
            costs = [run(list(command), "", environment, log) for command in commands]
            found[name].append((sum(cost.cpu for cost in costs), sum(cost.wall for cost in costs)))
    before = ""
    for name, costs in found.items():
        cpu, wall = (median(one) for one in zip(*costs, strict=True))
        seen = [one for one, _ in costs]
        ratio = f"  {cpu / median(one for one, _ in found[before]):.2f} x {before}" if before else ""
        sys.stdout.write(f"{name:22} cpu {cpu:6.2f} s ({min(seen):.2f}-{max(seen):.2f})  wall {wall:6.2f} s{ratio}\n")
        before = "" if before else name


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
