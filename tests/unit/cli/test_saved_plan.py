"""A saved plan is read as it was written, or refused: every edit of it that leaves it a sound archive too."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.saved_plans import LOCK, MANIFEST, S3, edit, edited_json, plan_of, save, terraform_plan
from tests.support.toolkit_run import Toolkit
from toolkit import __version__
from toolkit.cli import sealed_archive
from toolkit.cli.checkout import Checkout
from toolkit.cli.saved_plan import (
    SavedPlan,
    confidential_notice,
    plan_key,
    read_plan,
    refuse_other_commit,
    refuse_other_terraform,
    unpack,
)
from toolkit.errors import Refused, UsageError
from toolkit.plan.desired import Desired
from toolkit.terraform.root_module import render
from toolkit.terraform.work_dir import WorkDir

PLANNABLE = "version: 1\nname: shop\naws: {region: eu-west-1}\nimages: [nginx:1.16]\n"
KEY = "0123456789abcdef"


class Desk:
    """A plan on its way: the file, the folder where it was made, another folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "plan.toolkit"
        self.home = folder / "home"
        self.away = folder / "away"
        self.toolkit = Toolkit(folder)

    def save(self, manifest: str = MANIFEST + S3, **options: Any) -> SavedPlan:
        return save(self.path, self.home, manifest, **options)

    def refusal(self) -> Refused:
        with pytest.raises(Refused) as refused:
            read_plan(self.path, {})
        return refused.value


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.mark.parametrize("place", [".", "/", "images.yaml/plan.json", "absent/plan.json", "link/plan"])
def test_a_place_that_takes_no_plan_is_refused_before_planning(tmp_path: Path, place: str) -> None:
    (tmp_path / "images.yaml").write_text(PLANNABLE)
    (tmp_path / "link").symlink_to("/tmp")
    done = Toolkit(tmp_path).run("plan", "--out", place, "--terraform-bin", "/bin/false").expect(7)
    assert f"the plan cannot be written to `{place}`: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("key", "said"), [("", "is set and empty"), ("short", "has 5 characters")])
def test_a_key_that_is_none_stops_before_planning(tmp_path: Path, key: str, said: str) -> None:
    (tmp_path / "images.yaml").write_text(PLANNABLE)
    toolkit = Toolkit(tmp_path, {"TOOLKIT_PLAN_KEY": key})
    assert said in toolkit.run("plan", "--out", "plan.toolkit", "--terraform-bin", "/bin/false").expect(64).stderr
    with pytest.raises(UsageError):
        plan_key({"TOOLKIT_PLAN_KEY": key})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--batch"], "`--batch` is about a saved plan"),
        (["plan.toolkit", "--batch", "--shard", "1"], "`--batch` does `--infra-only` and every `--shard`"),
        (["plan.toolkit", "--batch", "--infra-only"], "`--batch` does `--infra-only` and every `--shard`"),
        (["plan.toolkit", "--batch"], "the plan is not divided into shards"),
        (["s3://acme", "--shard", "1"], "`s3://acme` is no object in S3"),
    ],
)
def test_says_what_a_batch_needs(desk: Desk, arguments: list[str], said: str) -> None:
    desk.save()
    assert said in desk.toolkit.run("apply", *arguments).expect(64).stderr


def test_what_is_read_is_what_was_written(desk: Desk) -> None:
    saved = desk.save()
    read = read_plan(desk.path, {})
    assert read == saved
    assert read.plan == plan_of(saved.desired)
    assert dict(read.about.providers) == {"registry.terraform.io/hashicorp/aws": "5.100.0"}
    assert read.about.terraform_version == "1.11.4"


def test_no_name_in_it_is_hidden(desk: Desk) -> None:
    desk.save()
    names = sealed_archive.read(desk.path, None).members
    assert {"manifest.yaml", "terraform.lock.hcl", "module/main.tf", "module/modules/ecr-repository/main.tf"} <= {
        *names
    }
    assert not [name for name in names if any(part.startswith(".") for part in name.split("/"))]


