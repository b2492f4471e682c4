"""Addresses of participants: what cannot be called is refused at the start, in words."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from saga_orchestrator.http.participants.base_url import BaseUrl
from saga_orchestrator.http.participants.config import check_urls

PIECES = st.sampled_from([*"az09.-_:/@[]%?#\\<> \n\té", "xn--", "::1", "65536", "http:"])


@pytest.mark.parametrize(
    "url", ["http://xn--", "http://a\nb", "http://é,", "http://a?", "http://a:0", "//a", "http://"]
)
def test_url_that_cannot_be_called_is_named(url: str) -> None:
    with pytest.raises(ValueError, match="the url of order-service cannot be called: "):
        check_urls({"order-service": url})


@given(st.lists(PIECES, max_size=8).map("".join))
def test_url_that_is_not_refused_can_be_called(rest: str) -> None:
    url = f"http://{rest}"
    with suppress(ValueError):
        check_urls({"order-service": url})
        assert BaseUrl.parse(url).origin.host
