"""The pre-build step, run as CodeBuild would run it, by every shell that a build image may have."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.build_container import CONTAINERD, DOCKER_20, PASSWORD, REGISTRY, BuildContainer
from tests.support.builds import BUILDKIT, EXPORTER, LOGIN, LONG_NGINX, NGINX, PINNED, REGION, WEB
from tests.support.golden import assert_golden
from tests.support.shell_pieces import with_named_pieces
from toolkit.codebuild import fragment
from toolkit.codebuild.fragment import render_fragment
from toolkit.manifest.strategy import Strategy
from toolkit.plan.desired import BuildImage, DesiredBuild, Upstream

LOG_IN = [
    ["docker", "info"],
    ["aws", "ecr", "get-login-password", "--region", "eu-west-1"],
    ["docker", "login", "--password-stdin", "--username", "AWS", REGISTRY],
]

STRATEGIES = ["auto", "retag", "hosts", "builder", "contexts", "direct"]
RETAG = replace(WEB, strategy=Strategy.RETAG, on_miss="upstream")
CERTS = "docker/certs.d"

# What a shell can hold: anything but NUL; surrogates are no text.
shell_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


def _script(build: DesiredBuild, account_id: str | None = None) -> str:
    return render_fragment(build, region=REGION, account_id=account_id)


def _pull(image: BuildImage) -> list[str]:
    return ["docker", "pull", "--quiet", f"{REGISTRY}/{image.repository}:{image.tag}"]


def _tag(image: BuildImage) -> list[str]:
    return ["docker", "tag", f"{REGISTRY}/{image.repository}:{image.tag}", image.original]


def _unordered(calls: list[list[str]]) -> list[list[str]]:
    return sorted(calls)


@pytest.fixture(params=["dash", "bash", "busybox"])
def container(request: pytest.FixtureRequest, tmp_path: Path) -> BuildContainer:
    return BuildContainer(tmp_path / "container", request.param)


@pytest.mark.parametrize("on_miss", ["fail", "upstream"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_each_strategy_is_made_of_the_pieces_that_were_reviewed(strategy: str, on_miss: str) -> None:
    build = replace(WEB, strategy=Strategy(strategy), on_miss=on_miss)
    build = replace(build, images=(*build.images, BUILDKIT)) if strategy == "builder" else build
    assert_golden(f"buildspec/{strategy}_{on_miss}.sh", with_named_pieces(_script(build, "123456789012")))


def test_a_login_is_made_of_the_pieces_that_were_reviewed() -> None:
    assert_golden("buildspec/login.sh", with_named_pieces(_script(LOGIN)))


def test_without_images_there_is_nothing_to_do() -> None:
    assert _script(replace(WEB, images=())) == ""


def test_holds_every_piece_in_a_block_of_yaml() -> None:
    """Then the step would be one line of escapes in the buildspec, which nobody can review."""
    for piece in (Path(fragment.__file__).parent / "shell").iterdir():
        text = piece.read_text(encoding="utf-8")
        assert text.replace("\n", "").isprintable() and text.isascii(), piece.name
        assert piece.suffix != ".awk" or "'" not in text, piece.name


@pytest.mark.parametrize("program", ["aws", "docker"])
def test_names_a_missing_program_first(container: BuildContainer, program: str) -> None:
    run = container.run(_script(WEB), lacking=(program,))
    assert run.status != 0
    assert f"the build's image has no {program}, which this step needs" in run.output
    assert run.calls == []


def test_pulls_and_tags_every_image(container: BuildContainer) -> None:
    run = container.run(_script(RETAG))
    assert run.status == 0, run.output
    assert run.calls[:3] == LOG_IN
    images = (NGINX, LONG_NGINX, EXPORTER)
    assert _unordered(run.calls[3:]) == _unordered([call(image) for image in images for call in (_pull, _tag)])
    for image in images:
        assert run.calls.index(_pull(image)) < run.calls.index(_tag(image))
    assert not list(container.temporary.iterdir())


def test_many_images_are_each_fetched_once(container: BuildContainer) -> None:
    images = tuple(BuildImage(f"a:{n}", "docker-hub/library/a", str(n)) for n in range(15))
    run = container.run(_script(replace(RETAG, images=images)))
    assert run.status == 0, run.output
    assert _unordered(run.calls[3:]) == _unordered([call(image) for image in images for call in (_pull, _tag)])


def test_shows_the_password_to_docker_only(container: BuildContainer) -> None:
    run = container.run(_script(WEB))
    assert run.stdin == PASSWORD
    assert PASSWORD not in run.output
    assert not [word for call in run.calls for word in call if PASSWORD in word]


def test_without_the_variable_ecr_is_asked_for_its_host(container: BuildContainer) -> None:
    run = container.run(_script(RETAG), without=("TOOLKIT_ECR_REGISTRY",))
    query = ["--query", "authorizationData[0].proxyEndpoint", "--output", "text"]
    assert run.calls[0] == ["aws", "ecr", "get-authorization-token", "--region", "eu-west-1", *query]
    assert run.calls[1:4] == LOG_IN
    assert run.status == 0


def test_uses_the_account_of_the_manifest(container: BuildContainer) -> None:
    run = container.run(_script(RETAG, "123456789012"), without=("TOOLKIT_ECR_REGISTRY",))
    assert run.calls[0][5:7] == ["--registry-ids", "123456789012"]


@pytest.mark.parametrize("answer", ["None", ""])
def test_an_ecr_that_does_not_say_its_host_ends_the_phase(container: BuildContainer, answer: str) -> None:
    run = container.run(_script(RETAG), without=("TOOLKIT_ECR_REGISTRY",), FAKE_ENDPOINT=answer)
    assert run.status != 0
    assert "TOOLKIT_ECR_REGISTRY" in run.output
    assert len(run.calls) == 1


def test_without_a_password_docker_is_not_asked(container: BuildContainer) -> None:
    run = container.run(_script(RETAG), FAKE_AWS_STATUS="254")
    assert run.status != 0
    assert run.calls == LOG_IN[:2]
    assert "no password for ECR in eu-west-1" in run.output


def test_an_empty_password_is_no_password(container: BuildContainer) -> None:
    run = container.run(_script(RETAG), FAKE_PASSWORD="")
    assert run.status != 0
    assert run.calls == LOG_IN[:2]
    assert "empty password" in run.output


def test_repeats_a_refused_login_and_then_ends_the_phase(container: BuildContainer) -> None:
    run = container.run(_script(RETAG), FAKE_LOGIN_STATUS="1")
    assert run.status != 0
    login = LOG_IN[-1]
    assert run.calls == [*LOG_IN, ["sleep", "5"], login, ["sleep", "10"], login]
    assert f"no login at {REGISTRY}, tried 3 times" in run.output
    assert run.stdin == PASSWORD * 3
    assert PASSWORD not in run.output


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_ends_at_once_without_a_daemon_and_names_privileged_mode(container: BuildContainer, strategy: str) -> None:
    (container.source / "Dockerfile").write_text("FROM nginx:1.16\n")
    script = _script(replace(WEB, strategy=Strategy(strategy), images=(NGINX, BUILDKIT)))
    run = container.run(script, FAKE_INFO="", FAKE_INFO_STATUS="1")
    assert run.status != 0
    assert "no Docker daemon answers: turn on the project's privileged mode" in run.output
    assert not [call for call in run.calls if call[:2] == ["docker", "pull"] or "login" in call]


@pytest.mark.parametrize(
    "before",
    [
        *("set -x", "set -C", "IFS=/:.", "set -x -C -f; IFS=e", "set -a -m; umask 777", "unset HOME; export CDPATH=/"),
        'docker() { echo "$@" $(cat); }; aws() { echo none; }',
    ],
)
def test_does_not_depend_on_the_commands_before(container: BuildContainer, before: str) -> None:
    run = container.run(f"{before}\n{_script(WEB)}")
    assert run.status == 0, run.output
    assert PASSWORD not in run.output
    assert _pull(NGINX) in run.calls


def test_says_that_there_is_no_folder_for_its_work(container: BuildContainer) -> None:
    run = container.run(_script(RETAG), TMPDIR="/none")
    assert run.status != 0
    assert "toolkit: no temporary folder" in run.output


def test_repeats_a_failed_pull(container: BuildContainer) -> None:
    run = container.run(_script(replace(RETAG, images=(NGINX, EXPORTER))), pull_failures=2)
    assert run.status == 0, run.output
    for image in (NGINX, EXPORTER):
        assert run.calls.count(_pull(image)) == 3
        assert run.calls.count(_tag(image)) == 1
    assert sorted(call[1] for call in run.calls if call[0] == "sleep") == ["10"] * 2 + ["5"] * 2


def test_every_image_that_keeps_failing_is_named(container: BuildContainer) -> None:
    run = container.run(_script(replace(RETAG, images=(NGINX, EXPORTER))), pull_failures=3)
    assert run.status != 0
    for image in (NGINX, EXPORTER):
        assert f"toolkit: cannot pull {_pull(image)[3]} for {image.original}, tried 3 times\n" in run.output
    assert "2 of 2 base images are not here" in run.output
    assert not list(container.temporary.iterdir())


def test_fetches_the_others_when_one_image_is_missing(container: BuildContainer) -> None:
    run = container.run(_script(RETAG), FAKE_MISSING=_pull(EXPORTER)[3])
    assert run.status != 0
    assert "1 of 3 base images" in run.output
    assert _tag(NGINX) in run.calls
    assert _tag(LONG_NGINX) in run.calls


def test_a_tag_that_fails_is_named(container: BuildContainer) -> None:
    run = container.run(_script(RETAG), FAKE_TAG_STATUS="1")
    assert run.status != 0
    assert f"toolkit: cannot tag {REGISTRY}/docker-hub/library/nginx:1.16 as nginx:1.16\n" in run.output


def test_docker_hubs_names_lead_nowhere_when_a_miss_fails(container: BuildContainer) -> None:
    before = container.hosts.read_text()
    run = container.run(_script(WEB))
    text = container.hosts.read_text()
    assert text.startswith(before)
    assert "\n255.255.255.255 registry-1.docker.io index.docker.io " in text
    assert container.run(_script(WEB)).status == run.status == 0
    assert container.hosts.read_text() == text


def test_waits_until_the_daemon_reads_the_hosts_file(container: BuildContainer) -> None:
    assert container.run(_script(WEB)).calls[-1] == ["sleep", "6"]
    assert ["sleep", "6"] not in container.run(_script(WEB)).calls


def test_docker_hubs_names_stay_when_a_miss_goes_upstream(container: BuildContainer) -> None:
    before = container.hosts.read_text()
    assert container.run(_script(replace(WEB, on_miss="upstream"))).status == 0
    assert container.hosts.read_text() == before


@pytest.mark.parametrize("strategy", ["auto", "hosts"])
def test_a_new_daemon_is_sent_to_ecr_for_every_upstream(container: BuildContainer, strategy: str) -> None:
    run = container.run(_script(replace(WEB, strategy=Strategy(strategy))))
    assert run.status == 0, run.output
    folders = container.etc / CERTS
    assert sorted(path.name for path in folders.iterdir()) == [
        *("docker.io", "quay.io", "registry-1.docker.io", "registry.hub.docker.com")
    ]
    assert (folders / "quay.io" / "hosts.toml").read_text() == (
        f'server = "https://{REGISTRY}/v2/quay"\ncapabilities = ["pull", "resolve"]\noverride_path = true\n'
    )
    is_retagged = [call[1] for call in run.calls].count("tag") == 3
    assert is_retagged is (strategy == "auto")
    assert "hosts.toml, and the names" in run.output or strategy == "hosts"


def test_keeps_the_upstream_as_server_with_on_miss_upstream(container: BuildContainer) -> None:
    assert container.run(_script(replace(WEB, on_miss="upstream"))).status == 0
    assert (container.etc / CERTS / "docker.io" / "hosts.toml").read_text() == (
        'server = "https://registry-1.docker.io"\n\n'
        f'[host."https://{REGISTRY}/v2/docker-hub"]\n'
        'capabilities = ["pull", "resolve"]\noverride_path = true\n'
    )


@pytest.mark.parametrize(
    ("info", "status", "said"),
    [
        (DOCKER_20, "0", "Docker 20.10.24 is older than 28"),
        (CONTAINERD, "0", "the images of Docker 29.0.1 are in containerd"),
        (" [] ", "0", "no Docker daemon answers"),
    ],
)
def test_says_why_a_daemon_reads_no_hosts(container: BuildContainer, info: str, status: str, said: str) -> None:
    run = container.run(_script(WEB), FAKE_INFO=info, FAKE_INFO_STATUS=status)
    assert run.status == 0, run.output
    assert f"auto: the names of the Dockerfiles only; {said}" in run.output
    assert not (container.etc / CERTS).exists()
    refused = container.run(_script(replace(WEB, strategy=Strategy.HOSTS)), FAKE_INFO=info, FAKE_INFO_STATUS=status)
    assert refused.status != 0
    assert f"the strategy hosts is not possible: {said}" in refused.output


def test_writes_no_files_for_a_remote_daemon(container: BuildContainer) -> None:
    run = container.run(_script(WEB), DOCKER_HOST="tcp://docker:2375")
    assert "the daemon at tcp://docker:2375 reads the files of its own machine" in run.output
    assert "the daemon at tcp://docker:2375 looks names up itself" in run.output
    assert not (container.etc / CERTS).exists()


def test_refuses_a_digest_on_an_old_daemon(container: BuildContainer) -> None:
    script = _script(replace(WEB, images=(NGINX, PINNED)))
    run = container.run(script)
    assert run.status == 0, run.output
    assert [call[2] for call in run.calls if call[1] == "tag"] == [_tag(NGINX)[2]]
    old = container.run(script, FAKE_INFO=DOCKER_20)
    assert old.status != 0
    assert f"{PINNED.original} cannot be served by this daemon" in old.output


def test_ends_the_phase_if_hosts_cannot_be_written(container: BuildContainer) -> None:
    (container.etc / "docker").write_text("in the way")
    run = container.run(_script(WEB))
    assert run.status != 0
    assert "hosts.toml" in run.output


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(names=st.lists(st.tuples(shell_text, shell_text, shell_text), min_size=1, max_size=3))
@example(names=[("$(touch pwned)", "`id`", "'; docker rmi -f x; '")])
@example(names=[("a\nb", "\r\n", "\x85\u2028 \t")])
def test_any_names_reach_docker_as_they_are(container: BuildContainer, names: list[tuple[str, str, str]]) -> None:
    images = tuple(BuildImage(original.replace("@", "a"), *rest) for original, *rest in names)
    run = container.run(_script(replace(RETAG, images=images, on_miss="upstream")))
    assert run.status == 0, run.output
    expected = [call(image) for image in images for call in (_pull, _tag)]
    assert _unordered(run.calls[3:]) == _unordered(expected)


@settings(max_examples=20, deadline=None)
@given(
    texts=st.lists(shell_text, min_size=1, max_size=3), strategy=st.sampled_from(sorted({*STRATEGIES} - {"builder"}))
)
def test_any_values_leave_the_script_sound(texts: list[str], strategy: str) -> None:
    sh = shutil.which("sh")
    assert sh
    images = tuple(BuildImage(text, text, text) for text in texts)
    upstreams = tuple(Upstream(text, text) for text in texts)
    build = replace(WEB, strategy=Strategy(strategy), images=images, upstreams=upstreams, dockerfiles=tuple(texts))
    script = render_fragment(build, region=texts[0], account_id=texts[-1])
    checked = subprocess.run([sh, "-n"], input=script.encode(), capture_output=True, check=False, timeout=30)
    assert (checked.returncode, checked.stderr) == (0, b"")
