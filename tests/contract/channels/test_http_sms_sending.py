"""A provider described by settings: what is asked of it, and what its answers come to (gateways 8.3)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import pytest

from tertulia.server.channels.registry import BadSettings, adapter_of, settings_of, shown
from tests.contract.channels.providers import CALLBACK, OURS, THEIRS, a_file, a_message, opened, sent
from tests.peers.http_provider import CUT_OFF, DROPPED, STALLED, Answered, HttpProvider

SECRET = "callbacks know/this"
REPORTS = f"{CALLBACK}/callbacks%20know%2Fthis/status"
JSON = {"to": "{to}", "from": "{from}", "text": "{text}"}


def settings(peer: HttpProvider | None = None, **changed: Any) -> dict[str, Any]:
    url = peer.url if peer else "https://api.example"
    return {"base_url": url, "json": JSON, "id_path": "id", "callback_secret": SECRET, **changed}


@pytest.mark.parametrize(
    ("template", "message", "body"),
    [
        (JSON, {}, {"to": THEIRS, "from": OURS, "text": "hello"}),
        (
            JSON,
            {"text": '"}, "admin": true, {"x": "'},
            {"to": THEIRS, "from": OURS, "text": '"}, "admin": true, {"x": "'},
        ),
        (
            JSON,
            {"text": "{from} {sid} {{to}} \\ \n 😀"},
            {"to": THEIRS, "from": OURS, "text": "{from} {sid} {{to}} \\ \n 😀"},
        ),
        ({"a": ["{to}", "{media_url}"], "b": {"c": "{media_url}"}}, {}, {"a": [THEIRS]}),
        ({"a": "to {to}, {{not}} {media_url}."}, {}, {"a": f"to {THEIRS}, {{not}} ."}),
        ({"ttl": "{valid_s}", "minutes": "{valid_min}"}, {}, {"ttl": 14400, "minutes": 240}),
        ({"ttl": "{valid_s}"}, {"valid_until": 1}, {"ttl": 60}),
        ({"c": "{coding}", "a": "{alphabet}"}, {"text": "plain"}, {"c": "0", "a": "gsm7"}),
        ({"c": "{coding}", "a": "{alphabet}"}, {"text": "Привет"}, {"c": "2", "a": "ucs2"}),
        ({"url": "{callback}", "ref": "{sid}"}, {}, {"url": REPORTS, "ref": "SM" + "2" * 32}),
        (
            {"n": 7, "yes": True, "none": None, "empty": {}, "list": []},
            {},
            {"n": 7, "yes": True, "none": None, "empty": {}, "list": []},
        ),
        ({"media": "{media_urls}", "text": "{text}"}, {}, {"text": "hello"}),
        (
            {"media": "{media_urls}", "kind": "{media_type}"},
            {"media": (a_file("https://a.example/1?x=1&y=2"),)},
            {"media": ["https://a.example/1?x=1&y=2"], "kind": "image/png"},
        ),
    ],
)
async def test_json_is_filled_with_values_and_nothing_else(
    template: dict[str, Any], message: dict[str, Any], body: dict[str, Any]
) -> None:
    async with HttpProvider() as peer, opened("http-sms", settings(peer, json=template)) as channel:
        assert await sent(channel, a_message(**message)) == "accepted m1 x1"
        (asked,) = peer.asked
        assert asked.json == body
        assert (asked.method, asked.path, asked.headers["Content-Type"]) == ("POST", "/", "application/json")


async def test_paths_queries_forms_and_headers_are_encoded() -> None:
    async with HttpProvider() as peer:
        described = settings(
            peer,
            json={},
            path="/send/{to}/{text}/{account}",
            query={"key": "{token}", "t": "{text}", "none": "{media_url}"},
            form={"message": "{text}", "numbers": "{to_list}", "both": "{from} & {to}"},
            headers={"X-Key": "Key {token}"},
            basic="{account}:{token}",
            credentials={"token": "a&b=c", "account": ".."},
        )
        async with opened("http-sms", described) as channel:
            await sent(channel, a_message("../x?y#z & ü"))
        (asked,) = peer.asked
        assert asked.path == f"/send/{THEIRS}/../x?y#z & ü/.."
        assert asked.query == [("key", "a&b=c"), ("t", "../x?y#z & ü")]
        assert asked.form == [("message", "../x?y#z & ü"), ("numbers", THEIRS), ("both", f"{OURS} & {THEIRS}")]
        assert asked.headers["X-Key"] == "Key a&b=c"
        assert asked.headers["Authorization"] == "Basic Li46YSZiPWM="


@pytest.mark.parametrize(("spelling", "to"), [("plus", "+15550101"), ("digits", "15550101"), ("zeros", "0015550101")])
async def test_numbers_go_out_as_the_provider_spells_them(spelling: str, to: str) -> None:
    async with HttpProvider() as peer, opened("http-sms", settings(peer, number_format=spelling)) as channel:
        await sent(channel, a_message(sender="Shop"))
        assert (peer.asked[0].json["to"], peer.asked[0].json["from"]) == (to, "Shop")


async def test_smart_encoding_makes_one_segment_of_two() -> None:
    text = "it\u2019s " * 20
    async with HttpProvider() as peer:
        async with opened("http-sms", settings(peer)) as channel:
            assert await sent(channel, a_message(text)) == "accepted m1 x2"
        async with opened("http-sms", settings(peer, smart_encoding=True)) as channel:
            assert await sent(channel, a_message(text)) == "accepted m2 x1"
        assert peer.asked[1].json["text"] == "it's " * 20


async def test_files_and_groups_have_requests_of_their_own() -> None:
    async with HttpProvider() as peer:
        described = settings(
            peer,
            path="/sms",
            media_path="/mms",
            media_json={"file": "{media_url}", "words": "{text}"},
            group_path="/group",
            group_json={"all": "{group_list}", "people": "{to_list}", "files": "{media_urls}"},
            group_size=3,
            media_types=["image/png"],
        )
        async with opened("http-sms", described) as channel:
            assert channel.capabilities.has_groups
            assert channel.capabilities.media_types == {"image/png"}
            people = ("+15550101", "+15550102")
            await sent(channel, a_message())
            await sent(channel, a_message(media=(a_file("https://a.example/1"),)))
            await sent(
                channel, a_message(recipients=people, others=("+15550109",), media=(a_file("https://a.example/1"),))
            )
            too_many = a_message(recipients=(*people, "+15550103"), others=("+15550109",))
            assert await sent(channel, too_many) == "refused 30008"
        assert [(asked.path, asked.json) for asked in peer.asked] == [
            ("/sms", {"to": THEIRS, "from": OURS, "text": "hello"}),
            ("/mms", {"file": "https://a.example/1", "words": "hello"}),
            (
                "/group",
                {"all": [*people, "+15550109"], "people": list(people), "files": ["https://a.example/1"]},
            ),
        ]


async def test_reports_that_would_not_be_believed_are_not_asked_for() -> None:
    async with HttpProvider() as peer:
        mute = settings(peer, json={"text": "{text}", "report_to": "{callback}"}, callback_secret="")
        async with opened("http-sms", mute) as channel:
            await sent(channel, a_message())
        assert peer.asked[0].json == {"text": "hello"}


async def test_a_provider_without_group_requests_has_no_groups() -> None:
    async with opened("http-sms", settings()) as channel:
        assert not channel.capabilities.has_groups
        assert channel.capabilities.media_types == frozenset()


USUAL = {"code_path": "error.code", "codes": {"7": 21610, "8": 21211}, "retry_codes": ["9"]}


@pytest.mark.parametrize(
    ("changed", "answer", "outcome"),
    [
        ({}, Answered(200, {"id": "a"}), "accepted a x1"),
        ({}, Answered(202, {"id": 17}), "accepted 17 x1"),
        ({}, Answered(200, {"id": None}), "accepted  x1"),
        ({}, Answered(200, {"id": {"x": 1}}), "accepted  x1"),
        ({}, Answered(200, {"id": "x" * 201}), "accepted  x1"),
        ({}, Answered(204), "accepted  x1"),
        ({"id_path": "a[].b"}, Answered(200, {"a": [{"b": "1"}, {"b": "2"}, {"c": 3}]}), "accepted 1 2 x1"),
        ({"id_path": "a[1].b | c"}, Answered(200, {"a": [{"b": "1"}], "c": "3"}), "accepted 3 x1"),
        ({"id_path": "text"}, Answered(200, "abc\n"), "accepted abc x1"),
        ({"id_after": "ID:"}, Answered(200, "OK ID: abc more"), "accepted abc x1"),
        ({"id_after": "ID:"}, Answered(200, "OK"), "accepted  x1"),
        ({"id_is_ours": True}, Answered(200, "whatever"), "accepted SM" + "2" * 32 + " x1"),
        ({"id_is_ours": True}, CUT_OFF, "accepted SM" + "2" * 32 + " x1"),
        ({"segments_path": "n"}, Answered(200, {"id": "a", "n": 3}), "accepted a x3"),
        ({"segments_path": "n"}, Answered(200, {"id": "a", "n": "many"}), "accepted a x1"),
        ({"segments_path": "n"}, Answered(200, {"id": "a", "n": 0}), "accepted a x1"),
        ({"accepted_when": {"ok": ["true"]}}, Answered(200, {"id": "a", "ok": True}), "accepted a x1"),
        ({"accepted_when": {"ok": ["true"]}}, Answered(200, {"ok": False, "error": {"code": 8}}), "refused 21211"),
        ({"accepted_when": {"ok": ["true"]}}, Answered(200, {"error": {"code": 9}}), "not now"),
        ({"accepted_when": {"ok": ["true"]}}, Answered(200, {"id": "a"}), "refused 30008"),
        ({"accepted_when": {"ok": ["true"]}}, Answered(200, b"\xff\xfe"), "unsure"),
        ({"accepted_when": {"ok": ["true"]}}, CUT_OFF, "accepted  x1"),
        ({"accepted_when": {"text": ["OK"]}}, Answered(200, "OK"), "accepted  x1"),
        ({}, Answered(400, {"error": {"code": 7}}), "refused 21610"),
        ({}, Answered(400, {"error": {"code": "https://provider.example/errors#8"}}), "refused 21211"),
        ({}, Answered(400, {"error": {"code": "9"}}), "not now"),
        ({}, Answered(400, {"error": {"code": "unheard of"}}), "refused 30008"),
        ({}, Answered(400, "[" * 50_000), "refused 30008"),
        ({}, Answered(401, {}), "not now 300s alarm"),
        ({}, Answered(403, {"error": {"code": "7"}}), "refused 21610"),
        ({}, Answered(403, {}), "not now 300s alarm"),
        ({"alarm_statuses": [401]}, Answered(403, {}), "refused 30008"),
        ({}, Answered(402, {}, {"Retry-After": "60"}), "not now 60s alarm"),
        ({}, Answered(408), "not now"),
        ({}, Answered(429, {}, {"Retry-After": "5"}), "not now 5s"),
        ({}, Answered(500), "not now"),
        ({}, Answered(503, {"error": {"code": 7}}), "not now"),
        ({}, Answered(301, None, {"Location": "https://elsewhere.example"}), "not now 300s alarm"),
        ({}, DROPPED, "unsure"),
        ({"answer_s": 0.2}, STALLED, "unsure"),
    ],
)
async def test_answers_are_outcomes(changed: dict[str, Any], answer: Answered, outcome: str) -> None:
    async with HttpProvider() as peer, opened("http-sms", settings(peer, **USUAL, **changed)) as channel:
        peer.answer_with(answer)
        assert await sent(channel, a_message()) == outcome


@pytest.mark.parametrize("code", [f"invalid {THEIRS}", THEIRS, THEIRS[1:], "x" * 1000, "a\r\nb"])
async def test_what_was_sent_is_not_in_what_is_said_of_a_refusal(code: str) -> None:
    async with HttpProvider() as peer, opened("http-sms", settings(peer, **USUAL)) as channel:
        peer.answer_with(Answered(400, {"error": {"code": code}}))
        with pytest.raises(Exception, match="answers 400") as refusal:
            await channel.send(a_message())
        assert str(refusal.value) == "the provider answers 400"


async def test_what_cannot_be_reached_has_not_taken_it() -> None:
    async with HttpProvider() as peer:
        nowhere = settings(peer)
    async with opened("http-sms", nowhere) as channel:
        assert await sent(channel, a_message()) == "not now"


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"base_url": ""}, "base_url is missing"),
        ({"base_url": "https://{account}.example"}, "base_url"),
        ({"base_url": "https://user:password@api.example"}, "base_url"),
        ({"base_url": "https://api.example\n"}, "base_url"),
        ({"base_url": "https://bücher.example"}, "base_url"),
        ({"path": "/send\n"}, "path"),
        ({"path": "/grüße"}, "path"),
        ({"method": "POST\n"}, "method"),
        ({"proof_name": "X-Signature\n"}, "proof_name"),
        ({"json": {}}, "json is missing"),
        ({"json": {"x": "{tokne}"}, "credentials": {"token": "x"}}, "json: nothing is called {tokne}"),
        ({"headers": {"X-To": "{to}"}}, "headers: nothing is called {to}"),
        ({"basic": "{text}"}, "basic: nothing is called {text}"),
        ({"headers": {"X-Key": "{SEKRETTOKEN}"}}, "headers: what braces hold is no word; words there are none"),
        (
            {"headers": {"X-Key": "{SEKRETTOKEN}"}, "credentials": {"token": "x"}},
            "headers: what braces hold is no word; words there are {token}",
        ),
        ({"json": {"x": "{To}"}}, "json: what braces hold is no word; words there are {alphabet}, {callback}"),
        ({"json": {"x": "{to"}}, "json: what braces hold"),
        ({"json": {"x": "to}"}}, "json: what braces hold"),
        ({"path": "/{ to }"}, "path"),
        ({"query": {"x": "{}"}}, "query: what braces hold"),
        ({"headers": {"X-A": "x\r\nX-Evil: 1"}}, "headers: X-A has characters that cannot be sent"),
        ({"headers": {"X-A": "😀"}}, "headers: X-A has characters that cannot be sent"),
        ({"headers": {"X-A": "{a}"}, "credentials": {"a": "…"}}, "headers: X-A has characters that cannot be sent"),
        ({"headers": {"X-A": "x "}}, "headers: X-A has characters that cannot be sent, or ends with a space"),
        ({"headers": {"X-A\r\nX-Evil": "x"}}, "headers: a name has characters that no header has"),
        ({"headers": {"X A": "x"}}, "headers: a name has characters"),
        ({"headers": {"": "x"}}, "headers: a name has characters"),
        ({"headers": {"Host": "x"}}, "headers: Host follows from the request itself"),
        ({"credentials": {"text": "x"}}, "credentials: text is a word of messages"),
        ({"credentials": {"a": "x\r\nX-Evil: 1"}}, "credentials: one has characters"),
        ({"json": {"a": [[[[[[[[[[[[[[[[[[[[[["x"]]]]]]]]]]]]]]]]]]]]]]}}, "json: a template is too deep"),
        ({"id_path": "a b"}, "expected a path"),
        ({"message": {"who": "x"}}, "message: expected one of id"),
        ({"report": {"id": "a[x]"}}, "expected a path"),
        ({"statuses": {"ok": "arrived"}}, "statuses: expected sent"),
        ({"codes": {"1": 1_000_000}}, "codes: expected"),
        ({"proof": "ed25519", "timestamp_name": "x", "public_key": "short"}, "public_key: expected 32 bytes"),
        ({"proof": "basic"}, "callback_user is missing"),
        ({"proof": "hmac"}, "proof_name is missing"),
        ({"preset": "nobody"}, "preset: there is none called 'nobody'"),
        ({"path": "no-slash"}, "path"),
        ({"media_types": ["image/png"]}, "media_types: no template says"),
        ({"method": "DELETE"}, "method"),
        ({"replay_s": 1}, "replay_s"),
    ],
)
def test_settings_that_make_no_sense_are_named(changed: dict[str, Any], named: str) -> None:
    with pytest.raises(BadSettings, match=named.replace("{", r"\{").replace("}", r"\}")):
        settings_of(adapter_of("http-sms"), settings(None, **changed))


def test_secrets_are_not_shown() -> None:
    given = settings(None, credentials={"token": "very-secret"})
    adapter = adapter_of("http-sms")
    told = f"{settings_of(adapter, given)!r} {shown(adapter, given)}"
    assert "very-secret" not in told
    assert SECRET not in told


@pytest.mark.parametrize(
    ("answer", "changed", "is_good"),
    [
        (Answered(200), {"check_path": "/me"}, [True, True]),
        (Answered(401), {"check_path": "/me"}, [False, True]),
        (Answered(500), {"check_path": "/me"}, [False, True]),
        (Answered(404), {}, [True, True]),
        (Answered(404), {"callback_secret": ""}, [True, False]),
    ],
)
async def test_the_check_says_whether_the_provider_believes_us(
    answer: Answered, changed: dict[str, Any], is_good: list[bool]
) -> None:
    async with HttpProvider() as peer, opened("http-sms", settings(peer, **changed)) as channel:
        peer.answer_with(answer)
        findings = await channel.check()
        assert [finding.is_good for finding in findings] == is_good
        assert SECRET not in repr(findings)
        (asked,) = peer.asked
        assert (asked.method, asked.path) == ("GET", changed.get("check_path", "/"))


async def test_the_check_says_that_nobody_is_there() -> None:
    async with HttpProvider() as peer:
        nowhere = settings(peer)
    async with opened("http-sms", nowhere) as channel:
        finding = (await channel.check())[0]
        assert not finding.is_good
        assert urlsplit(str(nowhere["base_url"])).netloc in finding.what
