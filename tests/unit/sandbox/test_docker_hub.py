from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.plain_http import Answer, PlainHttp, plain_http
from tests.support.sandbox import served
from toolkit.oci.client import RegistryClient
from toolkit.oci.endpoints import Endpoints
from toolkit.oci.reference import Reference
from toolkit.sandbox.admin import Admin, route
from toolkit.sandbox.docker_hub import DockerHubPolicy, PullCounter
from toolkit.sandbox.registry import RegistryApp
from toolkit.sandbox.stock import Stock

INDEX = "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json"
NGINX = "/v2/library/nginx/manifests/1.16"


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Hub:
    """A Docker Hub stand-in with `nginx:1.16`, and a connection to it."""

    def __init__(self, folder: Path, limit: int | None) -> None:
        self.clock = Clock()
        self.stock = Stock(folder / "hub")
        self.stock.provide(Reference.parse("nginx:1.16"))
        pulls = PullCounter(folder / "pulls.json")
        accounts = {"ann": "her:password"}
        self.policy = DockerHubPolicy(self.stock.documents.has_repository, pulls, limit, accounts, clock=self.clock)
        registry = RegistryApp(self.stock.blobs, self.stock.documents, self.policy)
        self.app = route(
            registry,
            self.policy,
            Admin(self.stock, Stock(folder / "others"), self.policy, list, lambda seconds: None, list),
        )
        self.http: PlainHttp
        self.url: str

    def token(self, scope: str = "repository:library/nginx:pull", login: str | None = None) -> Answer:
        headers = {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"} if login else {}
        return self.http.ask("GET", f"/token?service=registry.docker.io&scope={scope}", headers=headers)

    def ask(self, method: str, path: str, token: Answer | None = None) -> Answer:
        headers = {"Accept": INDEX}
        if token is not None:
            headers["Authorization"] = f"Bearer {token.document['token']}"
        return self.http.ask(method, path, headers=headers)


@contextmanager
def docker_hub(folder: Path, limit: int | None = 100) -> Iterator[Hub]:
    hub = Hub(folder, limit)
    with served(hub.app) as url, plain_http(url) as http:
        hub.http, hub.url = http, url
        yield hub


def remaining(answers: Sequence[Answer]) -> list[str]:
    return [answer.headers["ratelimit-remaining"] for answer in answers]


def test_request_without_token_is_told_where_to_get_one(tmp_path: Path) -> None:
    with docker_hub(tmp_path) as hub:
        ping, image = hub.ask("GET", "/v2/"), hub.ask("HEAD", NGINX)
        assert (ping.status, ping.codes) == (401, ["UNAUTHORIZED"])
        realm = f"http://{hub.http.connection.host}:{hub.http.connection.port}/token"
        assert ping.headers["www-authenticate"] == f'Bearer realm="{realm}",service="registry.docker.io"'
        assert image.headers["www-authenticate"].endswith(',scope="repository:library/nginx:pull"')


def test_token_opens_the_repository_it_was_asked_for_and_no_other(tmp_path: Path) -> None:
    with docker_hub(tmp_path) as hub:
        hub.stock.provide(Reference.parse("redis:7"))
        token = hub.token()
        assert hub.ask("HEAD", NGINX, token).status == 200
        other = hub.ask("HEAD", "/v2/library/redis/manifests/7", token)
        assert (other.status, 'error="insufficient_scope"' in other.headers["www-authenticate"]) == (401, True)


def test_repository_that_does_not_exist_looks_like_a_private_one(tmp_path: Path) -> None:
    with docker_hub(tmp_path) as hub:
        token = hub.token("repository:acme/secret:pull")
        answer = hub.ask("GET", "/v2/acme/secret/manifests/1", token)
        assert (answer.status, answer.codes) == (401, ["UNAUTHORIZED"])


def test_tag_that_does_not_exist_is_not_found_and_costs_no_more_than_the_request(tmp_path: Path) -> None:
    with docker_hub(tmp_path) as hub:
        answer = hub.ask("HEAD", "/v2/library/nginx/manifests/9", hub.token())
        assert (answer.status, answer.headers["ratelimit-remaining"]) == (404, "100;w=21600")


def test_token_ends_after_five_minutes(tmp_path: Path) -> None:
    with docker_hub(tmp_path) as hub:
        token = hub.token()
        hub.clock.now += token.document["expires_in"] - 1
        assert hub.ask("HEAD", NGINX, token).status == 200
        hub.clock.now += 1
        late = hub.ask("HEAD", NGINX, token)
        assert (late.status, 'error="invalid_token"' in late.headers["www-authenticate"]) == (401, True)


def test_wrong_password_gets_no_token(tmp_path: Path) -> None:
    with docker_hub(tmp_path) as hub:
        assert hub.token(login="ann:wrong").status == 401
        assert hub.token(login="bob:her:password").status == 401
        assert hub.token(login="ann:her:password").status == 200


def test_only_an_account_may_push(tmp_path: Path) -> None:
    with docker_hub(tmp_path) as hub:
        scope = "repository:ann/made:pull,push"
        assert hub.ask("POST", "/v2/ann/made/blobs/uploads/", hub.token(scope)).status == 401
        assert hub.ask("POST", "/v2/ann/made/blobs/uploads/", hub.token(scope, "ann:her:password")).status == 202


def test_head_is_free_and_get_counts(tmp_path: Path) -> None:
    with docker_hub(tmp_path) as hub:
        token = hub.token()
        answers = [hub.ask(method, NGINX, token) for method in ("HEAD", "GET", "HEAD", "GET")]
        assert remaining(answers) == ["100;w=21600", "99;w=21600", "99;w=21600", "98;w=21600"]
        assert answers[0].headers["ratelimit-limit"] == "100;w=21600"
        assert answers[0].headers["docker-ratelimit-source"] == "127.0.0.1"


def test_blobs_are_not_counted(tmp_path: Path) -> None:
    with docker_hub(tmp_path) as hub:
        token = hub.token()
        child = hub.ask("GET", NGINX, token).document["manifests"][0]["digest"]
        hub.http.ask("GET", "/v2/")
        manifest = hub.http.ask(
            "GET",
            f"/v2/library/nginx/manifests/{child}",
            headers={"Authorization": f"Bearer {token.document['token']}"},
        )
        blob = hub.ask("GET", f"/v2/library/nginx/blobs/{manifest.document['config']['digest']}", token)
        assert (blob.status, "ratelimit-remaining" in blob.headers) == (200, False)
        assert hub.http.ask("GET", "/sandbox/pulls").document["by_reference"] == {
            "library/nginx:1.16": 1,
            f"library/nginx@{child}": 1,
        }


def test_used_up_budget_refuses_get_and_leaves_head_free(tmp_path: Path) -> None:
    with docker_hub(tmp_path, limit=1) as hub:
        token = hub.token()
        hub.ask("GET", NGINX, token)
        refused, head = hub.ask("GET", NGINX, token), hub.ask("HEAD", NGINX, token)
        assert (refused.status, refused.codes) == (429, ["TOOMANYREQUESTS"])
        assert "https://www.docker.com/increase-rate-limit" in refused.document["errors"][0]["message"]
        assert (head.status, head.headers["ratelimit-remaining"]) == (200, "0;w=21600")
        assert hub.http.ask("GET", "/sandbox/pulls").document["counted"] == 1


def test_account_has_a_budget_of_its_own(tmp_path: Path) -> None:
    with docker_hub(tmp_path, limit=1) as hub:
        hub.ask("GET", NGINX, hub.token())
        answer = hub.ask("GET", NGINX, hub.token(login="ann:her:password"))
        assert (answer.status, answer.headers["ratelimit-limit"]) == (200, "2;w=21600")
        assert answer.headers["docker-ratelimit-source"] == "ann"


def test_without_a_limit_no_header_speaks_of_it(tmp_path: Path) -> None:
    with docker_hub(tmp_path, limit=None) as hub:
        answer = hub.ask("GET", NGINX, hub.token())
        assert not [name for name in answer.headers if "ratelimit" in name]


def test_pulls_outlive_the_server_until_reset(tmp_path: Path) -> None:
    with docker_hub(tmp_path) as hub:
        hub.ask("GET", NGINX, hub.token())
    with docker_hub(tmp_path) as hub:
        assert hub.http.ask("GET", "/sandbox/pulls").document["left"] == 99
        assert hub.http.ask("DELETE", "/sandbox/pulls").document["left"] == 100


def test_bumped_tag_moves_and_the_old_image_stays_by_digest(tmp_path: Path) -> None:
    with docker_hub(tmp_path) as hub:
        token = hub.token()
        old = hub.ask("HEAD", NGINX, token).headers["docker-content-digest"]
        digests = [hub.http.ask("POST", "/sandbox/bump?reference=nginx:1.16").document["digest"] for _ in range(2)]
        assert len({old, *digests}) == 3
        assert hub.ask("HEAD", NGINX, token).headers["docker-content-digest"] == digests[1]
        assert hub.ask("HEAD", f"/v2/library/nginx/manifests/{old}", token).status == 200
    with docker_hub(tmp_path) as hub:  # a restart does not move it back
        assert hub.ask("HEAD", NGINX, hub.token()).headers["docker-content-digest"] == digests[1]


def test_reference_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with docker_hub(tmp_path) as hub:
        for reference in ("nginx", "no reference", ""):
            answer = hub.http.ask("POST", f"/sandbox/bump?reference={reference.replace(' ', '%20')}")
            assert (answer.status, bool(answer.document["error"])) == (400, True)
        assert hub.http.ask("GET", "/sandbox/nothing").status == 404


def test_tags_are_listed_for_a_token_and_no_pull_is_counted(tmp_path: Path) -> None:
    with docker_hub(tmp_path) as hub:
        for tag in ("1.17", "1.18"):
            hub.stock.provide(Reference.parse(f"nginx:{tag}"))
        client = RegistryClient(endpoints=Endpoints((("docker.io", hub.url),)))
        assert client.list_tags(Reference.parse("nginx").name, page_size=2) == ("1.16", "1.17", "1.18")
        assert hub.policy.pulls.snapshot()["counted"] == 0
