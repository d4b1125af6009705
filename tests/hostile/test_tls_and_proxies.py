"""Servers and proxies that are not who they should be: one error that names the cure, and nothing sent to them."""

from __future__ import annotations

import base64
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.hostile.certificates import Authority
from tests.support.clocks import FakeTime
from tests.support.real_parts import require
from tests.support.scripted_server import OK, Script, Visit, fine, serving, tunnel_to
from toolkit.oci.errors import ConnectionFailed
from toolkit.oci.masking import cleaned
from toolkit.oci.transport import Transport

REGISTRY = "https://registry.invalid/v2/"
TOKEN = {"Authorization": "Bearer canary-token"}
PASSWORD = "p@ss/w€rd canary"
CODED = quote(PASSWORD, safe="")


@pytest.fixture
def ca(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """The one that is trusted."""
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    return authority


@pytest.fixture
def stranger(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "another CA")


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


def transport(time: FakeTime, proxies: Mapping[str, str] | None = None) -> Transport:
    return Transport(read_timeout=5, sleep=time.sleep, proxies=proxies or {})


def fails(time: FakeTime, url: str, proxies: Mapping[str, str] | None = None) -> ConnectionFailed:
    with pytest.raises(ConnectionFailed) as caught:
        transport(time, proxies).send("GET", url, TOKEN)
    assert "canary" not in f"{caught.value.message} {caught.value.hint}"
    return caught.value


# certificates

Wrong = tuple[dict[str, object], str, str]
WRONG: dict[str, Wrong] = {
    "name": ({"names": ("registry.example",)}, "mismatch", "name that the certificate is for"),
    "address": ({"names": ("127.0.0.2",)}, "mismatch", "name that the certificate is for"),
    "wildcard": ({"names": ("*.0.0.1",)}, "mismatch", "name that the certificate is for"),
    "expired": ({"begins": -2, "ends": -1}, "expired", "renewed"),
    "not yet valid": ({"begins": 1, "ends": 2}, "not yet valid", "clock"),
    "self-signed": ({"signs_itself": True}, "self-signed", "SSL_CERT_FILE"),
    "of another CA": ({"by": "stranger"}, "issuer", "SSL_CERT_FILE"),
}


def wrong_context(kind: str, ca: Authority, stranger: Authority, name: str = "127.0.0.1") -> ssl.SSLContext:
    given = dict(WRONG[kind][0])
    signer = stranger if given.pop("by", None) else ca
    return signer.issue(*given.pop("names", (name,)), **given)  # type: ignore[misc, arg-type]  # a table's values


@pytest.mark.parametrize("kind", WRONG)
def test_refuses_a_certificate_once_and_names_its_own_cure(
    ca: Authority, stranger: Authority, time: FakeTime, kind: str
) -> None:
    with serving(fine, tls=wrong_context(kind, ca, stranger)) as server:
        failure = fails(time, server.url)
        assert server.heads == []
    assert (failure.code, time.slept) == ("oci.certificate_untrusted", [])
    assert WRONG[kind][1] in failure.message
    assert WRONG[kind][2] in (failure.hint or "")


@pytest.mark.parametrize("way", ["file", "folder", "file for another program"])
def test_trusts_a_private_ca_only_where_openssl_is_told(
    ca: Authority, time: FakeTime, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: str
) -> None:
    if way != "file":
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    if way == "folder":
        folder = tmp_path / "certs"
        folder.mkdir()
        shutil.copy(ca.path, folder / "ca.pem")
        subprocess.run([require("openssl"), "rehash", str(folder)], check=True)
        monkeypatch.setenv("SSL_CERT_DIR", str(folder))
    if way == "file for another program":
        for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            monkeypatch.setenv(name, str(ca.path))
    with serving(fine, tls=ca.issue("127.0.0.1")) as server:
        if way == "file for another program":
            assert fails(time, server.url).code == "oci.certificate_untrusted"
        else:
            assert transport(time).send("GET", server.url, TOKEN).body == b"fine"


def test_trusts_what_the_system_trusts(time: FakeTime, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The system's store is where OpenSSL was built to look: Python names it, and so can a test that may not write it."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    ca = Authority(tmp_path)
    loaded: list[ssl.SSLContext] = []

    def load(context: ssl.SSLContext, *purpose: object) -> None:
        loaded.append(context)
        context.load_verify_locations(ca.path)

    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", load)
    with serving(fine, tls=ca.issue("127.0.0.1")) as server:
        assert transport(time).send("GET", server.url, {}).body == b"fine"
    assert len(loaded) == 1


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_names_a_client_certificate_that_is_wanted(ca: Authority, time: FakeTime, version: ssl.TLSVersion) -> None:
    context = ca.issue("127.0.0.1")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(ca.path)
    context.minimum_version = context.maximum_version = version
    with serving(fine, tls=context) as server:
        failure = fails(time, server.url)
        assert server.heads == []
    assert (failure.code, time.slept) == ("oci.tls_refused", [])
    assert "wants a client certificate" in failure.message


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_speaks_no_tls_that_is_broken(ca: Authority, time: FakeTime) -> None:
    context = ca.issue("127.0.0.1")
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with serving(fine, tls=context) as server:
        failure = fails(time, server.url)
    assert (failure.code, time.slept) == ("oci.tls_refused", [])
    assert "no TLS 1.2" in failure.message


# proxies


def answers(answer: bytes) -> Script:
    def script(visit: Visit) -> None:
        visit.hear()
        visit.sock.sendall(answer)
        visit.sock.settimeout(0.1)  # for the beginning of a handshake; then the proxy hangs up
        visit.sock.recv(65536)

    return script


def a_proxy(host: str, scheme: str = "http") -> dict[str, str]:
    """Its address with a credential, for every kind of request."""
    return {"all": f"{scheme}://me:{CODED}@{host}"}


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_a_proxy_that_wants_another_credential_is_asked_once(time: FakeTime, scheme: str) -> None:
    echo = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
    refusal = f"HTTP/1.1 407 no {echo} {CODED}\r\nContent-Length: 0\r\n\r\n".encode()
    with serving(answers(refusal)) as proxy:
        failure = fails(time, REGISTRY.replace("https", scheme), a_proxy(proxy.host))
        assert len(proxy.heads) == 1
        assert f"proxy-authorization: Basic {echo}" in proxy.heads[0]
        assert ("canary-token" in proxy.heads[0]) == (scheme == "http")  # what is not encrypted goes through the proxy
    assert (failure.code, time.slept) == ("oci.proxy_refused", [])
    assert "407" in failure.message
    assert "user and password" in (failure.hint or "")


@pytest.mark.parametrize(("status", "attempts"), [(403, 1), (404, 1), (502, 6), (503, 6)])
def test_a_proxy_that_opens_no_tunnel_is_named_with_its_status(time: FakeTime, status: int, attempts: int) -> None:
    with serving(answers(f"HTTP/1.1 {status} {PASSWORD}\r\n\r\n".encode())) as proxy:
        failure = fails(time, REGISTRY, a_proxy(proxy.host))
        assert len(proxy.visits) == attempts
    assert failure.code == "oci.proxy_refused"
    assert f"the proxy responded with {status}" in failure.message


HTML = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n"


@pytest.mark.parametrize(
    "answer", [HTML + b"<html>log in</html>" * 9, b"<html>", b"", b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 400 x\r\n\r\n"]
)
def test_what_a_proxy_says_itself_is_never_the_registrys_answer(time: FakeTime, answer: bytes) -> None:
    with serving(answers(answer)) as proxy:
        fails(time, REGISTRY, a_proxy(proxy.host))
        assert not any("canary-token" in head for head in proxy.heads)


def test_a_proxy_that_goes_on_in_plain_text_is_named(time: FakeTime) -> None:
    def go_on(visit: Visit) -> None:
        visit.hear()
        visit.sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        visit.sock.recv(1)  # the handshake has begun
        visit.sock.sendall(HTML)

    with serving(go_on) as proxy:
        failure = fails(time, REGISTRY, a_proxy(proxy.host))
    assert (failure.code, time.slept) == ("oci.proxy_unusable", [])
    assert "responds itself" in failure.message


@pytest.mark.parametrize("kind", WRONG)
def test_a_proxy_that_reads_along_needs_a_certificate_that_is_trusted(
    ca: Authority, stranger: Authority, time: FakeTime, kind: str
) -> None:
    context = wrong_context(kind, ca, stranger, "registry.invalid")
    with serving(fine, tls=context) as fake, serving(tunnel_to(fake)) as proxy:
        failure = fails(time, REGISTRY, a_proxy(proxy.host))
        assert fake.heads == []
        assert "canary-token" not in str(proxy.heads)
    assert (failure.code, time.slept) == ("oci.certificate_untrusted", [])
    assert "`registry.invalid`" in failure.message


def test_a_proxy_that_reads_along_is_trusted_by_its_ca(ca: Authority, time: FakeTime) -> None:
    with serving(fine, tls=ca.issue("registry.invalid")) as fake, serving(tunnel_to(fake)) as proxy:
        assert transport(time, a_proxy(proxy.host)).send("GET", REGISTRY, TOKEN).body == b"fine"
        assert "canary-token" in fake.heads[0]
        assert "proxy-authorization" not in fake.heads[0].lower()


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("scheme", ["https", "http"])
def test_the_credential_for_a_proxy_goes_only_to_one_that_is_trusted(
    ca: Authority, stranger: Authority, time: FakeTime, kind: str, scheme: str
) -> None:
    with serving(fine, tls=wrong_context(kind, ca, stranger)) as proxy:
        failure = fails(time, REGISTRY.replace("https", scheme), a_proxy(proxy.host, "https"))
        assert proxy.heads == []
    assert (failure.code, time.slept) == ("oci.certificate_untrusted", [])
    assert "of the proxy" in failure.message


@pytest.mark.parametrize(
    "address",
    [
        "http://[",
        "http://",
        "http://proxy:port",
        "http://proxy:99999",
        "http://me:canary/word@127.0.0.1:1",
        "http://me:canary#word@127.0.0.1:1",
        "http://me:canary?word@127.0.0.1:1",
        "ftp://me:canary@proxy:21",
        "socks5h://me:canary@proxy:1080",
        "://me:canary@proxy",
    ],
)
def test_an_address_that_is_no_proxys_is_named_without_its_password(time: FakeTime, address: str) -> None:
    failure = fails(time, REGISTRY, {"https": address})
    assert (failure.code, time.slept) == ("oci.proxy_unusable", [])
    assert "HTTPS_PROXY" in (failure.hint or "")


@pytest.mark.parametrize("written", [CODED, CODED.lower(), PASSWORD.replace("@", "%40").replace("/", "%2F")])
def test_a_password_for_a_proxy_is_known_again_however_it_is_written(time: FakeTime, written: str) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as closed:
        host = f"127.0.0.1:{closed.getsockname()[1]}"
    fails(time, REGISTRY, {"https": f"http://me:{written}@{host}"})
    pair = f"me:{PASSWORD}".encode()
    for said in (written, PASSWORD, CODED, base64.b64encode(pair).decode(), base64.urlsafe_b64encode(pair).decode()):
        assert cleaned(f"no access for {said} today") == "no access for *** today"


@pytest.fixture
def counting() -> Iterator[list[str]]:
    """A proxy's port, and the lines that it was asked for."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        asked = [str(listener.getsockname()[1])]

        def serve() -> None:
            with suppress(OSError):
                while True:
                    sock, _ = listener.accept()
                    with sock:
                        asked.append(sock.recv(4096).decode().split("\r\n")[0])
                        sock.sendall(OK)

        threading.Thread(target=serve, daemon=True).start()
        yield asked
        listener.shutdown(socket.SHUT_RDWR)


def test_the_environment_names_proxies_in_either_case_and_exempts_hosts(
    counting: list[str], time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        with monkeypatch.context() as once:
            once.setenv(variable, f"http://127.0.0.1:{counting[0]}")
            assert Transport(sleep=time.sleep).send("GET", "http://registry.invalid/x", {}).body == b"fine"
            once.setenv("NO_PROXY", "example.com,.invalid:80")
            with pytest.raises(ConnectionFailed, match="cannot be resolved"):
                Transport(sleep=time.sleep, attempts=1).send("GET", "http://registry.invalid/x", {})
    assert counting[1:] == ["GET http://registry.invalid/x HTTP/1.1"] * 3
