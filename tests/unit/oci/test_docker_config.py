from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from toolkit.oci.auth import Credential
from toolkit.oci.docker_config import DockerConfigCredentials, home_folder, podman_files
from toolkit.oci.errors import CredentialUnusable


def basic(pair: str) -> dict[str, str]:
    return {"auth": base64.b64encode(pair.encode()).decode()}


def login(host: str, username: str, password: str, *, is_identity_token: bool = False) -> Credential:
    return Credential(username, password, is_identity_token, f"docker config (`{host}`)", frozenset({host}))


def written(folder: Path, **config: object) -> DockerConfigCredentials:
    path = folder / "config.json"
    path.write_text(json.dumps(config))
    return DockerConfigCredentials(path, helper_seconds=5)


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`docker-credential-fake`, which runs the script that a test writes and logs what it is asked for."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder / "docker-credential-fake"


def install(helper: Path, script: str) -> Path:
    log = helper.parent / "log"
    helper.write_text(f'#!/bin/sh\nread server\necho "$1 $server" >>{log}\n{script}\n')
    helper.chmod(0o755)
    return log


@pytest.mark.parametrize("key", ["https://index.docker.io/v1/", "docker.io", "index.docker.io"])
def test_docker_hub_is_found_under_each_of_its_names(tmp_path: Path, key: str) -> None:
    credentials = written(tmp_path, auths={"quay.io": basic("no:no"), key: basic("me:pa:ss")})

    assert credentials.credential_for("docker.io") == login("docker.io", "me", "pa:ss")


@pytest.mark.parametrize("key", ["quay.io", "https://quay.io", "https://quay.io/v2/", "QUAY.io"])
def test_a_registry_is_found_under_each_spelling(tmp_path: Path, key: str) -> None:
    assert written(tmp_path, auths={key: basic("me:x")}).credential_for("quay.io") == login("quay.io", "me", "x")


def test_a_port_makes_another_registry(tmp_path: Path) -> None:
    assert written(tmp_path, auths={"quay.io": basic("me:x")}).credential_for("quay.io:8443") is None


def test_a_registry_that_is_served_elsewhere_gets_the_login_for_that_host(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"auths": {"docker.io": basic("me:x"), "mirror.io:8443": basic("you:y")}}))
    credentials = DockerConfigCredentials(path, served_at={"docker.io": "mirror.io:8443", "quay.io": "mirror.io"})

    assert credentials.credential_for("docker.io") == login("mirror.io:8443", "you", "y")
    assert credentials.credential_for("quay.io") is None


@pytest.mark.parametrize(
    ("path", "username", "key"),
    [
        ("acme/app", "app", "quay.io/acme/app"),
        ("acme/app/web", "app", "quay.io/acme/app"),
        ("acme/other", "acme", "quay.io/acme"),
        ("acmes/app", "all", "quay.io"),
        ("", "all", "quay.io"),
    ],
)
def test_the_longest_name_that_fits_wins(tmp_path: Path, path: str, username: str, key: str) -> None:
    auths = {
        "quay.io/acme": basic("acme:x"),
        "quay.io": basic("all:x"),
        "quay.io/acme/app": basic("app:x"),
        "docker.io/acme/other": basic("hub:x"),
    }
    found = written(tmp_path, auths=auths).credential_for("quay.io", path)
    assert found == Credential(username, "x", origin=f"docker config (`{key}`)", hosts=frozenset({"quay.io"}))


def test_a_credential_for_a_namespace_is_for_nothing_else(tmp_path: Path) -> None:
    credentials = written(tmp_path, auths={"docker.io/acme": basic("me:x")})
    assert credentials.credential_for("docker.io", "acme/app") is not None
    assert credentials.credential_for("docker.io", "library/nginx") is None


def test_podmans_files_are_where_podman_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REGISTRY_AUTH_FILE", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert podman_files() == (
        tmp_path / "run" / "containers" / "auth.json",
        tmp_path / ".config" / "containers" / "auth.json",
    )
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(tmp_path / "mine.json"))
    assert podman_files() == (tmp_path / "mine.json",)


def test_plain_fields_and_identity_tokens_are_read(tmp_path: Path) -> None:
    credentials = written(
        tmp_path,
        auths={
            "a.io": {"username": "me", "password": "x"},
            "b.io": {**basic("me:"), "identitytoken": "refresh"},
            "c.io": {},
            "d.io": "nonsense",
        },
    )

    assert credentials.credential_for("a.io") == login("a.io", "me", "x")
    assert credentials.credential_for("b.io") == login("b.io", "me", "refresh", is_identity_token=True)
    assert credentials.credential_for("c.io") is None
    assert credentials.credential_for("d.io") is None


def test_without_a_file_everybody_is_anonymous(tmp_path: Path) -> None:
    assert DockerConfigCredentials(tmp_path / "none.json").credential_for("docker.io") is None


