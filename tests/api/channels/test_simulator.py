"""Phones by REST: what there is, what is refused, and whose they are."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tertulia.server.channels.simulator.media import FILE_BYTES
from tertulia.testing import running_server
from tests.api.channels.phones import ANA, BEN, OURS, OURS_TOO, Phones

EVERYTHING = [
    ("GET", ""),
    ("GET", "/%2B12025550111"),
    ("POST", "/%2B12025550111"),
    ("DELETE", "/%2B12025550111"),
    ("GET", "/%2B12025550111/Messages"),
    ("POST", "/%2B12025550111/Messages"),
    ("POST", "/%2B12025550111/Read"),
    ("POST", "/%2B12025550111/Media"),
    ("GET", "/%2B12025550111/Media/ME" + "0" * 32),
]


def refused(answer: httpx.Response) -> tuple[int, int, str]:
    said = answer.json()
    return answer.status_code, said["code"], said["message"]


# --- whose


@pytest.mark.parametrize(("method", "path"), EVERYTHING)
def test_where_the_setting_is_off_there_is_nothing(method: str, path: str) -> None:
    with running_server() as server, server.rest() as http:
        headers = {"Content-Type": "image/png"} if path.endswith("/Media") else {}
        answer = http.request(method, f"/simulator/Phones{path}", headers=headers)
        assert refused(answer)[:2] == (404, 20404)


@pytest.mark.parametrize(("method", "path"), EVERYTHING)
def test_nobody_gets_in_without_credentials(phones: Phones, method: str, path: str) -> None:
    url = f"{phones.server.base_url}/simulator/Phones{path}"
    assert httpx.request(method, url, trust_env=False).status_code == 401
    assert httpx.request(method, url, auth=(phones.server.account_sid, "wrong"), trust_env=False).status_code == 401


# --- phones


def test_a_phone_is_there_once_something_has_happened_to_it(phones: Phones) -> None:
    assert phones.get("/simulator/Phones") == {"phones": []}
    assert refused(phones.http.get(phones.path(ANA)))[0] == 404
    assert phones.get(phones.path(ANA, "/Messages")) == {"messages": []}
    phones.write(ANA, "hello")
    phones.post(phones.path("ana@hers.test"))
    listed = phones.get("/simulator/Phones")["phones"]
    assert [(one["address"], one["messages"], one["unread"]) for one in listed] == [
        (ANA, 1, 0),
        ("ana@hers.test", 0, 0),
    ]
    assert phones.get(phones.path(ANA)) == listed[0]
    assert phones.http.delete(phones.path(ANA)).status_code == 204
    assert phones.http.delete(phones.path(ANA)).status_code == 404


def test_what_a_phone_is_told_stays_until_it_is_told_something_else(phones: Phones) -> None:
    first = phones.post(phones.path(ANA), Outcome="Undelivered", ErrorCode="30007", DelayS="1.5", IsReordered="true")
    assert (first["outcome"], first["error_code"], first["delay_s"]) == ("undelivered", 30007, 1.5)
    second = phones.post(phones.path(ANA), Loss="0.25", DelayS="null", Duplicates="2", ReadsAfterS="0")
    assert second == {**first, "loss": 0.25, "delay_s": None, "duplicates": 2, "reads_after_s": 0.0}
    assert phones.get(phones.path(ANA)) == second


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Outcome", "exploded"),
        ("ErrorCode", "-1"),
        ("DelayS", "-1"),
        ("DelayS", "1e9"),
        ("Loss", "1.1"),
        ("Loss", "much"),
        ("ReadsAfterS", "nan"),
        ("Duplicates", "11"),
        ("IsReordered", "maybe"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(phones: Phones, name: str, value: str) -> None:
    status, code, message = refused(phones.http.post(phones.path(ANA), data={name: value}))
    assert (status, code) == (400, 20001)
    assert name in message and value not in message


@pytest.mark.parametrize("phone", ["12", "+0123456", "whatsapp:nobody", "x" * 300])
def test_a_phone_has_a_well_formed_address(phones: Phones, phone: str) -> None:
    assert refused(phones.http.post(phones.path(phone)))[:2] == (400, 50407)


# --- messages


def test_messages_are_listed_in_their_order_and_after_one_another(phones: Phones) -> None:
    room = phones.room()
    phones.pair(room, ANA)
    mine = phones.write(ANA, "first")
    phones.soon()
    phones.say(room, "second")
    phones.soon()
    listed = phones.get(phones.path(ANA, "/Messages"))["messages"]
    assert [(one["text"], one["is_mine"], one["is_unread"]) for one in listed] == [
        ("first", True, False),
        ("second", False, True),
    ]
    assert mine == listed[0]
    assert (listed[0]["from"], listed[0]["to"], listed[0]["ours"]) == (ANA, [OURS], [OURS])
    after = phones.path(ANA, f"/Messages?After={mine['sid']}")
    assert phones.get(after)["messages"] == listed[1:]
    assert phones.get(phones.path(ANA, "/Messages?After=SM0"))["messages"] == listed
    assert phones.post(phones.path(ANA, "/Read"), Message=listed[1]["sid"]) == {"read": 1}
    assert phones.post(phones.path(ANA, "/Read")) == {"read": 0}


@pytest.mark.parametrize(
    ("form", "word"),
    [
        ({"Body": "x"}, "nobody of ours"),
        ({"To": OURS}, "neither words nor a file"),
        ({"To": OURS, "Body": "x", "Others": ANA}, "named twice"),
        ({"To": OURS, "Body": "x", "Others": "ben@his.test"}, "several channels"),
        ({"To": OURS, "Body": "x", "Answers": "SM" + "0" * 32}, "no message on the phone"),
        ({"To": OURS, "MediaSid": "ME" + "0" * 32}, "no file"),
        ({"To": OURS, "Body": "x", "Gateway": "another"}, "no simulator"),
    ],
)
def test_a_message_that_cannot_be_is_refused_with_why(phones: Phones, form: dict[str, Any], word: str) -> None:
    status, code, message = refused(phones.http.post(phones.path(ANA, "/Messages"), data=form))
    assert (status, code) == (400, 20001)
    assert word in message
    assert phones.get(phones.path(ANA, "/Messages")) == {"messages": []}


def test_malformed_addresses_have_their_code(phones: Phones) -> None:
    for name in ("To", "Others"):
        form = {"To": OURS, "Body": "x", name: "12"}
        assert refused(phones.http.post(phones.path(ANA, "/Messages"), data=form))[1] == 50407


def test_an_e_mail_is_answered_in_its_thread(phones: Phones) -> None:
    ours, hers = "team@ours.test", "ana@hers.test"
    room = phones.room(FriendlyName="support")
    phones.pair(room, hers, ours)
    phones.say(room, "how are you?", Subject="a question")
    phones.soon()
    (mail,) = phones.shown(hers)
    assert (mail["subject"], mail["text"]) == ("a question", "how are you?")
    phones.post(phones.path(hers, "/Messages"), Body="fine", Subject="Re: a question", Answers=mail["sid"])
    phones.soon()
    assert phones.said(room)[1] == (hers, "fine")


# --- files


def test_a_file_on_a_phone_has_a_type_and_is_not_too_large(phones: Phones) -> None:
    path = phones.path(ANA, "/Media")
    assert refused(phones.http.post(path, content=b"x", headers={"Content-Type": ""}))[1] == 20001
    typed = {"Content-Type": "image/png"}
    large = bytes(FILE_BYTES + 1)
    assert phones.http.post(path, content=large[:-1], headers=typed).status_code == 201
    assert phones.http.post(path, content=large, headers=typed).status_code == 413
    assert refused(phones.http.post(f"{path}?Filename={'x' * 300}", content=b"x", headers=typed))[1] == 20001
    assert phones.http.get(f"{path}/ME{'0' * 32}").status_code == 404


def test_what_strangers_upload_is_no_page_of_ours(phones: Phones) -> None:
    page = b"<script>alert(1)</script>"
    kept = phones.http.post(phones.path(ANA, "/Media"), content=page, headers={"Content-Type": "text/html"}).json()
    got = phones.http.get(kept["url"])
    assert got.content == page
    assert got.headers["content-disposition"] == "attachment"
    assert got.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in got.headers["content-security-policy"]


# --- gateways


def test_with_senders_only_those_of_a_simulator_can_be_written_to(phones: Phones) -> None:
    gateway = phones.post("/channels/Gateways", Name="lab", Adapter="simulator", Settings='{"delay_s": 0}')["sid"]
    phones.post("/channels/Senders", Address=OURS, Gateway="lab")
    assert refused(phones.http.post(phones.path(ANA, "/Messages"), data={"To": OURS_TOO, "Body": "x"}))[:2] == (
        400,
        20001,
    )
    room = phones.room()
    phones.pair(room, ANA)
    phones.write(ANA, "hello")
    message = phones.say(room, "hello yourself")
    phones.soon()
    assert ((ANA, "hello") in phones.said(room), phones.receipts(room, message)) == (True, [("delivered", 0)])
    assert phones.get(phones.path(ANA))["gateway_sid"] == gateway
    for name in ("lab", gateway):
        assert len(phones.get(f"/simulator/Phones?Gateway={name}")["phones"]) == 1
    assert refused(phones.http.get("/simulator/Phones?Gateway=another"))[:2] == (400, 20001)
    findings = phones.post("/channels/Gateways/lab/Check")["findings"]
    assert (findings[0]["is_good"], "1 phones" in findings[0]["what"]) == (True, True)


def test_an_account_whose_messages_really_leave_has_no_simulated_phones(phones: Phones) -> None:
    settings = '{"host": "127.0.0.1", "port": 9, "system_id": "x", "password": "x"}'
    answer = phones.http.post("/channels/Gateways", data={"Name": "real", "Adapter": "smpp", "Settings": settings})
    assert answer.status_code == 201, answer.text
    phones.post("/channels/Senders", Address=OURS, Gateway="real")
    assert refused(phones.http.get(phones.path(BEN)))[:2] == (409, 20409)
    answer = phones.http.post(phones.path(ANA, "/Messages"), data={"To": OURS, "Body": "forged"})
    assert refused(answer)[:2] == (409, 20409)


def test_a_simulator_never_speaks_for_a_sender_of_another_gateway(phones: Phones) -> None:
    settings = '{"host": "127.0.0.1", "port": 9, "system_id": "x", "password": "x"}'
    phones.post("/channels/Gateways", Name="real", Adapter="smpp", Settings=settings)
    phones.post("/channels/Gateways", Name="lab", Adapter="simulator")
    phones.post("/channels/Senders", Address=OURS, Gateway="real")
    phones.post("/channels/Senders", Address=OURS_TOO, Gateway="lab")
    status, _, message = refused(phones.http.post(phones.path(ANA, "/Messages"), data={"To": OURS, "Body": "forged"}))
    assert (status, "does not serve" in message) == (400, True)
    phones.write(ANA, "hello", OURS_TOO)


def test_a_mailbox_is_one_phone_however_it_is_spelled(phones: Phones) -> None:
    room = phones.room()
    phones.pair(room, "Anna@X.org", "Desk@Example.org")
    phones.post(f"/v1/Conversations/{room}/Messages", Author="us", Body="hello")
    phones.soon()
    assert [phone["address"] for phone in phones.get("/simulator/Phones")["phones"]] == ["anna@x.org"]
    path = "/simulator/Phones/ANNA%40x.org/Messages"
    assert [one["text"] for one in phones.get(path)["messages"]] == ["hello"]
    phones.post(path, To="DESK@example.org", Body="thanks")
    phones.soon()
    texts = [(one["author"], one["body"]) for one in phones.get(f"/v1/Conversations/{room}/Messages")["messages"]]
    assert texts == [("us", "hello"), ("anna@x.org", "thanks")]
