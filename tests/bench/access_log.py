"""What went over a registry's door, from its own access log: not from what the tools say."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

_LINE = re.compile(r'"([A-Z]+) (\S+) HTTP/[\d.]+" (\d{3}) (\d+|-)')


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes are those of blobs; `blobs_read_again` counts GETs of a blob beyond its first."""

    requests: int
    manifest_gets: int
    blob_gets: int
    blobs_read_again: int
    bytes_read: int
    bytes_received: int


def traffic(log: str, blob_sizes: Mapping[str, int]) -> Traffic:
    """Count the lines of `log`, requests that were answered whole.

    An access log has no sizes of requests. An upload names its digest when it is finished, so what was received is the
    sizes of those; an upload that was given up is not seen.
    """
    requests = manifest_gets = bytes_read = bytes_received = 0
    read: Counter[str] = Counter()
    for method, target, status, sent in _LINE.findall(log):
        requests += 1
        parts = urlsplit(target)
        if method == "GET" and "/manifests/" in parts.path:
            manifest_gets += 1
        elif method == "GET" and "/blobs/sha256:" in parts.path and status in ("200", "206"):
            read[parts.path.rpartition("/")[2]] += 1
            bytes_read += int(sent) if sent != "-" else 0
        elif method in ("PUT", "POST") and "/blobs/uploads/" in parts.path and status == "201":
            # A mount is answered with 201 as well, and names no `digest`.
            bytes_received += sum(blob_sizes.get(digest, 0) for digest in parse_qs(parts.query).get("digest", []))
    return Traffic(requests, manifest_gets, read.total(), read.total() - len(read), bytes_read, bytes_received)
