"""Drives Terraform through python-terraform: init, plan into a file, apply exactly that file, read plan and state.

python-terraform makes the command lines, and `process` runs them. The library itself would read the output only at the
end, write variables to temporary files, parse states and accept any method name.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import python_terraform
from python_terraform import IsFlagged, IsNotFlagged

from toolkit.errors import Refused, TerraformFailed, ToolkitError
from toolkit.events import Emit, Event, InfraChangeFinished, NoticeGiven
from toolkit.oci.programs import find_program, is_in_tree
from toolkit.plan.desired import S3Backend
from toolkit.plan.model import InfraAction, InfraChange
from toolkit.terraform import initialised, process
from toolkit.terraform.call import Call, ask
from toolkit.terraform.explain import hint_for, lock_in
from toolkit.terraform.plan_changes import drift_in, needs_attributes, with_attributes
from toolkit.terraform.plan_contents import read_contents, tells_of_drift
from toolkit.terraform.provider_lock import LOCK_FILE, PLATFORMS, ProviderChoice, ProviderLock, locked_version
from toolkit.terraform.provider_mirror import REGISTRIES, is_opentofu, serves
from toolkit.terraform.root_module import LEFT_REGIONS, required_provider
from toolkit.terraform.state import DEFAULT_WORKSPACE, State, read_local_state, read_state
from toolkit.terraform.work_dir import WorkDir, refuse_foreign_files

_OLDEST = (1, 6)
KNOWN_BAD = {
    # https://github.com/hashicorp/terraform/issues/39068; an interrupted apply and `--adopt` need an import each.
    "Terraform 1.16.0": "it ignores all but one import of the resources of one `for_each`",
}
"""Versions that do something wrong which we rely on, each with what it does."""
_SURVIVOR_SECONDS = 120.0
_PROVIDERS = "TOOLKIT_TERRAFORM_PROVIDERS"
"""Variable with the providers beside AWS's that Terraform may start, `hashicorp/random` for example."""

Outputs = Mapping[str, object]
OnResource = Callable[[InfraChange], None]


@dataclass(frozen=True, slots=True)
class PlanFile:
    """Terraform's saved plan and the resource changes in it; a plan that changes only outputs has none.

    `drift` are the changes outside of Terraform since its last run. As `plan` returns it, it has no attributes and may
    be noise of the provider; `detail` removes the noise.
    """

    path: Path
    work_dir: WorkDir
    changes: tuple[InfraChange, ...]
    drift: tuple[InfraChange, ...] = ()


