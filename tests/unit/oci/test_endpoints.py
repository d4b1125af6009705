from __future__ import annotations

import pytest

from toolkit.oci.endpoints import Endpoints, is_loopback, origin
from toolkit.oci.errors import InvalidEndpoints
from toolkit.oci.reference import Repository


@pytest.mark.parametrize(
    ("registry", "url"),
    [
        ("docker.io", "https://registry-1.docker.io"),
        ("quay.io", "https://quay.io"),
        ("quay.io:8443", "https://quay.io:8443"),
        ("localhost:5000", "http://localhost:5000"),
        ("127.9.9.9", "http://127.9.9.9"),
        ("[::1]:5000", "http://[::1]:5000"),
        ("10.0.0.1:5000", "https://10.0.0.1:5000"),
        ("localhost.example.com", "https://localhost.example.com"),
    ],
)
def test_a_registry_is_served_by_its_own_host_in_the_clear_only_on_loopback(registry: str, url: str) -> None:
    assert Endpoints().base_url(registry) == url


def test_the_first_rule_that_matches_decides() -> None:
    endpoints = Endpoints.parse(
        "docker.io=http://127.0.0.1:5000/  *.dkr.ecr.*=http://127.0.0.1:5001\n*=https://mirror.example.com/hub"
    )

    assert endpoints.base_url("docker.io") == "http://127.0.0.1:5000"
    assert endpoints.base_url("1.dkr.ecr.eu-west-1.amazonaws.com") == "http://127.0.0.1:5001"
    assert endpoints.base_url("quay.io") == "https://mirror.example.com/hub"
    assert Endpoints.parse(str(endpoints)) == endpoints


@pytest.mark.parametrize(
    ("url", "base", "path"),
    [
        ("https://harbor.test/v2/dockerhub-proxy", "https://harbor.test", "dockerhub-proxy/library/nginx"),
        ("https://gitlab.test/v2/acme/dependency_proxy/containers/", "https://gitlab.test", None),
        ("https://x.test/artifactory/api/docker/hub", "https://x.test/artifactory/api/docker/hub", "library/nginx"),
        ("https://x.test/below/v2/hub", "https://x.test/below", "hub/library/nginx"),
        ("https://x.test/v2", "https://x.test", "library/nginx"),
        ("https://v2/hub", "https://v2/hub", "library/nginx"),
    ],
)
def test_what_stands_behind_v2_is_put_before_every_repository(url: str, base: str, path: str | None) -> None:
    endpoints = Endpoints((), (("docker.io", url),))

    assert endpoints.base_url("docker.io") == base
    found = endpoints.path(Repository("docker.io", "library/nginx"))
    assert found == (path or "acme/dependency_proxy/containers/library/nginx")
    assert endpoints.path(Repository("quay.io", "acme/app")) == "acme/app"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("docker.io", "`docker.io` is no registry endpoint"),
        ("=http://x", "no host pattern"),
        ("a=x", "no http or https URL"),
        ("a=ftp://x", "no http or https URL"),
        ("a=http://", "no http or https URL"),
        ("a=http://x:port", "no URL"),
        ("a=http://[", "no URL"),
        ("a=http://x/?q", "query"),
        ("a=http://user:hunter2@x", "user name"),
        ("a=http://x/v2/../y", "path of a repository"),
        ("a=http://x/v2/y//z", "path of a repository"),
    ],
)
def test_what_is_no_endpoint_is_refused_without_repeating_secrets(text: str, why: str) -> None:
    with pytest.raises(InvalidEndpoints, match=why) as caught:
        Endpoints.parse(text)

    assert caught.value.hint
    assert "hunter2" not in caught.value.message


def test_nothing_said_means_no_rules() -> None:
    assert Endpoints.parse(" \n") == Endpoints()


@pytest.mark.parametrize(("host", "loopback"), [("localhost", True), ("::1", True), ("8.8.8.8", False), ("x", False)])
def test_loopback_is_known(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_default_ports_are_the_same_origin() -> None:
    assert origin("https://a/x?y") == origin("https://a:443/")
    assert origin("https://a") != origin("http://a:443")
    assert origin("https://a") != origin("https://b")
