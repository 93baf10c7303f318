"""Voices with a sample, the same for every user."""

from __future__ import annotations

from tests.integration.gateway.conftest import Gateway, User, assert_problem
from tests.integration.gateway.speech import RECORDING, SAMPLE_KEY


async def test_a_sample_is_found_by_the_address_in_the_list_and_is_the_same_for_every_user(
    gateway: Gateway, ada: User, bob: User
) -> None:
    stored = gateway.objects / SAMPLE_KEY
    stored.parent.mkdir(parents=True)
    stored.write_bytes(b"a sound")
    for user in (ada, bob):
        [voice] = (await user.client.get("/api/voices", params={"language": "es"})).json()["items"]
        assert voice["languages"] == ["es"]
        answer = await user.client.get(voice["sample_url"])
        assert answer.status_code == 307
        assert (await user.client.get(answer.headers["location"])).content == b"a sound"


async def test_a_vendors_recording_is_where_the_vendor_has_it(ada: User) -> None:
    answer = await ada.client.get("/api/voices/espeak%3Aca/sample", params={"language": "ca"})
    assert (answer.status_code, answer.headers["location"]) == (307, RECORDING)


async def test_a_voice_without_a_sample_has_no_address_and_the_reason_is_given(ada: User) -> None:
    [voice] = (await ada.client.get("/api/voices", params={"language": "fr"})).json()["items"]
    assert voice["sample_url"] is None
    assert_problem(await ada.client.get("/api/voices/espeak:fr/sample"), 404, "no_sample")
    assert_problem(await ada.client.get("/api/voices/a/b/sample"), 404, "unknown_voice")


async def test_samples_are_for_users_alone(gateway: Gateway) -> None:
    async with gateway.client() as nobody:
        assert_problem(await nobody.get("/api/voices/espeak:es/sample"), 401, "missing_credentials")