class TerraformRunner:
    """Terraform or OpenTofu, found by the name or path `binary`; a path is relative to the current directory.

    `find_mirror` returns the folder to install providers from, or None to leave that to Terraform. It is called only
    when providers are installed, so that a faulty mirror does not disturb other commands. If the state is locked, the
    runner names the holder and waits at most `lock_seconds`. `workspace` is Terraform's; a missing one is created.
    `provider_lock` is imposed on `init`; without one, the working directory's own lock file is used. Methods raise
    TerraformFailed, AccessDenied or Refused (`explain` has the table), and Interrupted once Terraform has exited.
    """

    def __init__(
        self,
        binary: str,
        emit: Emit,
        *,
        find_mirror: Callable[[], Path | None] = lambda: None,
        lock_seconds: int = 120,
        workspace: str = DEFAULT_WORKSPACE,
        provider_lock: ProviderLock | None = None,
        environment: Mapping[str, str] = os.environ,
        survivor_seconds: float = _SURVIVOR_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._binary = binary
        self._emit = emit
        self._find_mirror = find_mirror
        self._lock_seconds = lock_seconds
        self._workspace = workspace
        self._provider_lock = provider_lock
        self._given = environment
        self._environment = process.scrub(environment)
        if workspace != DEFAULT_WORKSPACE:
            self._environment["TF_WORKSPACE"] = workspace
        self._now = now
        self._survivor_seconds = survivor_seconds
        self._clock = clock
        self._sleep = sleep

    @cached_property
    def _mirror(self) -> Path | None:
        mirror = self._find_mirror()
        return mirror if mirror and serves(mirror, self._binary) else None

    def version(self) -> str:
        """Terraform's version. Raises TerraformFailed if Terraform is missing or too old."""
        return self._about()[0]

    @property
    def product(self) -> str:
        """`Terraform` or `OpenTofu`, by the name of the program."""
        return "OpenTofu" if is_opentofu(self._binary) else "Terraform"

    def path(self) -> str:
        """Where the program is. Raises TerraformFailed, Refused."""
        return self._program()

    def try_provider(self, versions: str, backend: S3Backend | None) -> tuple[str, Path | None]:
        """The version of the AWS provider that `init` installs here, and the mirror that it comes from.

        A real `init` in a temporary folder, under the lock, with nothing of the manifest but the constraint `versions`
        and what Terraform needs for `backend`.
        """
        with TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "main.tf").write_text(required_provider(versions, backend), encoding="utf-8")
            options = [f"-plugin-dir={self._mirror}"] if self._mirror else []
            if self._provider_lock is not None and self._provider_lock.impose(folder):
                options.append("-lockfile=readonly")
            ask([self._program(), "init", "-backend=false", "-no-color", *options], folder, self._environment)
            return locked_version((folder / LOCK_FILE).read_text(encoding="utf-8")) or "", self._mirror

    def choose_provider(self, versions: str) -> ProviderChoice:
        """The newest AWS provider that satisfies the constraint `versions`, with checksums for the usual platforms."""
        _, current = self._about()
        platforms = tuple(dict.fromkeys((current, *PLATFORMS)))
        source = [f"-fs-mirror={self._mirror}"] if self._mirror else []
        missing = []
        with TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "main.tf").write_text(required_provider(versions), encoding="utf-8")
            for platform in platforms:
                try:
                    ask(
                        [self._program(), "providers", "lock", f"-platform={platform}", *source],
                        folder,
                        self._environment,
                    )
                except ToolkitError:
                    if platform == current:
                        raise
                    missing.append(platform)
            lock = (folder / LOCK_FILE).read_text(encoding="utf-8")
        return ProviderChoice(lock, tuple(p for p in platforms if p not in missing), tuple(missing))

    def _about(self) -> tuple[str, str]:
        """Terraform's version and platform."""
        program = self._program()
        done = process.capture([program, "version", "-json"], cwd=None, environment=self._environment)
        try:
            document = json.loads(done.stdout)
            version = str(document["terraform_version"])
            platform = str(document.get("platform", ""))
        except (ValueError, KeyError, TypeError) as error:
            raise TerraformFailed(
                "terraform.not_terraform",
                f"`{self._binary}` is not Terraform: it has no `version -json`",
                hint="name Terraform or OpenTofu with --terraform-bin",
            ) from error
        numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
        if numbers < _OLDEST:
            raise TerraformFailed(
                "terraform.too_old",
                f"`{self._binary}` is version {version}, and 1.6 or newer is needed",
                hint="install Terraform 1.6 or newer, or name another with --terraform-bin",
            )
        if fault := KNOWN_BAD.get(f"{self.product} {version}"):
            raise TerraformFailed(
                "terraform.known_bad",
                f"`{self._binary}` is version {version}, which has a known fault: {fault}",
                hint="install a newer patch release, or name another with --terraform-bin",
            )
        return version, platform

    def init(self, work_dir: WorkDir, *, keeps_lock: bool = False) -> None:
        """Install providers and modules and open the backend, unless that is already done with the same inputs.

        If a Terraform outlived a killed run, waits for it first. With `keeps_lock`, only the provider in the existing
        lock file is installed. Raises Refused if another workspace is selected, if Terraform would read files that are
        not ours, or if something needs a provider that is not AWS's.
        """
        refuse_foreign_files(work_dir)
        self._refuse_other_workspace(work_dir)
        self._tell_what_is_dropped()
        self._await_survivor(work_dir)
        lock = self._provider_lock
        is_locked = lock is not None and lock.impose(work_dir.path)
        if initialised.record_of(work_dir) != self._inputs(work_dir):
            self._initialise(work_dir, is_locked=is_locked or keeps_lock)
        self._refuse_other_providers(work_dir)
        if lock is not None and not is_locked:
            lock.keep(work_dir.path, self._emit)

    def _initialise(self, work_dir: WorkDir, *, is_locked: bool) -> None:
        self.version()
        initialised.forget(work_dir)
        options = {"plugin_dir": str(self._mirror)} if self._mirror else {}
        if is_locked:
            options["lockfile"] = "readonly"
        call = self._call(work_dir)
        code = self._terraform(call).init(
            reconfigure=IsNotFlagged, var=None, json=IsFlagged, lock_timeout=f"{self._lock_seconds}s", **options
        )
        call.raise_for(code, ok=(0,))
        initialised.record(work_dir, self._inputs(work_dir))

    def plan(self, work_dir: WorkDir, *, refreshes_only: bool = False) -> PlanFile:
        """Plan and save the plan; with `refreshes_only`, one that changes no resource and only shows drift."""
        work_dir.plan_path.unlink(missing_ok=True)  # Terraform may save a plan that fails
        options = {"refresh_only": IsFlagged} if refreshes_only else {}
        call = self._plan(work_dir, out=work_dir.plan_path.name, **options)
        return PlanFile(work_dir.plan_path, work_dir, tuple(call.changes), tuple(call.drift))

    def detail(self, plan_file: PlanFile) -> PlanFile:
        """`plan_file` with the changed attributes and rights, and with the drift that matters.

        Runs `show` only if it would add something.
        """
        if not needs_attributes(plan_file.changes) and not (
            plan_file.drift and tells_of_drift(plan_file.path.read_bytes())
        ):
            return PlanFile(plan_file.path, plan_file.work_dir, plan_file.changes)
        document = self.show(plan_file)
        changes = with_attributes(plan_file.changes, document)
        return PlanFile(plan_file.path, plan_file.work_dir, changes, drift_in(document, changes))

    def has_changes(self, work_dir: WorkDir) -> bool:
        """Whether a plan made now would change a resource; it is not saved."""
        return bool(self._plan(work_dir).changes)

    def _plan(self, work_dir: WorkDir, **options: object) -> Call:
        def command(terraform: _Terraform, lock_timeout: str) -> int:
            return int(terraform.plan(var=None, json=IsFlagged, lock_timeout=lock_timeout, **options))

        # 2 also means that only outputs change, which is no change of a resource.
        return self._run_locked(work_dir, command, ok=(0, 2))

    def apply(self, plan_file: PlanFile, *, on_resource: OnResource | None = None) -> Outputs:
        """Apply exactly the saved plan and return the root module's outputs, without sensitive ones.

        `on_resource` is called for each planned change once it is done, in this thread. For a replacement that is when
        the new resource exists, for an import at the end, because Terraform does not report imports.
        """
        pending = {change.address: change for change in plan_file.changes}

        def finished(event: Event) -> None:
            change = pending.get(event.address) if isinstance(event, InfraChangeFinished) else None
            if change is None or not isinstance(event, InfraChangeFinished):
                return
            if change.action is InfraAction.REPLACE and event.action == "delete":
                return
            del pending[change.address]
            if on_resource:
                on_resource(change)

        def command(terraform: _Terraform, lock_timeout: str) -> int:
            options = {"skip_plan": True, "var": None, "json": IsFlagged, "lock_timeout": lock_timeout}
            return int(terraform.apply(plan_file.path.name, **options))

        call = self._run_locked(plan_file.work_dir, command, ok=(0,), on_event=finished)
        for change in list(pending.values()):
            event = InfraChangeFinished(change.address, change.action.value, 0.0)
            self._emit(event)
            finished(event)
        return call.outputs

    def state(self, work_dir: WorkDir) -> State:
        """The content of the state, after `init`; starts no provider, and for a local file no Terraform."""
        found = read_local_state(work_dir.path, self._workspace)
        if found is not None:
            return found
        return read_state(ask([self._program(), "state", "pull"], work_dir.path, self._environment))

    def show(self, plan_file: PlanFile) -> Mapping[str, Any]:
        """The saved plan in the form of `terraform show -json`, with sensitive values; starts the provider."""
        argv = [self._program(), "show", "-json", plan_file.path.name]
        return dict(json.loads(ask(argv, plan_file.work_dir.path, self._environment)))

    def planned_from(self, plan_file: PlanFile) -> State:
        """The state from which the saved plan was made."""
        return read_contents(plan_file.path.read_bytes()).state

    def untaint(self, work_dir: WorkDir, address: str) -> None:
        """Remove the taint mark of a resource whose creation was interrupted: Terraform would replace it."""

        def command(terraform: _Terraform, lock_timeout: str) -> int:
            return terraform.cmd("untaint", address, lock_timeout=lock_timeout, no_color=IsFlagged)

        self._run_locked(work_dir, command, ok=(0,))

    def check_lock(self, work_dir: WorkDir) -> None:
        """Acquire and release the state's lock, or raise the error that `apply` would raise; starts no provider."""

        def command(terraform: _Terraform, lock_timeout: str) -> int:
            return terraform.cmd(
                "untaint", "toolkit.none", allow_missing=IsFlagged, lock_timeout=lock_timeout, no_color=IsFlagged
            )

        self._run_locked(work_dir, command, ok=(0,))

    def _run_locked(
        self,
        work_dir: WorkDir,
        command: Callable[[_Terraform, str], int],
        *,
        ok: Sequence[int],
        on_event: Callable[[Event], None] | None = None,
    ) -> Call:
        """Run a command that locks the state; if another run holds the lock, name the holder and wait.

        Terraform names the holder only when it gives up, so the first attempt does not wait at all.
        """
        call = self._call(work_dir, on_event)
        code = command(self._terraform(call), "0s")
        failure = call.failure(code, ok=ok)
        if failure and self._lock_seconds and (lock := lock_in(failure)):
            self._emit(NoticeGiven("state.locked", lock.waiting(self._now()), hint=hint_for(failure)))
            call = self._call(work_dir, on_event)
            code = command(self._terraform(call), f"{self._lock_seconds}s")
        call.raise_for(code, ok=ok)
        return call

    def _refuse_other_workspace(self, work_dir: WorkDir) -> None:
        on_disk = work_dir.path / ".terraform" / "environment"
        selected = {
            "`TF_WORKSPACE`": self._given.get("TF_WORKSPACE", ""),
            f"`{on_disk}`": on_disk.read_text(encoding="utf-8", errors="replace").strip() if on_disk.is_file() else "",
        }
        for where, name in selected.items():
            if name not in ("", DEFAULT_WORKSPACE, self._workspace):
                raise Refused(
                    "terraform.workspace",
                    f"{where} selects the workspace `{name}`, the manifest is for `{self._workspace}`",
                    hint=f"name it in the manifest, `terraform: {{workspace: {name}}}`, or undo the selection",
                )

    def _refuse_settings_of_tree(self) -> None:
        for name in process.CLI_CONFIGS:
            if (file := self._environment.get(name)) and is_in_tree(file):
                raise Refused(
                    "terraform.settings_in_tree",
                    f"`{name}` names `{file}` in the checkout, and a pull request could choose Terraform's providers",
                    hint="keep the file outside of the checkout",
                )

    def _refuse_other_providers(self, work_dir: WorkDir) -> None:
        """A file of the user's or a planted state may need any provider, which Terraform would install and start."""
        allowed = {"hashicorp/aws", *self._given.get(_PROVIDERS, "").replace(",", " ").split()}
        for folder in sorted((work_dir.path / ".terraform" / "providers").glob("*/*/*")):
            registry, name = folder.parts[-3], "/".join(folder.parts[-2:])
            if name not in allowed or registry not in REGISTRIES:
                raise Refused(
                    "provider.not_allowed",
                    f"`{work_dir.path}` needs the provider `{registry}/{name}`, and only AWS's may be started",
                    hint=f"remove what needs it, or list `{name}` in `{_PROVIDERS}`, in the environment of the run",
                )

    def _tell_what_is_dropped(self) -> None:
        names = [name for name in process.dropped(self._given) if name != "TF_WORKSPACE"]
        if names:
            are = "is set and is" if len(names) == 1 else "are set and are"
            message = f"`{'`, `'.join(names)}` {are} not passed on to Terraform"
            self._emit(NoticeGiven("terraform.variable_dropped", message, hint="use the manifest's fields instead"))

    def _terraform(self, call: Call) -> _Terraform:
        """python-terraform for one call, because the object keeps the options of a call."""
        return _Terraform(call.run, self._program())

    def _call(self, work_dir: WorkDir, on_event: Callable[[Event], None] | None = None) -> Call:
        return Call(work_dir, self._environment, self._emit, on_event)

    def _program(self) -> str:
        self._refuse_settings_of_tree()
        found = find_program(self._binary, self._environment)
        if found is None and (planted := shutil.which(self._binary, path=self._given.get("PATH"))):
            raise Refused(
                "terraform.program_in_tree",
                f"`{planted}` lies in the checkout, which a pull request can change, and there is no other one on PATH",
                hint="install Terraform elsewhere, or name this one with --terraform-bin if you trust it",
            )
        if found is None:
            raise TerraformFailed(
                "terraform.not_found",
                f"there is no program `{self._binary}`",
                hint="install Terraform (or OpenTofu), or name it with --terraform-bin",
            )
        return str(Path(found).absolute())  # Terraform runs in another directory

    def _await_survivor(self, work_dir: WorkDir) -> None:
        deadline = self._clock() + self._survivor_seconds
        was_told = False
        while self._clock() < deadline and (number := process.survivor(work_dir.logs_path)) is not None:
            if not was_told:
                self._emit(
                    NoticeGiven(
                        "terraform.still_running",
                        f"the Terraform of a killed run is still running (process {number}); waiting for it",
                    )
                )
                was_told = True
            self._sleep(0.2)

    def _inputs(self, work_dir: WorkDir) -> str:
        """A hash of the inputs of `init`: the program, the mirror, the folder, the sources, the lock."""
        program = Path(self._program())
        about = program.stat()
        seen = hashlib.sha256()
        seen.update(
            f"{program}\n{about.st_size}\n{about.st_mtime_ns}\n{self._mirror}\n{work_dir.path.absolute()}\n{self._workspace}\n".encode()
        )
        sources = [*sorted(work_dir.path.glob("*.tf")), *sorted(work_dir.path.glob("modules/*/*.tf"))]
        for source in (*sources, work_dir.path / LOCK_FILE):
            if source.name not in ("imports.tf", "let_go.tf", LEFT_REGIONS) and source.is_file():
                seen.update(f"{source}\n{hashlib.sha256(source.read_bytes()).hexdigest()}\n".encode())
        return seen.hexdigest()


class _Terraform(python_terraform.Terraform):  # type: ignore[misc]  # the library has no types
    """python-terraform, used only to make argument lists; `init`, `plan` and `apply` return the exit code."""

    def __init__(self, run: Callable[[Sequence[str]], int], program: str) -> None:
        logging.getLogger("python_terraform").disabled = True  # it logs arguments and output
        self._run = run
        super().__init__(terraform_bin_path=program)

    def read_state_file(self, file_path: str | None = None) -> None:
        """Do nothing: the library would fail on an empty state, and `TerraformRunner.state` reads it."""

    def cmd(self, cmd: str, *args: str, **options: Any) -> int:
        """Run the library's command through `process`."""
        return self._run(self.generate_cmd_string(cmd, *args, **options))

    def __getattr__(self, item: str) -> Any:
        # The library would run `terraform <item>`.
        raise AttributeError(item)
