"""What each code and each exit code means: `toolkit explain` and the reference show the same text.

`codes.json` has every code with the sentences and hints that the program gives. `make reference` writes it from the
code, and a test compares the two. What no sentence in the code says stands here: why a kind of code comes up, and what
a run leaves behind that ends with it. A test knows if a code has no explanation.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("codes.json")


@dataclass(frozen=True, slots=True, order=True)
class Code:
    """One place that gives a code; `kind` is `exit N`, `refusal`, `notice`, `fault`, `image`. `…` is for a value."""

    code: str
    kind: str
    message: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class ExitCode:
    """An exit code: what happened, what the run leaves behind, what to do next."""

    number: int
    meaning: str
    leaves: str
    next: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """A code: what happened (each sentence that comes with it), why, what it leaves behind, what to do next."""

    code: str
    kinds: tuple[str, ...]
    happened: tuple[str, ...]
    why: str
    leaves: tuple[str, ...]
    next: tuple[str, ...]


EXIT_CODES = (
    ExitCode(0, "Done.", "What the command is for.", ""),
    ExitCode(
        1,
        "A bug in toolkit. Or its output could not be written (`output.lost`), or the machine ran out of memory, "
        "threads or files (`system.exhausted`).",
        "Each image is in place whole or not at all; Terraform's state is saved.",
        "Report a bug with its traceback; else make room, and run again.",
    ),
    ExitCode(
        2,
        "Only `plan --detailed-exitcode` and `lock --check`: something would change.",
        "Nothing was changed.",
        "Review, then apply or lock.",
    ),
    ExitCode(
        3, "The manifest is unusable.", "Nothing was written.", "Correct the lines that are named, and run again."
    ),
    ExitCode(
        4,
        "Credentials are missing, expired or not allowed to do this.",
        "What was done before stays, and is not done again.",
        "See the hint.",
    ),
    ExitCode(
        5,
        "Terraform failed.",
        "Resources that were made stay in Terraform's state. Images of repositories that exist were copied all the "
        "same.",
        "Remove the cause and run again. After `apply FILE`, plan again: Terraform takes a saved plan only once.",
    ),
    ExitCode(
        6,
        "Not every image is in place: some failed, or `--on-budget partial` left them. `prune`: some images which were "
        "to go are still there. `refresh`: an upstream could not be asked, or an event was not taken.",
        "The infrastructure stands, and so does every image that was copied. What `prune` deleted is gone.",
        "Run again; only the rest is copied, or deleted. `apply FILE` too, unless the hint says to plan again.",
    ),
    ExitCode(
        7,
        "Refused. It would lose or overwrite something, cannot be right, or costs more pulls than are left; the state "
        "stays locked, a saved plan is stale, or AWS or a registry did not respond. `scan --check`: a build would not "
        "stay home. `status --check`: something is wrong with an image. `doctor`: a check failed.",
        "Nothing was changed.",
        "See the hint. Run again later if the code is `aws.unreachable`, `aws.unavailable`, `state.locked`, "
        "`source.unreachable` or `source.limited`. Plan again if it is `plan.stale`.",
    ),
    ExitCode(
        8,
        "Only `plan --detailed-exitcode`: somebody else overwrote a tag in ECR, whatever else would change.",
        "Nothing was changed.",
        "Read the notice `tag.overwritten`, find out who pushed it, apply.",
    ),
    ExitCode(64, "The command line makes no sense.", "Nothing was begun.", "See `--help`."),
    ExitCode(
        130,
        "Interrupted, or the question of `apply` got no answer.",
        "What was done stays: each image is in place whole or not at all, and Terraform has saved its state.",
        "Run again: it continues. After `apply FILE`, plan again if the hint says so.",
    ),
)

_LEAVES = {
    "refusal": "Nothing was changed: a plan with a refusal is not applied.",
    "notice": "It stops nothing.",
    "fault": "It fails `status --check`, which changes nothing.",
    "image": "This image is not in place, the others are; the run ends with 6.",
}

_ROOMS = {
    "adopt": "Resources that exist and are not this manifest's are being taken over, and would lose something by it.",
    "apply": "A plan is applied only after somebody, or an option, has approved it.",
    "aws": "AWS was asked, and did not answer as it should: the credentials, the region or the network are in the way.",
    "batch": "CodeBuild does the shards of a plan as one batch, which goes on without whoever has started it.",
    "budget": "Docker Hub and others count pulls, and grant a number of them in a time.",
    "bug": "The program met something that it was not made for.",
    "build": "What a build needs does not fit into what CodeBuild takes, or is not mirrored.",
    "buildspec": "A step is put into your buildspec, or taken out of it, and everything else has to stay as it is.",
    "cache": "Registry documents are kept on disk, so that none is pulled twice.",
    "destination": "The registry that the image is copied to did not take it.",
    "destroy": "`destroy` deletes what the manifest made, and nothing else.",
    "doctor": "`doctor` looks at what a run needs, and changes nothing.",
    "ignore": "Entries of `ignore` accept a risk, at a place and until a day.",
    "image": "Images are copied into repositories, which outlive the manifest's entries.",
    "infra": "Terraform's changes are compared with what is in AWS before anything is changed.",
    "init": "`init` writes a first manifest, and never over one that is there.",
    "interrupted": "The run was stopped by a signal: Ctrl-C, or a pipeline that was cancelled.",
    "lock": "The lock says which digest of each image may be copied. Nothing is copied by one that is in doubt.",
    "manifest": "The manifest is read as a whole before anything else happens.",
    "output": "A program that reads the result must not take a part of it for the whole.",
    "plan": "A saved plan is applied exactly as it was reviewed, or not at all.",
    "policy": "`iam-policy` prints what a role needs, in the form that IAM takes.",
    "provider": "Which AWS provider Terraform runs is locked beside the manifest, with its checksums.",
    "prune": "`prune` deletes only what nothing needs, and only from repositories that this manifest made.",
    "refresh": "A refresh runs unattended, by the manifest that was applied last, and alone.",
    "registry": "Registries are reached with credentials and encrypted, unless the manifest says otherwise.",
    "replication": "ECR copies images to the regions of `aws.replicate_to`, by one list of rules for the registry.",
    "repository": "Images are copied into repositories of ECR, which Terraform makes.",
    "report": "`report` joins the results of all shards of one plan, and of no other.",
    "result": "`show` and `report` read what an earlier run wrote as JSON.",
    "risk": "The manifest asks for something that is allowed and seldom wanted.",
    "rollback": "`rollback` takes an image back to a digest that it had, and writes the lock only if that can be done.",
    "sandbox": "The sandbox stands in for AWS and the registries, as a process of this machine.",
    "scan": "`scan` follows what builds read, and compares it with the manifest.",
    "seed": "To seed is to fill the repositories with their images; it can be run again at any time.",
    "shard": "A shard is the part of a plan's copies that one machine does, without Terraform.",
    "shards": "A plan is divided into shards, by what is known of the sizes of its images.",
    "signature": "Signatures and referrers come along where the manifest says `signatures: keep`.",
    "source": "The registry that the image comes from did not give it out, or not as it should be.",
    "state": "Terraform keeps what it made in a state, and locks it while a run changes it.",
    "status": "`status --check` fails for what is wrong with an image, and for what cannot be judged.",
    "summary": "On GitHub Actions the result is added to the page of the job, as Markdown.",
    "system": "A limit of the machine was met.",
    "tag": "A tag in ECR does not point to what upstream has under it.",
    "tags": "The manifest describes tags instead of listing them, and upstream's list decides.",
    "terraform": "Terraform runs in a working directory of its own, with the generated root module.",
    "usage": "The command line, or a variable that stands for an option, makes no sense.",
}

_WHY = {
    "aws.no_profile": "The AWS profile that was named is in no configuration file.",
    "aws.secret_unusable": "The secret of a registry has not the form that is read.",
    "aws.unavailable": "AWS answered that it is too busy, several times.",
    "batch.failed": "The batch was stopped, took too long, or a build of it failed.",
    "batch.few_builds": "CodeBuild's quota is smaller than the number of shards, so that some wait for others.",
    "batch.quota_unknown": "Service Quotas does not list the quota, or may not be asked.",
    "budget.may_be_small": "The copies may need more counted pulls than are left; it is known when they are read.",
    "budget.too_small": "The copies need more counted pulls than are left.",
    "buildspec.no_place": "The buildspec is written in a way that leaves no place for a line of its own.",
    "buildspec.not_yaml": "The buildspec is not YAML, or has no `phases`.",
    "cache.unusable": "The folder of `--cache-dir` cannot be written.",
    "doctor.failed": "At least one check failed; each says what cures it.",
    "ignore.expired": "The last day of an entry of `ignore` has passed.",
    "ignore.unused": "An entry of `ignore` names a risk that is not there.",
    "infra.untainted": "Terraform's state marked a resource as damaged, and Terraform would have replaced it.",
    "manifest.cannot_add": "`images` is written in a way that leaves no place for another entry.",
    "plan.unverified": "The saved plan is signed, and no `TOOLKIT_PLAN_KEY` is there to check it with.",
    "provider.locked": "There was no lock file for the AWS provider, so one was written.",
    "provider.not_locked": "There is no lock file for the AWS provider, and a pipeline writes none.",
    "refresh.bundle_damaged": "Something else has written where `apply` puts the manifest.",
    "refresh.lease_damaged": "Something else has written where the runs keep their lease.",
    "refresh.not_applied": "`apply` puts the manifest there when Terraform is done.",
    "refresh.out_of_time": "There was more to copy than fits into the time of one run.",
    "refresh.untold": "EventBridge had no room, or the right to send is missing. What was copied stays.",
    "registry.anonymous": "The sign-in to ECR Public failed, so its images are read without one.",
    "registry.credential_missing": "A variable that the manifest names for a credential is not set.",
    "report.no_result": "No result that was named has the image: its shard has not run, or was killed.",
    "replication.incomplete": "Half an hour after the copies, a region still lacks images; ECR goes on copying.",
    "replication.no_rule": "The rule is made by `apply`, or somebody has removed it since.",
    "replication.not_ours": "Somebody else set rules, and the apply would overwrite them.",
    "rollback.gone": "ECR has deleted the image, and upstream no longer has it.",
    "rollback.not_admitted": "The digest was seen upstream, and the policy has not admitted it.",
    "rollback.other_manifest": "The lock was made for another source than the manifest has now.",
    "signature.immutable": "Upstream's signature has changed, and the tag in ECR can never move.",
    "source.alternative_unusable": "A registry of `alternatives` failed, so upstream itself is asked.",
    "source.limited": "The registry grants no more requests for now.",
    "source.unreachable": "The registry cannot be reached, or answers with errors.",
    "source.unread": "A document could not be read while planning, so a size or a signature is unknown.",
    "state.lock_failed": "Terraform cannot write the lock of its state.",
    "tag.is_keeper": "`kept.<tag>.<digest>` is what `keep_previous` calls the image that a tag has left.",
    "tag.immutable": "Upstream has moved the tag, and the one in ECR can never move.",
    "tag.origin_unknown": "The tag in ECR points to an image that upstream never had under it, as far as can be known.",
    "tag.overwritten": "Somebody pushed another image over a tag that this manifest keeps.",
    "terraform.applied_before": "The saved plan was applied before, so only its images are copied.",
    "terraform.aws_unreachable": "Terraform's AWS provider cannot reach AWS.",
    "terraform.failed": "Terraform ended with an error that has no code of its own.",
    "terraform.interrupted": "Terraform was told to stop after what it has begun.",
    "terraform.resource_exists": "AWS has a resource of that name already.",
    "terraform.variable_dropped": "A variable of the environment would bend what Terraform does.",
    "usage": "An option or a value is unknown, or an argument is missing.",
    "usage.output": "A file of `--output` has no format, is no place of its own, or cannot be written.",
    "usage.pairs": "`copy` takes pairs of references, the source first.",
    "usage.terraform_flag": "It is an option of Terraform, which the toolkit has under another name or not at all.",
    "usage.trust": "A trust policy needs to know which project and which of its branches may take the role.",
}

_WHY_OF_A_SIDE = {
    "attestation_missing": "The index lists an attestation that the registry does not have.",
    "bad_request": "The registry answered that the request makes no sense (400).",
    "blocked": "The registry may not give the image out for legal reasons (451).",
    "conflict": "Something at the registry stands in the way (409).",
    "connection_failed": "The connection failed, several times.",
    "credential_unusable": "There is a credential for this registry, and it cannot be used.",
    "denied": "The credential is known, and may not do this (403).",
    "digest_mismatch": "What arrived is not what its digest names.",
    "document_too_large": "A document is larger than any that registries take.",
    "failed": "The copy failed in a way that has no code of its own.",
    "gone": "The registry says that the image was taken away for good (410).",
    "invalid_document": "What arrived is no document of an image.",
    "layout_incomplete": "The directory lacks parts of the image.",
    "missing": "The registry has no such image or tag (404).",
    "no_digest_on_head": "The registry does not say the digest of what it has, without which nothing is compared.",
    "not_acceptable": "The registry has the image in no format that was asked for (406).",
    "not_supported": "The registry does not offer this (405).",
    "payment_required": "The registry asks for money (402).",
    "platform_missing": "The image has not all of the platforms that the manifest wants.",
    "pull_limit_reached": "The registry grants no more counted pulls in this window (429).",
    "referrers_changed": "Signatures or referrers have changed since the plan.",
    "registry_error": "The registry answered with an error of its own, several times (5xx).",
    "repository_missing": "The repository does not exist (404).",
    "request_refused": "The registry refused the request for a reason of its own.",
    "size_mismatch": "What arrived has not the size that its descriptor names.",
    "subject_refused": "The registry takes no documents that refer to others.",
    "tag_immutable": "The tag exists, and can never move.",
    "too_large": "Something on the way takes nothing so large (413).",
    "too_many_requests": "The registry asks for fewer requests, several times (429).",
    "unauthorized": "The registry wants a credential, or another one (401).",
    "unsupported_document": "The document is of a kind that cannot be copied.",
    "unusable": "The address cannot be used as that of a registry.",
}


@cache
def codes() -> Mapping[str, Sequence[Code]]:
    """Every place that gives a code, by the code."""
    found: dict[str, list[Code]] = {}
    for row in json.loads(FILE.read_text(encoding="utf-8")):
        found.setdefault(row["code"], []).append(Code(**row))
    return found


def why(code: str) -> str:
    """Why a code comes up."""
    side, _, cause = code.partition(".")
    own = _WHY.get(code) or (_WHY_OF_A_SIDE.get(cause) if side in ("source", "destination") else None)
    return f"{about(side)} {own}" if own else about(side)


def about(room: str) -> str:
    """What all codes are about that begin with `room`."""
    return _ROOMS[room]


def own_reason(code: str) -> str:
    """Why this very code comes up, for one whose sentence is put together in the run."""
    return why(code).removeprefix(about(code.partition(".")[0])).strip()


def explain(code: str) -> Explanation | None:
    """Everything about a code; None for an unknown one."""
    places = codes().get(code)
    if not places:
        return None
    kinds = tuple(dict.fromkeys(kind for place in places for kind in place.kind.split(", ")))
    return Explanation(
        code=code,
        kinds=kinds,
        happened=tuple(dict.fromkeys(place.message for place in places if place.message)),
        why=why(code),
        leaves=tuple(dict.fromkeys(map(_leaves, kinds))),
        next=tuple(dict.fromkeys(place.hint for place in places if place.hint)) or tuple(_usual(kinds)),
    )


def _leaves(kind: str) -> str:
    return _LEAVES.get(kind) or exit_code(int(kind.removeprefix("exit "))).leaves


def _usual(kinds: Sequence[str]) -> Iterator[str]:
    """What to do where no hint says it."""
    for kind in kinds:
        if kind.startswith("exit "):
            yield exit_code(int(kind.removeprefix("exit "))).next
    if "refusal" in kinds:
        yield "Change the manifest, or what the sentence names, and plan again."
    if "image" in kinds:
        yield "Run again; the report has what the registry said."
    if kinds == ("notice",):
        yield "Nothing, unless you did not expect it."


def exit_code(number: int) -> ExitCode:
    """The exit code; KeyError for an unknown one."""
    return {one.number: one for one in EXIT_CODES}[number]


def codes_that_end_with(number: int) -> list[str]:
    """The codes of errors with which a run ends with this exit code."""
    return [code for code, places in codes().items() if any(place.kind == f"exit {number}" for place in places)]


def near(text: str) -> list[str]:
    """Codes that may have been meant."""
    import difflib

    known = list(codes())
    inside = [code for code in known if text and text in code]
    return list(dict.fromkeys([*inside, *difflib.get_close_matches(text, known, n=5, cutoff=0.6)]))[:5]
