from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from toolkit.oci.connections import proxy_for

PROXIES = {
    "https": "http://secure:3128",
    "http": "plain:3128",
    "no": "example.com, .internal *.corp,10.0.0.5,q.io:8443,r.io:443,s.io:80,10.1.0.0/16,fd00::1,[fd00::2],[fd00::3]:5000,"
    "fd01::/16,fe80::/99999999,:443",
}


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("https://quay.io/v2/", "http://secure:3128"),
        ("http://quay.io/v2/", "http://plain:3128"),
        ("https://127.0.0.1:5000/", ""),
        ("http://localhost:5000/", ""),
        ("http://[::1]:5000/", ""),
        ("https://example.com/", ""),
        ("https://registry.example.com/", ""),
        ("https://notexample.com/", "http://secure:3128"),
        ("https://a.internal/", ""),
        ("https://a.corp/", ""),
        ("https://10.0.0.5/", ""),
        ("https://q.io:8443/", ""),
        ("https://q.io/", "http://secure:3128"),
        ("https://r.io/", ""),
        ("https://a.r.io/", ""),
        ("http://r.io/", "http://plain:3128"),
        ("http://s.io/", ""),
        ("https://s.io/", "http://secure:3128"),
        ("https://10.1.2.3/", ""),
        ("https://10.2.2.3/", "http://secure:3128"),
        ("https://10.1.2.3.example.org/", "http://secure:3128"),
        ("https://[fd00::1]/", ""),
        ("https://[fd00:0::1]:8443/", ""),
        ("https://[fd00::2]/", ""),
        ("https://[fd00::3]:5000/", ""),
        ("https://[fd00::3]/", "http://secure:3128"),
        ("https://[fd01:2::3]/", ""),
        ("https://[fd02::1]/", "http://secure:3128"),
    ],
)
def test_a_host_is_reached_through_its_proxy_or_directly(url: str, proxy: str) -> None:
    assert proxy_for(urlsplit(url), PROXIES) == proxy


def test_one_proxy_for_all_and_none_for_a_star() -> None:
    assert proxy_for(urlsplit("https://quay.io"), {"all": "http://p:1"}) == "http://p:1"
    assert proxy_for(urlsplit("https://quay.io"), {"all": "http://p:1", "no": "*"}) == ""
    assert proxy_for(urlsplit("https://quay.io"), {}) == ""
