"""Signed addresses of the file storage, as the gateway serves them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.gateway.conftest import Gateway, User, assert_problem, send

CONTENT = bytes(range(256)) * 4096
KEY = "users/u/film.mp4"


@pytest.fixture
async def url(gateway: Gateway) -> str:
    """A signed address of a stored object."""
    await gateway.storage.put_bytes(KEY, CONTENT, "video/mp4")
    return await gateway.storage.sign_get(KEY, 60)


async def test_an_object_is_read_without_credentials(gateway: Gateway, url: str) -> None:
    async with gateway.client() as nobody:
        response = await nobody.get(url)
        head = await nobody.head(url)
    assert response.content == CONTENT
    assert response.headers["content-type"] == "video/mp4"
    assert "sandbox" in response.headers["content-security-policy"]
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(CONTENT))


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        ("bytes=0-0", CONTENT[:1]),
        ("bytes=1000-1999", CONTENT[1000:2000]),
        ("bytes=-5", CONTENT[-5:]),
        (f"bytes={len(CONTENT) - 1}-", CONTENT[-1:]),
    ],
)
async def test_a_range_is_answered_with_that_range(gateway: Gateway, url: str, ranges: str, expected: bytes) -> None:
    async with gateway.client() as nobody:
        response = await nobody.get(url, headers={"Range": ranges})
    assert (response.status_code, response.content) == (206, expected)


async def test_a_range_beyond_the_end_is_refused(gateway: Gateway, url: str) -> None:
    async with gateway.client() as nobody:
        response = await nobody.get(url, headers={"Range": f"bytes={len(CONTENT)}-"})
    assert_problem(response, 416, "range_not_satisfiable")
    assert response.headers["Content-Range"] == f"bytes */{len(CONTENT)}"


async def test_a_range_that_cannot_be_read_is_a_problem(gateway: Gateway, url: str) -> None:
    async with gateway.client() as nobody:
        assert_problem(await nobody.get(url, headers={"Range": "bytes=x-y"}), 400, "malformed_range")


async def test_a_changed_address_opens_nothing(gateway: Gateway, url: str) -> None:
    async with gateway.client() as nobody:
        for changed in (
            url[:-1] + ("1" if url.endswith("0") else "0"),
            url.replace("film", "firm"),
            url.split("?", maxsplit=1)[0],
            url.replace("expires=", "expires=9"),
        ):
            assert_problem(await nobody.get(changed), 403, "invalid_signature")
        assert_problem(await nobody.put(url, content=b"x"), 403, "invalid_signature")
        expired = await gateway.storage.sign_get(KEY, -1)
        assert_problem(await nobody.get(expired), 403, "expired_signature")


async def test_an_object_that_is_gone_is_not_found(gateway: Gateway, url: str) -> None:
    await gateway.storage.delete(KEY)
    async with gateway.client() as nobody:
        assert_problem(await nobody.get(url), 404, "object_not_found")


async def test_a_key_never_leaves_the_folder(gateway: Gateway) -> None:
    async with gateway.client() as nobody:
        response = await nobody.get("/storage/users/..%2f..%2f..%2fetc%2fpasswd", params={"expires": "1"})
    assert_problem(response, 422, "invalid_key")


class TestLimit:
    @pytest.fixture
    def options(self) -> dict[str, Any]:
        return {"max_upload_bytes": 2000}

    async def test_a_body_above_the_limit_is_refused_however_it_is_sent(self, gateway: Gateway, ada: User) -> None:
        request = await gateway.storage.sign_put(
            "users/u/large.bin", size=5000, sha256="", content_type="video/mp4", expires_s=60
        )
        announced = {"method": request.method, "url": request.url, "headers": dict(request.headers)}
        assert_problem(await send(ada.client, announced, bytes(5000)), 413, "file_too_large")

        async def pieces() -> Any:
            for _ in range(5):
                yield bytes(1000)

        async with gateway.client() as nobody:
            response = await nobody.put(request.url, content=pieces(), headers=dict(request.headers))
        assert_problem(response, 413, "file_too_large")
        assert gateway.stored() == []

    async def test_a_form_above_the_limit_leaves_nothing(self, gateway: Gateway, ada: User) -> None:
        files = {"file": ("talk.mp4", bytes(3000), "video/mp4")}
        response = await ada.client.post("/api/dubbing-jobs", files=files, data={"target_language": "es"})
        assert_problem(response, 413, "file_too_large")
        assert gateway.stored() == []
