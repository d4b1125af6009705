"""Where the examples' steps run: a repository with its `main`, a sandbox, the code host, and machines of a pipeline.

Programs that a pipeline finds on its machines and that cannot run here are stand-ins first on `PATH`: `pip` looks at the
hashes, `gh` is the real one sent to the code host, and `sleep` is the time in which the upstream comes back.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.pipelines.code_host import BOT, CodeHost, code_host
from tests.support.real_parts import require
from tests.support.sandbox import RunningSandbox, running_sandbox

EXAMPLES = Path(__file__).parents[2] / "examples" / "pipelines"
REGION = "ap-northeast-1"
KEY = "a key of the pipeline's own"
MANIFEST = """\
version: 1
name: base-images
aws: {region: ap-northeast-1}
terraform: {backend: {s3: {bucket: states, key: base-images.tfstate}}}
images:
  - {source: "nginx:1.16", platforms: [linux/amd64]}
"""
REFERENCES = ("nginx:1.16", "python:3.12-slim")
PIP = """\
#!/bin/sh
# Installs nothing: looks whether each line has its hash.
test "$1 $2 $3" = "install --require-hashes --requirement" && ! grep -v -e '^#' -e '--hash=sha256:' "$4"
"""
SLEEP = """\
#!/bin/sh
echo "$1" >> "$WORLD/slept"
test ! -d "$WORLD/away" || mv "$WORLD/away" "$WORLD/sandbox/docker-hub/blobs"
"""
GH = """\
#!/bin/sh
http_proxy="$CODE_HOST" GH_HOST=github.localhost exec {gh} "$@"
"""


@dataclass(frozen=True)
class Ran:
    """How a script ended."""

    code: int
    output: str

    def expect(self, code: int) -> Ran:
        assert self.code == code, f"exit {self.code}, not {code}\n{self.output}"
        return self


@dataclass(frozen=True)
class World:
    folder: Path
    sandbox: RunningSandbox
    host: CodeHost

    @property
    def origin(self) -> Path:
        return self.folder / "origin"

    def head(self, branch: str = "main") -> str:
        return git(self.origin, "rev-parse", branch)

    def commit(self, branch: str, **files: str) -> str:
        """Commit `files` on `branch`, which begins at `main`, and push it."""
        work = self.folder / "developer"
        if not work.exists():
            git(self.folder, "clone", "--quiet", str(self.origin), str(work))
        git(work, "fetch", "--quiet")
        there = git(work, "branch", "--remotes", "--format", "%(refname:short)").split()
        start = [f"origin/{name}" for name in (branch, "main") if f"origin/{name}" in there][:1]
        git(work, "checkout", "--quiet", "--force", "-B", branch, *start)
        for name, text in files.items():
            (work / name.replace("__", ".")).write_text(text)
        git(work, "add", "--all")
        git(work, "commit", "--quiet", "--allow-empty", "--message", "change")
        git(work, "push", "--quiet", "origin", branch)
        return self.head(branch)

    def checkout(self, folder: Path, commit: str) -> Path:
        """A machine's checkout of `commit`."""
        git(self.folder, "clone", "--quiet", "--no-checkout", str(self.origin), str(folder))
        git(folder, "checkout", "--quiet", "--detach", commit)
        return folder

    def run(self, script: str, folder: Path, environment: Mapping[str, str], shell: tuple[str, ...]) -> Ran:
        """Run `script` as a step does, with no credentials but those in `environment`."""
        given = {k: v for k, v in self.sandbox.environment().items() if k in _PASSED or k.startswith("TOOLKIT_REG")}
        done = subprocess.run(
            [*shell, script],
            cwd=folder,
            env={
                **given,
                "PATH": f"{self.folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
                "HOME": str(self.folder / "home"),
                "CI": "true",
                "WORLD": str(self.folder),
                "CODE_HOST": self.host.url,
                # The provider asks for a web identity's session where this says, not where AWS_ENDPOINT_URL does.
                "AWS_ENDPOINT_URL_STS": self.sandbox.status.aws_endpoint,
                **environment,
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        return Ran(done.returncode, done.stdout)

    def lose_upstream(self) -> None:
        """Docker Hub has its documents and loses its blobs, until a pipeline sleeps."""
        (self.folder / "sandbox" / "docker-hub" / "blobs").rename(self.folder / "away")

    def restore_upstream(self) -> None:
        (self.folder / "away").rename(self.folder / "sandbox" / "docker-hub" / "blobs")

    def slept(self) -> list[str]:
        """For how long the pipelines slept."""
        slept = self.folder / "slept"
        return slept.read_text().split() if slept.exists() else []

    def images(self) -> set[str]:
        """What ECR has, `repository:tag`."""
        ecr = self.sandbox.client("ecr", REGION)
        return {
            f"{one['repositoryName']}:{image['imageTag']}"
            for one in ecr.describe_repositories()["repositories"]
            for image in ecr.list_images(repositoryName=one["repositoryName"])["imageIds"]
            if "imageTag" in image
        }


_PASSED = (
    "AWS_CA_BUNDLE",
    "AWS_EC2_METADATA_DISABLED",
    "AWS_ENDPOINT_URL",
    "DOCKER_CONFIG",
    "NO_PROXY",
    "PYTHONPATH",
    "TOOLKIT_PROVIDER_MIRROR",
    "no_proxy",
)
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "sandbox", "AWS_SECRET_ACCESS_KEY": "sandbox"}


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=me", "-c", "user.email=me@example.com", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@contextmanager
def open_world(folder: Path, user: str = BOT) -> Iterator[World]:
    """A repository whose `main` has the manifest, an empty account with a bucket for the state, and the code host."""
    require("terraform")
    origin = folder / "origin"
    git(folder, "init", "--quiet", "--bare", str(origin))
    (folder / "home").mkdir()
    programs = {"pip": PIP, "sleep": SLEEP, "gh": GH.format(gh=shutil.which("gh"))}
    for name, text in programs.items():
        path = folder / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    with (
        running_sandbox(folder / "sandbox", REFERENCES) as sandbox,
        code_host(lambda: git(origin, "rev-parse", "main"), user) as host,
    ):
        location = {"LocationConstraint": REGION}
        sandbox.client("s3", REGION).create_bucket(Bucket="states", CreateBucketConfiguration=location)
        world = World(folder, sandbox, host)
        world.commit(
            "main",
            images__yaml=MANIFEST,
            Dockerfile="FROM nginx:1.16\n",
            **{"requirements-toolkit__txt": f"base-image-toolkit==1.0.0 --hash=sha256:{'0' * 64}\n"},
        )
        yield world


def with_python(manifest: str) -> str:
    """The manifest with one more image, as a pull request adds it."""
    return f'{manifest}  - {{source: "python:3.12-slim", platforms: [linux/amd64]}}\n'
