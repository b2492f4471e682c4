from __future__ import annotations

import pytest
from saga_orchestrator.http.participants.base_url import BaseUrl, Origin


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://shop", BaseUrl(Origin("http", "shop", 80), "shop", "")),
        ("http://shop/", BaseUrl(Origin("http", "shop", 80), "shop", "")),
        ("https://Shop:444/a/b/", BaseUrl(Origin("https", "shop", 444), "shop:444", "/a/b")),
        ("https://shop:443", BaseUrl(Origin("https", "shop", 443), "shop", "")),
        ("http://[::1]:8001", BaseUrl(Origin("http", "::1", 8001), "[::1]:8001", "")),
        ("http://bücher.test", BaseUrl(Origin("http", "xn--bcher-kva.test", 80), "", "")),
    ],
)
def test_base_url_is_split(text: str, expected: BaseUrl) -> None:
    base = BaseUrl.parse(text)

    assert (base.origin, base.path) == (expected.origin, expected.path)
    assert base.authority == (expected.authority or "xn--bcher-kva.test")


def test_credentials_are_refused_and_not_repeated() -> None:
    with pytest.raises(ValueError, match="credentials") as refusal:
        BaseUrl.parse("http://me:hunter2@shop")

    assert "hunter2" not in str(refusal.value)


def test_a_path_follows_the_base_path() -> None:
    base = BaseUrl.parse("http://shop/v1/")

    assert base.target("/orders?a=b") == "/v1/orders?a=b"
    with pytest.raises(ValueError, match="does not start with /"):
        base.target("orders")
