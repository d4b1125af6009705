"""BuildKit's own programs, for the two images that are nothing without: its Dockerfile frontend and its daemon.

No package of Debian has them, so they are used where the folder `TOOLKIT_PROOF_PROGRAMS` has `dockerfile-frontend`,
`buildkitd` and `buildctl`, which `go build` makes without cgo from a checkout of BuildKit. Elsewhere the images are there, and hold a
filesystem only: the frontend fails when it is loaded, and a builder of its own cannot be had.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from tests.proof.registries import Extras

VARIABLE = "TOOLKIT_PROOF_PROGRAMS"
FRONTEND, BUILDKIT = "docker.io/docker/dockerfile:", "docker.io/moby/buildkit:"


def find_programs() -> Path | None:
    """The folder that has them."""
    folder = os.environ.get(VARIABLE)
    return Path(folder) if folder else None


def with_programs(extras: Extras, folder: Path | None) -> Extras:
    """`extras`, and what the programs of `folder` make of the two images."""
    if folder is None:
        return extras
    # As the real image says of itself: without it named contexts are not passed on.
    abilities = ",".join(f"moby.buildkit.frontend.{name}" for name in ("inputs", "subrequests", "contexts"))
    configs = {
        FRONTEND: {
            "Entrypoint": ["/bin/dockerfile-frontend"],
            "Labels": {"moby.buildkit.frontend.network.none": "true", "moby.buildkit.frontend.caps": abilities},
        },
        BUILDKIT: {"Entrypoint": ["/bin/buildkitd"]},
    }
    files = {
        FRONTEND: {"bin/dockerfile-frontend": str(folder / "dockerfile-frontend")},
        BUILDKIT: {f"bin/{name}": str(folder / name) for name in ("buildkitd", "buildctl")} | _runc(),
    }
    return Extras({**extras.configs, **configs}, {**extras.program_files, **files})


def _runc() -> dict[str, str]:
    """This machine's runc, which BuildKit runs steps with, and the libraries that it is linked with."""
    program = shutil.which("runc", path="/usr/sbin:/usr/bin")
    assert program
    linked = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    libraries = re.findall(r"(/\S+) \(0x", linked)
    return {"bin/buildkit-runc": program} | {library.removeprefix("/"): library for library in libraries}
