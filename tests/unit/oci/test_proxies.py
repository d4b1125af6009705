from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from toolkit.oci.proxies import proxy_for

PROXIES = {
    "https": "http://secure:3128",
    "http": "plain:3128",
    "no": "example.com, .internal *.corp,10.0.0.5,q.io:8443",
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
    ],
)
def test_a_host_is_reached_through_its_proxy_or_directly(url: str, proxy: str) -> None:
    assert proxy_for(urlsplit(url), PROXIES) == proxy


def test_one_proxy_for_all_and_none_for_a_star() -> None:
    assert proxy_for(urlsplit("https://quay.io"), {"all": "http://p:1"}) == "http://p:1"
    assert proxy_for(urlsplit("https://quay.io"), {"all": "http://p:1", "no": "*"}) == ""
    assert proxy_for(urlsplit("https://quay.io"), {}) == ""