def test_it_is_unpacked_in_an_empty_folder_for_its_owner_alone(desk: Desk) -> None:
    saved = desk.save()
    planned = unpack(read_plan(desk.path, {}), desk.away)
    work_dir = WorkDir(desk.away)
    assert planned.plan_file.path.read_bytes() == saved.terraform_plan
    assert (desk.away / ".terraform.lock.hcl").read_bytes() == LOCK
    for name, content in saved.files.items():
        assert (desk.away / name).read_bytes() == content
        assert stat.S_IMODE((desk.away / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((desk.away / "modules" / "ecr-repository").stat().st_mode) == 0o700
    assert stat.S_IMODE(work_dir.plan_path.stat().st_mode) == 0o600


def test_a_state_that_is_a_file_stays_where_it_is(desk: Desk) -> None:
    desk.save(MANIFEST)
    unpack(read_plan(desk.path, {}), desk.home)
    with pytest.raises(Refused) as refused:
        unpack(read_plan(desk.path, {}), desk.away)
    assert refused.value.code == "plan.local_state"
    assert f"`{desk.home}`" in refused.value.message
    assert not desk.away.exists()


def test_a_plan_that_hides_where_its_state_is_gets_no_new_one(desk: Desk) -> None:
    desk.save(MANIFEST)
    edit(desk.path, about_json=edited_json(lambda about: about.update(work_dir=None)))
    with pytest.raises(Refused) as refused:
        unpack(read_plan(desk.path, {}), desk.away)
    assert refused.value.code == "plan.local_state"


@pytest.mark.parametrize(
    ("workspace", "place"),
    [("", "terraform.tfstate"), ("terraform: {workspace: test}\n", "terraform.tfstate.d/test/terraform.tfstate")],
)
@pytest.mark.parametrize(("there", "fits"), [("L", True), ("another", False), (None, False)])
def test_a_state_that_has_moved_with_its_folder_is_the_same(
    desk: Desk, workspace: str, place: str, there: str | None, fits: bool
) -> None:
    desk.save(MANIFEST + workspace, state={"lineage": "L", "serial": 3})
    desk.away.mkdir()
    (desk.away / ".toolkit-files").write_text("")
    if there:
        (desk.away / place).parent.mkdir(parents=True, exist_ok=True)
        (desk.away / place).write_text(json.dumps({"version": 4, "lineage": there, "serial": 3}))
    if fits:
        unpack(read_plan(desk.path, {}), desk.away)
    else:
        with pytest.raises(Refused, match="changes a state that is a file in"):
            unpack(read_plan(desk.path, {}), desk.away)


def test_the_state_is_the_one_of_the_workspace(desk: Desk) -> None:
    desk.save(MANIFEST + "terraform: {workspace: staging}\n", state={"lineage": "L", "serial": 3})
    state = desk.away / "terraform.tfstate.d" / "staging" / "terraform.tfstate"
    state.parent.mkdir(parents=True)
    state.write_text(json.dumps({"version": 4, "lineage": "L"}))
    (desk.away / ".toolkit-files").write_text("")
    unpack(read_plan(desk.path, {}), desk.away)


def first_seed(key: str, value: object) -> Callable[[bytes], bytes]:
    def change(plan: Any) -> None:
        plan["seeds"][0][key] = value

    return edited_json(change)


def subset(**parts: object) -> Callable[[bytes], bytes]:
    def change(plan: Any) -> None:
        plan["seeds"][0]["subset"] |= parts

    return edited_json(change)


def source(**parts: object) -> Callable[[bytes], bytes]:
    def change(plan: Any) -> None:
        plan["seeds"][0]["source"] |= parts

    return edited_json(change)


def replaced(old: str, new: str) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        assert old.encode() in content
        return content.replace(old.encode(), new.encode(), 1)

    return change


EDITS: dict[str, tuple[dict[str, Callable[[bytes], bytes]], str]] = {
    "a source elsewhere": ({"plan_json": source(registry="evil.test")}, "from `evil.test/library/nginx:1.16@"),
    "another image": ({"plan_json": source(repository="library/httpd")}, "from `httpd:1.16@"),
    "another upstream tag": ({"plan_json": source(tag="1.17")}, "from `nginx:1.17@"),
    "no digest": ({"plan_json": source(digest=None)}, "without a digest"),
    "another tag": ({"plan_json": first_seed("tag", "latest")}, "for `docker-hub/library/nginx:latest`"),
    "another platform": (
        {"plan_json": subset(platforms=["linux/arm64"])},
        "other platforms",
    ),
    "all platforms": ({"plan_json": subset(platforms=None)}, "other platforms"),
    "no attestations": ({"plan_json": subset(keeps_attestations=False)}, "the attestations of"),
    "an image less": ({"plan_json": edited_json(lambda plan: plan["seeds"].pop(0))}, "lacks `docker-hub/library/nginx"),
    "an image twice": ({"plan_json": edited_json(lambda plan: plan["seeds"].append(plan["seeds"][0]))}, "2 times"),
    "another region": ({"plan_json": replaced('"eu-west-1"', '"eu-west-2"')}, "the region `eu-west-2`"),
    "another name": ({"plan_json": replaced('"shop"', '"shep"')}, "is for `shep`"),
    "the manifest": ({"manifest_yaml": replaced("nginx:1.16", "nginx:1.17")}, "lacks `docker-hub/library/nginx:1.17`"),
    "the manifest's settings": ({"manifest_yaml": replaced("name: shop", "name: shop\nrepositories: {scan_on_push: false}")}, "is not what the manifest gives"),
    "no manifest": ({"manifest_yaml": lambda _: b"\xff"}, "the manifest in"),
    "the root module": ({"module_main_tf": replaced("terraform", "# terraform")}, "`main.tf` is not what"),
    "a module": ({"module_modules_ecr_repository_main_tf": replaced("resource", "# resource")}, "is not what the manifest"),
    "Terraform's plan": ({"terraform_tfplan": lambda _: terraform_plan({"main.tf": b"# of another"})}, "another content of `main.tf`"),
    "more in Terraform's plan": ({"terraform_tfplan": lambda _: terraform_plan({"x.tf": b"# more"})}, "does not have: `x.tf`"),
    "no plan of Terraform's": ({"terraform_tfplan": lambda _: b"PK"}, "is not a Terraform plan"),
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_an_edited_plan_is_refused_however_it_was_sealed(desk: Desk, name: str) -> None:
    edits, said = EDITS[name]
    desk.save()
    edit(desk.path, **edits)
    refusal = desk.refusal()
    assert refusal.code == "plan.misfit"
    assert said in refusal.message


@pytest.mark.parametrize(
    "content", [b"[]", b"{}", b"", b"\xff", b"[" * 100_000, b'{"schema_version": 2}', b"null"], ids=range(7)
)
@pytest.mark.parametrize("member", ["about_json", "plan_json"])
def test_a_member_that_makes_no_sense_is_refused(desk: Desk, member: str, content: bytes) -> None:
    desk.save()
    edit(desk.path, **{member: lambda _: content})
    assert desk.refusal().code == "plan.unreadable"


def test_a_file_with_a_member_less_is_refused(desk: Desk) -> None:
    desk.save()
    members = sealed_archive.read(desk.path, None).members
    for name in members:
        sealed_archive.write(desk.path, {one: members[one] for one in members if one != name}, None)
        with pytest.raises(Refused) as refused:
            unpack(read_plan(desk.path, {}), desk.away)
        assert refused.value.code in ("plan.unreadable", "plan.misfit", "plan.without_terraform")


LEFT = render(Desired("x", "eu-west-1", None), regions=["eu-north-1"]).files["left_regions.tf"]


@pytest.mark.parametrize(
    ("name", "text", "fits"),
    [
        ("imports.tf", 'import {\n  to = module.r["a/b"].aws_ecr_repository.this\n  id = "a/b"\n}\n', True),
        ("removed.tf", "# gone\nremoved {\n  from = module.x\n  lifecycle {\n    destroy = false\n  }\n}\n", True),
        ("left_regions.tf", LEFT, True),
        ("other.tf", LEFT, False),
        ("left_regions.tf", LEFT.replace("eu-north-1", "eu-west-3"), False),
        ("left_regions.tf", LEFT + 'data "external" "x" {\n  program = ["sh"]\n}\n', False),
        ("left_regions.tf", LEFT.replace('alias  = "eu_north_1"\n', ""), False),
        ("imports.tf", 'import {\n  to = a.b\n  id = "${file("/etc/passwd")}"\n}\n', False),
        ("imports.tf", 'data "external" "x" {\n  program = ["sh"]\n}\n', False),
        ("removed.tf", 'removed {\n  from = a.b\n  provisioner "local-exec" {\n  }\n}\n', False),
        ("evil.tf.json", "{}", False),
        ("modules/more/main.tf", "", False),
    ],
)
def test_the_plan_may_add_what_adopts_or_lets_go_and_nothing_else(desk: Desk, name: str, text: str, fits: bool) -> None:
    if fits:
        assert read_plan(desk.save(more={name: text}).path, {}).files[name] == text.encode()
        return
    with pytest.raises(Refused, match="does not come of the manifest") as refused:
        desk.save(more={name: text})
    assert refused.value.code == "plan.misfit"


def test_what_the_plan_adds_is_text(desk: Desk) -> None:
    desk.save(more={"imports.tf": "# text\n"})
    edit(desk.path, module_imports_tf=lambda _: b"# \xff\n")
    assert "`imports.tf` does not come of the manifest" in desk.refusal().message


def test_a_file_that_only_terraform_has_seen_is_refused_when_the_plan_is_saved(desk: Desk) -> None:
    """Somebody's own file in the working directory is in Terraform's plan and not in ours."""
    desk.save()
    members = dict(sealed_archive.read(desk.path, None).members)
    files = {name.removeprefix("module/"): text for name, text in members.items() if name.startswith("module/")}
    members["terraform.tfplan"] = terraform_plan({**files, "own.tf": b'resource "x" "y" {}'})
    sealed_archive.write(desk.path, members, None)
    assert "`own.tf`" in desk.refusal().message


@pytest.mark.parametrize(("version", "is_read"), [("0.1.99", True), ("0.2.0", False), ("1.1.0", False)])
def test_it_is_for_one_line_of_versions(desk: Desk, version: str, is_read: bool) -> None:
    assert __version__.startswith("0.1.")
    desk.save()
    edit(desk.path, about_json=replaced(f'"{__version__}"', f'"{version}"'))
    if is_read:
        assert read_plan(desk.path, {}).about.toolkit_version == version
    else:
        assert desk.refusal().code == "plan.other_version"
        assert f"made by toolkit {version}, this is {__version__}" in desk.refusal().message


def test_terraform_takes_its_own_plan_only(desk: Desk) -> None:
    saved = desk.save()
    refuse_other_terraform(saved, "1.11.4")
    with pytest.raises(Refused) as refused:
        refuse_other_terraform(saved, "1.12.0")
    assert refused.value.code == "plan.other_terraform"


COMMIT = "a" * 40


@pytest.mark.parametrize(
    ("checkout", "said"),
    [
        (Checkout(COMMIT), None),
        (Checkout("b" * 40), f"is of commit `{'b' * 40}`"),
        (Checkout(COMMIT, ("images.yaml", "x")), "with changes that are in no commit: `images.yaml`, `x`"),
        (None, "was not made in a Git checkout"),
    ],
)
def test_a_commit_can_be_required(desk: Desk, checkout: Checkout | None, said: str | None) -> None:
    desk.save()
    found = checkout and {"commit": checkout.commit, "changed": checkout.changed}
    edit(desk.path, about_json=edited_json(lambda about: about.update(checkout=found)))
    saved = read_plan(desk.path, {})
    if said is None:
        refuse_other_commit(saved, COMMIT.upper())
    else:
        with pytest.raises(Refused, match=said) as refused:
            refuse_other_commit(saved, COMMIT)
        assert refused.value.code == "plan.other_commit"


@pytest.mark.parametrize("arguments", [["plan.toolkit", "--require-commit", "abc"], ["--require-commit", COMMIT]])
def test_a_commit_is_required_by_its_whole_name_and_of_a_saved_plan(tmp_path: Path, arguments: list[str]) -> None:
    Toolkit(tmp_path).run("apply", *arguments).expect(64)


def test_values_that_may_be_secret_are_named_and_not_shown(desk: Desk) -> None:
    state = {
        "resources": [
            {
                "mode": "managed",
                "module": 'module.builds["web"]',
                "type": "aws_codebuild_webhook",
                "name": "this",
                "instances": [{"attributes": {}, "sensitive_attributes": [[{"type": "get_attr", "value": "secret"}]]}],
            }
        ]
    }
    build = (
        "builds: [{name: web, source: {type: GITHUB, location: 'https://github.com/a/b.git'}, images: [nginx:1.16], "
        "environment_variables: {DB_PASSWORD: hunter2, STAGE: prod, MIRROR: 'https://u:hunter2@x.test'}}]\n"
    )
    notice = confidential_notice(desk.save(MANIFEST + S3 + build, state=state))
    assert notice
    assert "`DB_PASSWORD` of the build `web`" in notice.message
    assert "`MIRROR` of the build `web`" in notice.message
    assert 'module.builds["web"].aws_codebuild_webhook.this.secret`' in notice.message
    assert "STAGE" not in notice.message
    assert "hunter2" not in notice.message


def test_a_plan_without_secrets_is_no_news(desk: Desk) -> None:
    assert confidential_notice(desk.save()) is None


def test_show_needs_nothing_but_the_file(desk: Desk) -> None:
    desk.save(key=KEY.encode())
    toolkit = Toolkit(desk.path.parent, {"PATH": "/nowhere", "HOME": None})
    text = toolkit.run("show", "plan.toolkit").expect(0).stdout
    assert "plan.toolkit: signed, not checked, of no Git commit" in text
    assert "docker-hub/library/nginx:1.16" in text
    document = toolkit.run("show", "plan.toolkit", "--format", "json").expect(0).document
    assert document["plan"]["account"]["account_id"] == "123456789012"
    assert document["saved_plan"]["is_verified"] is False
    lines = toolkit.run("show", "plan.toolkit", "--format", "json-lines").expect(0).stdout.splitlines()
    assert [json.loads(line)["type"] for line in lines] == [
        "run_started",
        "saved_plan_made",
        "plan_made",
        "run_finished",
    ]


def test_show_verifies_with_the_key_and_keeps_it_to_itself(desk: Desk) -> None:
    desk.save(key=KEY.encode())
    verified = Toolkit(desk.path.parent, {"TOOLKIT_PLAN_KEY": KEY}).run("show", "plan.toolkit").expect(0)
    assert "signed by this key" in verified.stdout
    assert KEY not in verified.stdout + verified.stderr
    other = Toolkit(desk.path.parent, {"TOOLKIT_PLAN_KEY": KEY[::-1]}).run("show", "plan.toolkit").expect(7)
    assert "is not by the key in `TOOLKIT_PLAN_KEY`" in other.stderr
    desk.save()
    unsigned = Toolkit(desk.path.parent, {"TOOLKIT_PLAN_KEY": KEY}).run("show", "plan.toolkit").expect(7)
    assert "is not signed" in unsigned.stderr


def test_apply_says_that_nobody_has_checked_the_signature(desk: Desk) -> None:
    desk.save(key=KEY.encode())
    (desk.path.parent / "images.yaml").write_text(MANIFEST)
    done = desk.toolkit.run("apply", "plan.toolkit", "-f", "images.yaml").expect(7)
    assert "[plan.unverified]" in done.stderr
    assert "is not the manifest that `plan.toolkit` was made from" in done.stderr


def test_show_refuses_what_apply_would_refuse(desk: Desk) -> None:
    desk.save()
    edit(desk.path, plan_json=source(registry="evil.test"))
    done = desk.toolkit.run("show", "plan.toolkit", "--format", "json").expect(7)
    assert done.document["error"]["code"] == "plan.misfit"
    assert "plan" not in done.document
