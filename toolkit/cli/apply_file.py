"""Applying a saved plan: the checks before it, and where Terraform runs.

The manifest in the file is used. One in the current folder may have changed while the plan was reviewed, which is no
reason against what was approved: a difference is a notice. A manifest that is named on the command line is said to
belong to the plan: a difference is a refusal.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

from toolkit.cli.boundary import Run
from toolkit.cli.render.result import Result
from toolkit.cli.saved_plan import (
    SavedPlan,
    is_in_s3,
    keep_result,
    kept_results,
    place_for_shards,
    put_shard_plan,
    read_plan,
    refuse_other_commit,
    refuse_other_terraform,
    unpack,
)
from toolkit.cli.saved_result import read_saved_result
from toolkit.cli.wiring import Settings, open_services
from toolkit.errors import PLAN_AGAIN, Interrupted, ManifestUnusable, Refused, TerraformFailed, ToolkitError, UsageError
from toolkit.events import Emit, NoticeGiven
from toolkit.manifest.loader import read
from toolkit.operations.apply import apply_saved, apply_shard, shard_of
from toolkit.operations.batch import check_batch, run_batch
from toolkit.operations.join import join, raise_if_missing
from toolkit.operations.refresh import shared_by_refreshes
from toolkit.plan.on_budget import OnBudget
from toolkit.report import Report

INFRASTRUCTURE = 0
"""The part of a plan that is no shard."""
_COMMIT = re.compile(r"[0-9a-fA-F]{40}|[0-9a-fA-F]{64}")


def apply_file(
    run: Run,
    path: str,
    settings: Settings,
    manifest: Path,
    is_named: bool,
    require_commit: str | None,
    on_budget: OnBudget | None,
    part: int | None = None,
    *,
    is_batch: bool = False,
) -> None:
    """Do the plan in `path`, or only one `part` of it: `INFRASTRUCTURE` or the shard of that number.

    If `is_batch`, CodeBuild does the shards. `is_named` says that the user named `manifest` on the command line.
    """
    if require_commit is not None and not _COMMIT.fullmatch(require_commit):
        raise UsageError(
            "usage.commit", f"`{require_commit}` is not the whole name of a commit", hint="write all 40 digits"
        )
    if part and is_in_s3(path):
        run.keep_views({"json": keep_result(path, part)})  # also of a run that does not get further than the plan
    saved = read_plan(path)
    if require_commit is not None:
        refuse_other_commit(saved, require_commit)
    if saved.is_signed and not saved.is_verified:
        message = f"the signature of `{path}` was not checked: `TOOLKIT_PLAN_KEY` is not set here"
        run.emit(NoticeGiven("plan.unverified", message))
    compare_manifest(run.emit, saved, manifest, is_named)
    review, publish = run.show_plan, run.show_report
    if part:
        shard = shard_of(saved.plan, part)
        desired = replace(saved.desired, put_image_per_second=shard.put_image_per_second)
        with open_services(run.emit, desired, replace(settings, in_order=True), locks=False) as services:
            apply_shard(
                desired,
                saved.plan,
                shard,
                services,
                digest=saved.digest,
                review=review,
                publish=publish,
                on_budget=on_budget,
            )
        return
    made: list[Report] = []
    started = time.monotonic()
    try:
        with (
            _place(run.emit, saved, settings.work_dir) as work_dir,
            open_services(run.emit, saved.desired, replace(settings, work_dir=work_dir)) as services,
        ):
            if is_batch:
                check_batch(saved.plan, services)
            refuse_other_terraform(saved, services.terraform.version())
            planned = unpack(saved, services.work_path)
            apply_saved(
                saved.desired,
                planned,
                services,
                review=review,
                publish=made.append if is_batch else publish,
                on_budget=on_budget,
                infra_only=is_batch or part == INFRASTRUCTURE,
            )
        joined = _copy_in_batch(run, saved, settings, on_budget) if is_batch else None
    except (ToolkitError, KeyboardInterrupt):
        for report in made:
            publish(report)
        raise
    if joined:
        seconds = round(time.monotonic() - started, 3)  # a shard knows its own time only
        publish(replace(joined, seconds=seconds, infra_changes=made[0].infra_changes, outputs=made[0].outputs))
        raise_if_missing(joined, of_batch=True)


def _copy_in_batch(run: Run, saved: SavedPlan, settings: Settings, on_budget: OnBudget | None) -> Report:
    """Have CodeBuild copy the images; Terraform has made what they need."""
    with open_services(run.emit, saved.desired, settings, locks=False) as services:
        place = place_for_shards(saved, f"{shared_by_refreshes(services).place}/shards")
        prepare = partial(put_shard_plan, saved, place)
        run_batch(saved.plan, saved.digest, place, services, on_budget, prepare)
    return join_results(run, saved, place)


def join_results(run: Run, saved: SavedPlan, place: str, files: Sequence[Path] = ()) -> Report:
    """The joined report of the plan at `place`, from the results in `files`, or from those beside a plan in S3."""
    shards = saved.plan.division.shards if saved.plan.division else ()
    if files or not is_in_s3(place):
        found: Mapping[str, Result] = {str(path): read_saved_result(path) for path in files}
    else:
        found = kept_results(place, len(shards))
    for name, result in found.items():
        if "report" not in result.values:
            why = f": {result.error['message']}" if result.error else ""
            run.emit(NoticeGiven("report.without_images", f"`{name}` has no report on images{why}"))
    return join(saved.plan, saved.digest, {name: one.values.get("report") for name, one in found.items()})


def compare_manifest(emit: Emit, saved: SavedPlan, manifest: Path, is_named: bool) -> None:
    """Raise Refused if a manifest was named and is not the plan's; emit a notice if another one is in the folder."""
    try:
        is_same = read(manifest) == saved.manifest
    except ManifestUnusable:
        if is_named:
            raise
        return
    if is_same:
        return
    message = f"`{manifest}` is not the manifest that `{saved.path}` was made from"
    if is_named:
        raise Refused("plan.stale", message, hint=PLAN_AGAIN)
    emit(NoticeGiven("plan.other_manifest", f"{message}; the one in the plan is used"))


def _place(emit: Emit, saved: SavedPlan, work_dir: Path | None) -> AbstractContextManager[Path | None]:
    """Where Terraform runs; None means the default folder, where a state that is a file is kept."""
    has_local_state = saved.desired.backend is None
    return nullcontext(work_dir) if work_dir or has_local_state else new_folder(emit)


@contextmanager
def new_folder(emit: Emit) -> Iterator[Path]:
    """A folder for its owner alone, removed at the end unless Terraform has left something to look at."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="toolkit-apply-"))
    except OSError as error:
        raise Refused(
            "terraform.work_dir_unusable",
            f"there is no place for a temporary folder: {error.strerror}",
            hint="name a folder with --work-dir",
        ) from error
    is_kept = False
    try:
        yield folder
    except (ToolkitError, KeyboardInterrupt) as error:
        # A state lock that was left behind is removed from this folder.
        is_locked = isinstance(error, Refused) and error.code == "state.locked"
        is_kept = is_locked or isinstance(error, TerraformFailed | Interrupted | KeyboardInterrupt)
        if is_kept:
            emit(NoticeGiven("terraform.work_dir_kept", f"what Terraform said and left is in `{folder}`"))
        raise
    finally:
        if not is_kept:
            shutil.rmtree(folder, ignore_errors=True)
