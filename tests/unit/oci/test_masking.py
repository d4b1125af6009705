from __future__ import annotations

import base64
import time
from urllib.parse import quote

import pytest

from toolkit.oci.errors import OciError, registry_words
from toolkit.oci.masking import cleaned, remember_password, remember_token

PASSWORD = "correct horse  batt€ry/staple="
remember_password(PASSWORD, "ünal")


@pytest.mark.parametrize(
    "form",
    [
        PASSWORD,
        quote(PASSWORD, safe=""),
        base64.b64encode(PASSWORD.encode()).decode(),
        base64.b64encode(f"ünal:{PASSWORD}".encode()).decode(),
        base64.urlsafe_b64encode(f"ünal:{PASSWORD}".encode()).decode().rstrip("="),
    ],
)
def test_what_was_sent_is_masked_in_each_form(form: str) -> None:
    assert OciError(f"`r.test` says: Basic {form}!").message == "`r.test` says: Basic ***!"
    assert str(OciError(form)) == "***"
    assert registry_words([f"you sent {form}, who are you?"]) == "you sent ***, who are you?"


def test_a_secret_at_the_cut_is_masked_before() -> None:
    remember_token("a-secret-of-some-length")
    words = registry_words(["x" * 290 + " a-secret-of-some-length"])
    assert words.endswith(" ***")


def test_the_longer_secret_is_masked_as_a_whole() -> None:
    remember_password("inner", "me")
    remember_token("outer-inner-outer")
    assert cleaned("outer-inner-outer inner") == "*** ***"


@pytest.mark.parametrize("word", ["", "a", "abc"])
def test_a_word_that_is_too_short_for_a_secret_stays(word: str) -> None:
    remember_password(word, "somebody")
    remember_token(word)
    assert cleaned("a cab has abc") == "a cab has abc"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("see https://s3.test/b?X-Amz-Signature=abc&X=1 now", "see https://s3.test/b now"),
        ("see HTTPS://s3.test/b?X-Amz-Signature=abc", "see HTTPS://s3.test/b"),
        ("see //s3.test/b?sig=abc.", "see //s3.test/b"),
        ("see /b/k?se=1&sig=abc", "see /b/k"),
        ('{"url":"https://s3.test/b?sig=abc"}', '{"url":"https://s3.test/b"}'),
        ("see https://id.test/cb#access_token=abc", "see https://id.test/cb"),
        ("X-Amz-Signature=abc&X-Amz-Expires=900", "X-Amz-Signature=***&X-Amz-Expires=***"),
        ("access_token=abc, please", "access_token=*** please"),
        ("without user, `?` and `#`; why?", "without user, `?` and `#`; why?"),
        ("`a:1` is no tag? a=b", "`a:1` is no tag? a=b"),
    ],
)
def test_queries_of_addresses_are_cut(said: str, shown: str) -> None:
    assert cleaned(said) == shown


def test_many_tokens_do_not_make_it_forget_a_password_in_use() -> None:
    remember_password("the-password", "me")
    for number in range(2000):
        remember_token(f"bearer-token-{number}")
    assert cleaned("the-password bearer-token-1999") == "*** ***"


@pytest.mark.parametrize("text", ["?", "#", "a?", "x-amz-", "token", "sig=", "a-token=&", "=", "a?b="])
def test_no_text_takes_long(text: str) -> None:
    started = time.process_time()
    cleaned(text * 20_000)
    assert time.process_time() - started < 0.5
