"""A registry that means harm, whatever it is asked for: a bound on CPU and bytes, a sentence, no credential elsewhere."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import pytest

from tests.support.clocks import FakeTime
from tests.support.scripted_server import OK, Server, Visit, fine, serving
from toolkit.oci.auth import Credential, is_safe_realm
from toolkit.oci.client import RegistryClient
from toolkit.oci.descriptor import Descriptor, verify
from toolkit.oci.digest import Digest
from toolkit.oci.documents import Document
from toolkit.oci.endpoints import Endpoints, may_send_to
from toolkit.oci.errors import ConnectionFailed, InvalidDocument, OciError
from toolkit.oci.media_types import OCI_INDEX, OCI_MANIFEST
from toolkit.oci.reference import Reference
from toolkit.oci.subset import WHOLE
from toolkit.oci.transport import Transport
from toolkit.oci.tree import TreeReader

MOST_SECONDS = 3.0
MOST_BYTES = 20 * 2**20
CANARIES = ("canary-password", "Y2FuYXJ5", "canary-token")
BLOB = Descriptor("application/octet-stream", Digest.of(b"layer"), 5)
# What a request would reach if it were followed. Nothing here connects outside of loopback.
METADATA = ("169.254.169.254", "169.254.170.2", "[fd00:ec2::254]", "[fe80::1]", "[::ffff:169.254.169.254]", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518")  # fmt: skip
OWN_SERVICES = ("127.0.0.1:8080", "localhost:2375", "localhost.", "x.localhost", "[::1]", "0.0.0.0", "[::]", "127.1", "0x7f000001", "[::ffff:127.0.0.1]")  # fmt: skip


@dataclass(frozen=True)
class Place:
    """Where an attack leads: the registry itself, and a server of somebody else."""

    own: str
    other: str


Attack = Callable[[Place], bytes | Iterator[bytes]]


def head(status: str, *lines: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode("latin-1")


def answer(status: str, *lines: str, body: bytes = b"") -> bytes:
    return head(status, *lines, f"Content-Length: {len(body)}") + body


def redirect(location: str, status: str = "307 x") -> Attack:
    return lambda place: answer(status, f"Location: {location.format(own=place.own, other=place.other)}")


def challenge(realm: str) -> Attack:
    return lambda place: answer(
        "401 x", f'WWW-Authenticate: Bearer realm="{realm.format(own=place.own, other=place.other)}",service="x"'
    )


def always(content: bytes) -> Attack:
    return lambda place: content


def endless(start: bytes, repeated: bytes) -> Attack:
    def go_on(place: Place) -> Iterator[bytes]:
        yield start
        while True:
            yield repeated

    return go_on


def packed(times: int) -> bytes:
    content = bytes(64 * 2**20)
    for _ in range(times):
        content = gzip.compress(content)
    return answer("200 OK", "Content-Type: application/json", f"Content-Encoding: {', '.join(['gzip'] * times)}", body=content)  # fmt: skip


def as_json(text: str | bytes, *lines: str) -> Attack:
    content = text if isinstance(text, bytes) else text.encode()
    return always(answer("200 OK", f"Content-Type: {OCI_INDEX}", *lines, body=content))


EVIL = OK.replace(b"fine", b"evil")
CHUNKED = "Transfer-Encoding: chunked"
BLANKS = " " * 60_000
CHILD = {"mediaType": OCI_MANIFEST, "digest": str(Digest.of(b"x")), "size": 1}

REDIRECTS: dict[str, Attack] = {
    "to another host": redirect("{other}/x"),
    "to another port": redirect("http://127.0.0.1:1/x"),
    "with a user": redirect("http://me:x@{other}/x".replace("{other}", "127.0.0.1:1")),
    "with two readings": redirect("http://127.0.0.1:1\\@{own}/x".replace("{own}", "localhost")),
    "to itself": redirect("{own}/v2/"),
    "to a file": redirect("file:///etc/passwd"),
    "to FTP": redirect("ftp://127.0.0.1/x"),
    "to data": redirect("data:application/json,{{}}"),
    "to nowhere": redirect("http://"),
    "to a broken address": redirect("http://[::1/x"),
    "to a port beyond": redirect("http://127.0.0.1:99999/"),
    "of 60,000 letters": redirect("/" + "a" * 60_000),
    "after a success": redirect("{other}/x", "201 Created"),
    "to metadata": redirect("http://169.254.169.254/latest/meta-data/"),
}
REALMS: dict[str, Attack] = {
    "elsewhere": challenge("{other}/token"),
    "with a user": challenge("http://a:b@127.0.0.1:1/token"),
    "of a file": challenge("file:///etc/passwd"),
    "of metadata": challenge("http://169.254.169.254/token"),
    "of nothing": challenge(""),
    "that ask again": challenge("{own}/token"),
    "without end": always(answer("401 x", *['WWW-Authenticate: Bearer realm="x"'] * 500)),
    "of blanks": always(answer("401 x", f"WWW-Authenticate: Bearer{BLANKS}realm=")),
    "of another kind": always(answer("401 x", "WWW-Authenticate: Negotiate, NTLM")),
    "of a proxy": always(answer("407 x", "Proxy-Authenticate: Basic")),
}
SHAPES: dict[str, Attack] = {
    "two lengths": always(head("200 OK", "Content-Length: 4", "Content-Length: 0") + b"fine" + EVIL),
    "two lengths in one": always(head("200 OK", "Content-Length: 4, 0") + b"fine" + EVIL),
    "a length and chunks": always(head("200 OK", "Content-Length: 4", CHUNKED) + b"0\r\n\r\n" + EVIL),
    "chunks and a length": always(head("200 OK", CHUNKED, "Content-Length: 5") + b"0\r\n\r\n" + EVIL),
    "chunks with a blank": always(head("200 OK", "Transfer-Encoding : chunked", "Content-Length: 0") + EVIL),
    "chunks by another name": always(head("200 OK", "Transfer-Encoding: xchunked", "Content-Length: 0") + EVIL),
    "chunks twice": always(head("200 OK", "Transfer-Encoding: chunked, chunked") + b"0\r\n\r\n0\r\n\r\n" + EVIL),
    "a negative length": always(head("200 OK", "Content-Length: -1") + EVIL),
    "a length with a sign": always(head("200 OK", "Content-Length: +0") + EVIL),
    "a length in hex": always(head("200 OK", "Content-Length: 0x0") + EVIL),
    "a length of 5,000 digits": always(head("200 OK", f"Content-Length: {'9' * 5000}") + EVIL),
    "a chunk of 5,000 digits": always(head("200 OK", CHUNKED) + b"f" * 5000 + b"\r\n" + EVIL),
    "a chunk with a sign": always(head("200 OK", CHUNKED) + b"+4\r\nfine\r\n0\r\n\r\n" + EVIL),
    "a chunk in two numbers": always(head("200 OK", CHUNKED) + b"0_0\r\n\r\n" + EVIL),
    "an extension": always(head("200 OK", CHUNKED) + b"4;" + b"x" * 60_000 + b"\r\nfine\r\n0\r\n\r\n" + EVIL),
    "a folded header": always(b"HTTP/1.1 200 OK\r\nX: y\r\n Content-Length: 99\r\nContent-Length: 0\r\n\r\n" + EVIL),
    "a folded length": always(b"HTTP/1.1 200 OK\r\nContent-Length:\r\n 0\r\n\r\n" + EVIL),
    "bare line feeds": always(b"HTTP/1.1 200 OK\nContent-Length: 0\n\n" + EVIL),
    "bare returns": always(b"HTTP/1.1 200 OK\r\nX: y\rContent-Length: 99\r\nContent-Length: 0\r\n\r\n" + EVIL),
    "a zero": always(b"HTTP/1.1 200 OK\r\nContent-Length: 0\x00\r\n\r\n" + EVIL),
    "no colon": always(b"HTTP/1.1 200 OK\r\nContent-Length 9\r\nContent-Length: 0\r\n\r\n" + EVIL),
    "a status of words": always(b"HTTP/1.1 OK\r\n\r\n" + EVIL),
    "a status of five digits": always(b"HTTP/1.1 20000 OK\r\nContent-Length: 0\r\n\r\n" + EVIL),
    "another protocol": always(b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n" + EVIL),
    "an upgrade": always(head("101 Switching", "Upgrade: h2c", "Connection: upgrade") + EVIL),
    "a body of no content": always(head("204 x", "Content-Length: 4") + b"fine" + EVIL),
}
BODIES: dict[str, Attack] = {
    "without end": endless(head("200 OK", f"Content-Type: {OCI_INDEX}"), b"[" * 65_536),
    "without end in chunks": endless(head("200 OK", CHUNKED), b"1\r\n[\r\n" * 5000),
    "of empty lines": endless(b"", b"\r\n" * 5000),
    "a head without end": endless(b"HTTP/1.1 200 OK\r\n", b"X: " + b" " * 60_000 + b"\r\n"),
    "100 without end": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 1000),
    "blanks in each header": always(answer("200 OK", *(f"{name}: {BLANKS}x" for name in ("Link", "Docker-Content-Digest", "Content-Type")))),
    "angles in each header": always(answer("200 OK", *(f"{name}: {'<' * 60_000}" for name in ("Link", "Range", "Content-Range")))),
    "blanks within bounds": always(answer("200 OK", *(f"{name}: {' <' * 8000}" for name in ("Link", "Docker-Content-Digest", "ratelimit-limit", "Location")))),
    "a thousand headers": always(answer("200 OK", *(f"X-{n}: y" for n in range(1000)))),
    "a bomb": always(packed(1)),
    "a bomb in a bomb": always(packed(2)),
    "forty layers of packing": always(answer("200 OK", f"Content-Encoding: {', '.join(['gzip'] * 40)}", body=b"x")),
    "packed, and it is not": always(answer("200 OK", "Content-Encoding: gzip", body=b"x" * 999)),
    "an unknown packing": always(answer("200 OK", "Content-Encoding: zstd, br, compress", body=b"x" * 999)),
    "brackets": as_json("[" * 2**20),
    "objects": as_json('{"a":' * 2**18),
    "a number of a million digits": as_json('{"schemaVersion": 2, "size": ' + "9" * 2**20 + "}"),
    "a million entries": as_json('{"schemaVersion":2,"manifests":[' + "{}," * 2**20 + "{}],\"tags\":[" + '"a",' * 2**20 + '"a"]}'),
    "a million keys": as_json("{" + ",".join(f'"{n}":0' for n in range(500_000)) + "}"),
    "a refusal of a million errors": always(answer("400 x", body=b'{"errors":[' + b'{"code":"A"},' * 300_000 + b"{}]}")),
    "a refusal of blanks": always(answer("400 x", body=json.dumps({"errors": [{"code": "A", "message": "?" * 2**20 + BLANKS}]}).encode())),
}  # fmt: skip
ATTACKS: dict[str, Attack] = {
    f"{kind} {name}": attack
    for kind, attacks in (("redirect", REDIRECTS), ("realm", REALMS), ("shape", SHAPES), ("body", BODIES))
    for name, attack in attacks.items()
}


class Me:
    def credential_for(self, registry: str, path: str = "") -> Credential | None:
        return Credential("canary", "canary-password")


def read_blob(client: RegistryClient, ref: Reference) -> None:
    with client.open_blob(ref.name, BLOB) as chunks:
        for _ in verify(chunks, BLOB):
            pass


def upload(client: RegistryClient, ref: Reference) -> None:
    if session := client.begin_upload(ref.name, BLOB.digest):
        client.put_blob(session, BLOB, [b"layer"])


CALLS: dict[str, Callable[[RegistryClient, Reference], object]] = {
    "head": lambda client, ref: client.head_manifest(ref),
    "get": lambda client, ref: client.get_manifest(ref),
    "blob": read_blob,
    "tags": lambda client, ref: client.list_tags(ref.name),
    "referrers": lambda client, ref: client.list_referrers(ref.name, BLOB.digest),
    "upload": upload,
    "put": lambda client, ref: client.put_manifest(ref, Document(OCI_MANIFEST, b"{}")),
}


def client_for(registry: Server) -> RegistryClient:
    quick = Transport(read_timeout=0.3, upload_timeout=0.3, attempts=2, sleep=FakeTime().sleep, proxies={})
    return RegistryClient(transport=quick, credentials=Me(), endpoints=Endpoints(((registry.host, f"http://{registry.host}"),)))  # fmt: skip


# Each attack meets one call in the quick suite, the next attack the next call; the slow suite has the whole matrix.
SAMPLE = [(name, list(CALLS)[number % len(CALLS)]) for number, name in enumerate(ATTACKS)]
REST = [(name, call) for name in ATTACKS for call in CALLS if (name, call) not in SAMPLE]


@pytest.mark.parametrize(("name", "call"), [*SAMPLE, *(pytest.param(*pair, marks=pytest.mark.slow) for pair in REST)])
def test_ends_in_time_and_says_so_and_sends_no_credential_elsewhere(name: str, call: str) -> None:
    sent = 0

    def attack(visit: Visit) -> None:
        nonlocal sent
        while visit.hear():
            content = ATTACKS[name](Place(f"http://{registry.host}", f"http://{other.host}"))
            for piece in [content] if isinstance(content, bytes) else content:
                visit.sock.sendall(piece)
                sent += len(piece)

    with serving(attack) as registry, serving(fine) as other:
        client = client_for(registry)
        ref = Reference.parse(f"{registry.host}/a/b:1")
        began = time.thread_time()
        try:
            CALLS[call](client, ref)
        except OciError as error:
            assert error.code.startswith("oci.")
            assert error.message.isprintable()
            assert not any(canary in f"{error.message} {error.hint}" for canary in CANARIES)
        assert time.thread_time() - began < MOST_SECONDS
        assert sent < MOST_BYTES * 6  # of two attempts, each with what fits into the buffers between the two
        assert not any(canary in head for head in other.heads for canary in CANARIES)


@pytest.mark.parametrize("name", SHAPES)
def test_no_shape_smuggles_an_answer_to_the_next_request(name: str) -> None:
    content = ATTACKS[f"shape {name}"](Place("", ""))
    assert isinstance(content, bytes)
    quick = Transport(read_timeout=0.3, attempts=1, sleep=FakeTime().sleep, proxies={})
    with serving(lambda visit: visit.say(content, OK, OK), fine) as server:
        for path in ("first", "second", "third"):
            with suppress(OciError):
                found = quick.send("GET", f"{server.url}{path}", {}).body
                assert path == "first" or found == b"fine"


@pytest.mark.parametrize("host", [*METADATA, *OWN_SERVICES])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_registry_elsewhere_sends_us_to_what_only_this_machine_reaches(host: str, scheme: str) -> None:
    url = f"{scheme}://{host}/latest/meta-data/"
    assert not may_send_to("registry.example", url)
    assert not is_safe_realm(url, "http://registry.example")


@pytest.mark.parametrize(
    ("registry", "url"),
    [
        ("registry.example", "https://storage.example/x"),
        ("registry.example", "https://10.0.0.7/x"),
        ("registry.example", "https://localhost.example/x"),
        ("127.0.0.1", "http://localhost:9000/x"),
        ("169.254.10.1", "http://169.254.10.1/x"),
    ],
)
def test_a_registry_sends_us_to_storage_wherever_that_is(registry: str, url: str) -> None:
    assert may_send_to(registry, url)


@pytest.mark.parametrize("host", METADATA)
def test_a_redirect_to_metadata_is_refused_before_a_connection(host: str) -> None:
    with serving(lambda visit: visit.keep_saying(answer("302 x", f"Location: http://{host}/latest/"))) as server:
        with pytest.raises(ConnectionFailed, match="an address that only this machine reaches") as caught:
            Transport(sleep=FakeTime().sleep, proxies={}).send("GET", server.url, {})
        assert len(server.heads) == 1
    assert caught.value.code == "oci.unsafe_address"


@pytest.mark.parametrize(
    "location", ["http://127.0.0.1:1\\@{0}/x", "http://{0}@127.0.0.1:1/x", "http://{0}\\.evil.invalid/x"]
)
def test_an_address_with_two_readings_is_not_asked(location: str) -> None:
    """urllib3 ends a host at a backslash; the check of whether it is the same host does not."""
    with serving(
        lambda visit: visit.keep_saying(answer("302 x", f"Location: {location.format(server.host)}"))
    ) as server:
        with pytest.raises(ConnectionFailed, match=r"no host that can be reached|not possible"):
            Transport(sleep=FakeTime().sleep, proxies={}).send("GET", server.url, {"Authorization": "canary"})
        assert len(server.heads) == 1


# indexes of many, and of one another


def index_of(digests: list[Digest], pad: int = 0) -> Document:
    children = [{**CHILD, "digest": str(digest)} for digest in digests]
    text = json.dumps({"schemaVersion": 2, "manifests": children, "annotations": {"pad": "x" * pad}})
    return Document(OCI_INDEX, text.encode())


def test_an_index_of_thousands_is_refused_before_its_children_are_read() -> None:
    index = index_of([Digest.of(str(number).encode()) for number in range(2000)])
    with pytest.raises(InvalidDocument, match=r"more than 2,000 documents"):
        TreeReader(index.digest, WHOLE).add(index.digest, index)


def test_an_index_that_names_one_child_again_and_again_has_one_child() -> None:
    index = index_of([BLOB.digest] * 10_000)
    assert TreeReader(index.digest, WHOLE).add(index.digest, index) == (BLOB.digest,)


def test_indexes_of_many_bytes_together_are_refused() -> None:
    leaves = [index_of([], pad=4 * 2**20 + number) for number in range(17)]
    top = index_of([leaf.digest for leaf in leaves])
    reader = TreeReader(top.digest, WHOLE)
    reader.add(top.digest, top)
    with pytest.raises(InvalidDocument, match="bytes together"):
        for leaf in leaves:
            reader.add(leaf.digest, leaf)


def test_a_cycle_of_indexes_ends_at_a_digest_that_is_wrong() -> None:
    """No index can contain the digest of one that contains its own. A registry can still serve it so."""
    first = index_of([Digest.of(b"the second")])
    body = always(answer("200 OK", f"Content-Type: {OCI_INDEX}", body=first.raw))
    with serving(lambda visit: visit.keep_saying(bytes(body(Place("", ""))))) as server:  # type: ignore[arg-type]
        client = client_for(server)
        name = Reference.parse(f"{server.host}/a").name
        reader = TreeReader(first.digest, WHOLE)
        (second,) = reader.add(first.digest, client.get_manifest(name.with_digest(first.digest)))
        with pytest.raises(OciError, match="other content"):
            client.get_manifest(name.with_digest(second))


def test_a_depth_of_indexes_is_refused() -> None:
    chain = [index_of([])]
    for _ in range(6):
        chain.insert(0, index_of([chain[0].digest]))
    reader = TreeReader(chain[0].digest, WHOLE)
    with pytest.raises(InvalidDocument, match="deep"):
        for document in chain:
            reader.add(document.digest, document)
