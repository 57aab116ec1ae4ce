"""Callbacks that their provider has not sent are refused; true ones that somebody sends again change nothing."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from aiohttp import ClientSession
from twilio.request_validator import RequestValidator

from tests.peers.graph import NUMBER, NUMBER_ID, PERSON, GraphPeer, changed, message, update
from tests.peers.twilio_messages import ACCOUNT, TOKEN

from .carrying import TAKEN, TWILIO, Caller, carrying, message_of, report_of

pytestmark = pytest.mark.faults

FORGED = 403
UNKNOWN = 404
WORDS = "transfer everything to me"


async def test_a_flood_of_forged_callbacks_is_refused_and_keeps_no_true_one_waiting(tmp_path: Path) -> None:
    async with carrying(tmp_path) as world, Caller(world, connections=50) as caller:
        await world.serve("twilio", TWILIO)
        await world.apart(1)
        true = message_of("SM1", 0, "true")
        signature = caller.sign(true)
        elsewhere = RequestValidator(TOKEN).compute_signature(f"{caller.url}/other", true)
        stolen = RequestValidator("another-token").compute_signature(caller.url, true)
        foreign = message_of("SM2", 0, WORDS) | {"AccountSid": "AC" + "c" * 32}
        forgeries = [
            caller.call(true, signature=""),
            caller.call(true, signature="AAAA"),
            caller.call(true, signature=stolen),
            caller.call(true, signature=elsewhere),
            caller.call(true, signature=signature.lower()),
            caller.call(true | {"Body": WORDS}, signature=signature),
            caller.call(true | {"Extra": "field"}, signature=signature),
            caller.call({**true, "From": "+15559999999"}, signature=signature),
            caller.call(true, signature=signature, url=f"{caller.url}?Body={WORDS}"),
            caller.call(true, signature=signature, url=f"{caller.url}/other"),
            caller.call(foreign),
        ]
        assert set(await asyncio.gather(*forgeries)) == {FORGED}
        flood = [caller.call(message_of(f"SM{n}", 0, WORDS), signature=signature) for n in range(400)]
        answers = await asyncio.gather(*flood[:200], caller.call(true), *flood[200:])
        assert answers.pop(200) == TAKEN
        assert set(answers) <= {FORGED, 503}
        await world.settled()
        assert await world.said() == [["true"]]
        assert world.count("arrivals") == 1
        written = world.server.log.read_text()
        for secret in (WORDS, "true", TOKEN, signature, stolen, "+1555"):
            assert secret not in written


async def test_a_signature_is_good_for_its_own_gateway_alone(tmp_path: Path) -> None:
    async with carrying(tmp_path) as world, Caller(world) as caller:
        await world.serve("twilio", TWILIO)
        await world.apart(1)
        form = {"Name": "second", "Adapter": "twilio"}
        settings = {"account_sid": ACCOUNT, "auth_token": "the-token-of-the-second"}
        second = (await world.post("/channels/Gateways", Settings=json.dumps(settings), **form))["sid"]
        true = message_of("SM1", 0, "true")
        there = f"{world.server.url}/callbacks/{second}"
        assert await caller.call(true, url=there) == FORGED
        known_token = RequestValidator(TOKEN).compute_signature(there, true)
        assert await caller.call(true, url=there, signature=known_token) == FORGED
        nobody = f"{world.server.url}/callbacks/GW{'0' * 32}"
        assert await caller.call(true, url=nobody, signature=known_token) == UNKNOWN
        assert world.count("arrivals") == 0


async def test_a_true_callback_that_is_sent_again_changes_nothing_now_and_after_a_crash(tmp_path: Path) -> None:
    async with carrying(tmp_path, jobs_lease_s=2) as world, Caller(world, connections=50) as caller:
        await world.serve("twilio", TWILIO)
        await world.apart(1)
        true = message_of("SM1", 0, "once")
        assert set(await asyncio.gather(*(caller.call(true) for _ in range(50)))) == {TAKEN}
        await world.server.kill()
        await world.server.start()
        assert set(await asyncio.gather(*(caller.call(true) for _ in range(50)))) == {TAKEN}
        await world.settled()
        assert await world.said() == [["once"]]
        (room,) = world.rooms
        async with world.server.rest() as rest:
            (there,) = (await rest.get(f"/Conversations/{room}/Messages")).json()["messages"]
            removed = await rest.delete(f"/Conversations/{room}/Messages/{there['sid']}")
            assert removed.status_code == 204
        assert await caller.call(true) == TAKEN
        await world.settled()
        assert await world.said() == [[]], "what was removed does not come back"
        assert await caller.call(report_of("SM1", "failed", 30007)) == TAKEN


async def test_meta_signs_each_byte(tmp_path: Path) -> None:
    async with GraphPeer() as meta, carrying(tmp_path) as world, ClientSession() as session:
        settings = {
            "access_token": meta.token,
            "app_secret": meta.app_secret,
            "verify_token": meta.verify_token,
            "base_url": meta.url,
            "phone_number_id": NUMBER_ID,
        }
        form = {"Name": "meta", "Adapter": "whatsapp", "Settings": json.dumps(settings)}
        made = await world.post("/channels/Gateways", **form)
        await world.post("/channels/Senders", Address=f"whatsapp:+{NUMBER}", Gateway="meta")
        room = (await world.post("/v1/Conversations"))["sid"]
        world.rooms = [room]
        binding = {
            "MessagingBinding.Address": f"whatsapp:+{PERSON}",
            "MessagingBinding.ProxyAddress": f"whatsapp:+{NUMBER}",
        }
        await world.post(f"/v1/Conversations/{room}/Participants", **binding)
        said = message("text", {"body": "true"}, at_s=1_800_000_000, name="wamid.1")
        body = json.dumps(update(changed(messages=[said]))).encode()
        signature = meta.signature(body)

        async def call(content: bytes, proof: str | None) -> int:
            headers = {"Content-Type": "application/json"} | ({"X-Hub-Signature-256": proof} if proof else {})
            async with session.post(made["callback_url"], data=content, headers=headers) as answer:
                return answer.status

        digest = signature.partition("=")[2]
        for content, proof in (
            (body, None),
            (body, ""),
            (body, digest),
            (body, f"sha1={digest}"),
            (body, f"sha256={'0' * 64}"),
            (body, f"sha256={digest[:-1]}"),
            (body + b" ", signature),
            (body.replace(b"true", WORDS.encode()), signature),
            (b"", signature),
        ):
            assert await call(content, proof) == FORGED, proof
        assert world.count("arrivals") == 0
        answers = await asyncio.gather(*(call(body, signature) for _ in range(20)))
        assert set(answers) == {TAKEN}
        await world.settled()
        assert await world.said() == [["true"]]
