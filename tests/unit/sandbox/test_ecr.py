"""ECR's rules that need another clock or another account setting than the sandbox's own."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from moto.ecr.models import ecr_backends

from tests.support.plain_http import PlainHttp, plain_http
from tests.support.sandbox import served
from toolkit.sandbox.ecr import EcrApp, EcrPolicy
from toolkit.sandbox.moto_ecr import EcrTokens, MotoDocuments
from toolkit.sandbox.registry import RegistryApp
from toolkit.sandbox.store import BlobStore

# An account of these tests' own: moto's backends belong to the whole process.
ACCOUNT, REGION = "111122223333", "us-east-1"


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def ecr(folder: Path, clock: Clock, *repositories: str, mounts_blobs: bool = False) -> Iterator[PlainHttp]:
    def make_app(account_id: str, region: str) -> RegistryApp:
        documents, blobs = MotoDocuments(account_id, region), BlobStore(folder)
        return RegistryApp(blobs, documents, EcrPolicy(documents, blobs, account_id, mounts_blobs))

    backend = ecr_backends[ACCOUNT][REGION]
    backend.repositories.clear()
    for name in repositories:
        backend.create_repository(name, None, None, None, None, [])
    tokens = EcrTokens(clock)
    login = base64.b64encode(f"AWS:{tokens.issue(ACCOUNT, REGION)[0]}".encode()).decode()
    with served(EcrApp(tokens, make_app)) as url, plain_http(url, {"Authorization": f"Basic {login}"}) as http:
        yield http


def test_token_is_refused_after_twelve_hours(tmp_path: Path) -> None:
    clock = Clock()
    with ecr(tmp_path, clock) as http:
        clock.now += 12 * 3600 - 1
        assert http.ask("GET", "/v2/").status == 200
        clock.now += 1
        late = http.ask("GET", "/v2/")
        assert (late.status, late.codes) == (403, ["DENIED"])


def test_blobs_are_mounted_when_the_account_setting_says_so(tmp_path: Path) -> None:
    digest = f"sha256:{hashlib.sha256(b'blob').hexdigest()}"
    with ecr(tmp_path, Clock(), "from", "to", mounts_blobs=True) as http:
        assert http.ask("POST", f"/v2/from/blobs/uploads/?digest={digest}", b"blob").status == 201
        assert http.ask("POST", f"/v2/to/blobs/uploads/?mount={digest}&from=from").status == 201
        assert http.ask("HEAD", f"/v2/to/blobs/{digest}").status == 200


def test_mount_from_a_repository_that_does_not_exist_opens_an_upload(tmp_path: Path) -> None:
    digest = f"sha256:{hashlib.sha256(b'blob').hexdigest()}"
    with ecr(tmp_path, Clock(), "to", mounts_blobs=True) as http:
        assert http.ask("POST", f"/v2/to/blobs/uploads/?mount={digest}&from=none").status == 202
