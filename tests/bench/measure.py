"""Runs a case: every tool in turn, again and again, each on registries put back to where the case begins."""

from __future__ import annotations

import http.client
import os
import shutil
import ssl
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from tests.bench.cases import Case
from tests.bench.delay_proxy import delay_proxy
from tests.bench.processes import RunFailed, run
from tests.bench.registries import Certificate, Fixture, Registry, fixture
from tests.bench.results import Outcome, Run, Tally
from tests.bench.tools import TOOLS, Errand, Tool, environment

_ACCEPT = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)


@dataclass(frozen=True, slots=True)
class _Stage:
    """A case's registries while they run."""

    case: Case
    fixture: Fixture
    before: Path | None
    source: Registry
    destination: Registry
    certificate: Certificate | None

    @property
    def registries(self) -> tuple[Registry, Registry]:
        return self.source, self.destination

    @property
    def images(self) -> tuple[tuple[str, str, str], ...]:
        return self.fixture.images[: self.case.first]


@dataclass(frozen=True, slots=True)
class Bench:
    """Fixtures are kept in one folder, what a run needs in another. `tools` are those installed; `jobs` is for ours."""

    fixtures: Path
    folder: Path
    tools: Sequence[str]
    runs: int
    jobs: int | None

    def measure(self, case: Case) -> Outcome:
        """Every tool of the case; one that fails is not started again."""
        with ExitStack() as stack:
            stage = self._set_up(case, stack)
            tools = [TOOLS[name] for name in case.tools if name in self.tools]
            runs: dict[str, list[Run]] = {tool.name: [] for tool in tools}
            failures: dict[str, str] = {}
            for number in range(1, self.runs + 1):
                for tool in tools:
                    if tool.name in failures:
                        continue
                    if case.before != case.generation:
                        stage.destination.restart(stage.before)
                    try:
                        found = self._run(tool, stage)
                    except RunFailed as error:
                        failures[tool.name] = str(error)
                        sys.stderr.write(f"{case.name} {number}/{self.runs}  {tool.name}: failed, {error}\n")
                        continue
                    runs[tool.name].append(found)
                    line = f"{found.cost.wall:.2f} s, load {found.load:.1f}"
                    sys.stderr.write(f"{case.name} {number}/{self.runs}  {tool.name}: {line}\n")
        tallies = {name: Tally(of_tool) for name, of_tool in runs.items() if of_tool and name not in failures}
        return Outcome(len(stage.images), self._new_bytes(stage), tallies, failures)

    def _set_up(self, case: Case, stack: ExitStack) -> _Stage:
        content = fixture(self.fixtures, case.set_name, case.generation)
        before = None if case.before is None else fixture(self.fixtures, case.set_name, case.before).store
        certificate = Certificate.make(self.folder) if case.tls else None
        source = stack.enter_context(Registry(self.folder / "source", certificate))
        destination = stack.enter_context(Registry(self.folder / "destination", certificate))
        source.restart(content.store)
        destination.restart(before)
        return _Stage(case, content, before, source, destination, certificate)

    def _run(self, tool: Tool, stage: _Stage) -> Run:
        folder = self.folder / "run"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        if tool.cache == "warm":
            shutil.copytree(self._warm_cache(stage.case.set_name), folder / "cache")
        with ExitStack() as stack:
            source, destination = (
                stack.enter_context(_seen_from_afar(one, stage.case.delay)) for one in stage.registries
            )
            errand = Errand(
                [(repository, tag) for repository, tag, _ in stage.images],
                source,
                destination,
                folder,
                folder / "cache",
                stage.certificate,
                stage.case.jobs or self.jobs,
            )
            command = tool.command(errand)
            for registry in stage.registries:
                registry.forget()
            load = os.getloadavg()[0]
            cost = run(command.argv, command.stdin, environment(errand, command), self.folder / "run.log")
        # A registry writes its line after the client has the answer.
        time.sleep(0.2)
        found = Run(load, cost, *(registry.traffic(stage.fixture.blob_sizes) for registry in stage.registries))
        _check(stage)
        return found

    def _warm_cache(self, set_name: str) -> Path:
        """Our cache as a copy of the set's first generation into an empty registry leaves it."""
        kept = self.folder / f"cache-{set_name}"
        if not kept.exists():
            case = Case("warming", "", set_name, ("toolkit",), ())
            elsewhere = replace(self, folder=self.folder / "warming")
            shutil.rmtree(elsewhere.folder, ignore_errors=True)
            elsewhere.folder.mkdir()
            with ExitStack() as stack:
                elsewhere._run(TOOLS["toolkit"], elsewhere._set_up(case, stack))
            (elsewhere.folder / "run" / "cache").rename(kept)
            shutil.rmtree(elsewhere.folder)
        return kept

    def _new_bytes(self, stage: _Stage) -> int:
        case = stage.case
        there = {} if case.before is None else fixture(self.fixtures, case.set_name, case.before).blob_sizes
        return sum(size for digest, size in stage.fixture.blob_sizes.items() if digest not in there)


def _seen_from_afar(registry: Registry, delay: float) -> AbstractContextManager[str]:
    """The address that a tool is given."""
    return delay_proxy(registry.port, delay) if delay else nullcontext(registry.host)


def _check(stage: _Stage) -> None:
    """Every tag points to what the source's does, or RunFailed: a tool that leaves something out is not fast."""
    address = ("127.0.0.1", stage.destination.port)
    if stage.certificate:
        trust = ssl.create_default_context(cafile=str(stage.certificate.path))
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(*address, context=trust)
    else:
        connection = http.client.HTTPConnection(*address)
    wrong = []
    for repository, tag, digest in stage.images:
        connection.request("HEAD", f"/v2/{repository}/manifests/{tag}", headers={"Accept": _ACCEPT})
        answer = connection.getresponse()
        answer.read()
        if answer.headers["Docker-Content-Digest"] != digest:
            wrong.append(f"{repository}:{tag}")
    connection.close()
    if wrong:
        raise RunFailed(f"{len(wrong)} images are not what they should be: {', '.join(wrong[:3])}")