def test_the_file_is_where_docker_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, auths={"a.io": basic("me:x")})
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert DockerConfigCredentials().credential_for("a.io") == login("a.io", "me", "x")

    monkeypatch.delenv("DOCKER_CONFIG")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home" / ".docker").mkdir(parents=True)
    written(tmp_path / "home" / ".docker", auths={"a.io": basic("you:y")})
    assert DockerConfigCredentials().credential_for("a.io") == login("a.io", "you", "y")


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"auths": {"a.io": {"auth": "hunter2!"}}}', '{"auths": {"a.io": {"auth": "aHVudGVyMg=="}}}'],
)
def test_a_damaged_file_is_named_and_never_quoted(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)

    with pytest.raises(CredentialUnusable) as caught:
        DockerConfigCredentials(path).credential_for("a.io")

    assert str(path) in caught.value.message
    assert "hunter2" not in caught.value.message
    assert caught.value.hint


def test_a_helper_is_asked_once_by_the_name_that_it_knows(tmp_path: Path, helper: Path) -> None:
    log = install(helper, """echo '{"ServerURL": "x", "Username": "me", "Secret": "s3"}'""")
    credentials = written(tmp_path, credsStore="fake")

    for _ in range(3):
        assert credentials.credential_for("docker.io") == login("docker.io", "me", "s3")
    assert credentials.credential_for("quay.io") == login("quay.io", "me", "s3")
    assert log.read_text() == "get https://index.docker.io/v1/\nget quay.io\n"

    credentials.forget("quay.io")
    credentials.credential_for("quay.io")
    assert log.read_text().count("quay.io") == 2


def test_a_registrys_own_helper_comes_before_the_common_one(tmp_path: Path, helper: Path) -> None:
    log = install(helper, """echo '{"Username": "<token>", "Secret": "refresh"}'""")
    credentials = written(tmp_path, credHelpers={"a.io": "fake"}, auths={"b.io": basic("me:x")})

    assert credentials.credential_for("a.io") == login("a.io", "", "refresh", is_identity_token=True)
    assert credentials.credential_for("b.io") == login("b.io", "me", "x")
    assert log.read_text() == "get a.io\n"


def test_a_helper_that_has_nothing_leaves_the_file_to_answer(tmp_path: Path, helper: Path) -> None:
    install(helper, "echo 'credentials not found in native keychain'; exit 1")
    credentials = written(tmp_path, credsStore="fake", auths={"a.io": basic("me:x"), "b.io": {}})

    assert credentials.credential_for("a.io") == login("a.io", "me", "x")
    assert credentials.credential_for("b.io") is None


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo locked hunter2; exit 1", "exit status 1"),
        ("echo hunter2", "no JSON object"),
    ],
)
def test_a_helper_that_fails_is_named_and_its_words_are_not_passed_on(
    tmp_path: Path, helper: Path, script: str, why: str
) -> None:
    install(helper, script)

    with pytest.raises(CredentialUnusable, match=why) as caught:
        written(tmp_path, credsStore="fake").credential_for("a.io")

    assert "docker-credential-fake" in caught.value.message
    assert "hunter2" not in caught.value.message


def test_a_helper_that_hangs_is_given_up_and_not_asked_for_every_image(tmp_path: Path, helper: Path) -> None:
    log = install(helper, "exec sleep 60")
    path = tmp_path / "config.json"
    path.write_text('{"credsStore": "fake"}')

    credentials = DockerConfigCredentials(path, helper_seconds=0.5)
    for _ in range(2):
        with pytest.raises(CredentialUnusable, match="did not respond"):
            credentials.credential_for("a.io")
    assert log.read_text() == "get a.io\n"


def test_a_helper_that_is_not_installed_is_named_with_the_cure(tmp_path: Path, helper: Path) -> None:
    with pytest.raises(CredentialUnusable, match=r"`docker-credential-fake`.*not installed") as caught:
        written(tmp_path, credsStore="fake").credential_for("a.io")

    assert caught.value.hint


@pytest.mark.parametrize("name", ["../../bin/sh", "a b", 5, ["x"], "-x"])
def test_a_helper_that_is_no_program_name_is_never_run(tmp_path: Path, name: object) -> None:
    with pytest.raises(CredentialUnusable, match="cannot be a program"):
        written(tmp_path, credHelpers={"a.io": name}).credential_for("a.io")


# What a container may give its user: none, a name that no system takes (as good as a folder that must not be entered,
# which root may), and a device.
NO_HOME, UNUSABLE_HOME, DEVICE = "~", f"/{'x' * 300}", "/dev/null"


@pytest.mark.parametrize("home, found", [(NO_HOME, None), (UNUSABLE_HOME, None), (DEVICE, Path(DEVICE))])
def test_a_user_without_a_usable_home_has_no_credentials(
    monkeypatch: pytest.MonkeyPatch, home: str, found: Path | None
) -> None:
    monkeypatch.setenv("HOME", home)
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)

    assert home_folder() == found
    assert DockerConfigCredentials().credential_for("docker.io") is None
