"""The benchmark counts what a registry saw."""

from __future__ import annotations

from tests.bench.access_log import Traffic, traffic

DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64


def line(request: str, status: int, sent: int) -> str:
    return f'127.0.0.1 - - [01/Nov/2026:10:00:00 +0000] "{request} HTTP/1.1" {status} {sent} "" "a client"\n'


def test_requests_bytes_and_pulls_are_told_apart() -> None:
    log = (
        line("GET /v2/", 200, 2)
        + line("HEAD /v2/lib/nginx/manifests/1.27", 200, 900)
        + line("GET /v2/lib/nginx/manifests/1.27", 200, 900)
        + line(f"GET /v2/lib/nginx/blobs/{DIGEST}", 200, 700)
        + line(f"GET /v2/lib/nginx/blobs/{DIGEST}", 206, 300)
        + line(f"GET /v2/lib/nginx/blobs/{OTHER}", 404, 100)
        + line(f"POST /v2/lib/nginx/blobs/uploads/?mount={DIGEST}&from=lib/redis", 201, 0)
        + line("POST /v2/lib/nginx/blobs/uploads/", 202, 0)
        + line(f"PUT /v2/lib/nginx/blobs/uploads/1?_state=x&digest={DIGEST.replace(':', '%3A')}", 201, 0)
        + line(f"PUT /v2/lib/nginx/blobs/uploads/2?_state=x&digest={OTHER}", 400, 90)
    )
    assert traffic(log, {DIGEST: 1000, OTHER: 20}) == Traffic(
        requests=10, manifest_gets=1, blob_gets=2, blobs_read_again=1, bytes_read=1000, bytes_received=1000
    )
