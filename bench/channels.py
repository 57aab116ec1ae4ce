"""People on channels: what goes out to them by SMPP, and what they write, by SMPP and by HTTP callbacks.

The SMSC is a program on this machine, on npm's smpp. It answers each message a few milliseconds after it has come, so
that only a window of several keeps it busy.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import time
from collections import Counter
from collections.abc import Awaitable, Sequence
from typing import Any
from urllib.parse import urlencode

from tertulia.wire import signatures
from tests.peers.smpp import PACKAGE, PASSWORD, SYSTEM_ID, SmppPeer

from .fanout import TEXT
from .measure import Facts, Run
from .rest import Keeping, RequestFailed, Rest, together
from .server import Server, running

PEOPLE = 100
MEMBERS = 10
"""People in a room to whom messages go; in those that they write to, each is alone."""
MESSAGES_OUT = 6_000
ANSWER_MS = 5
"""How long the SMSC takes to answer."""
WARM_UP = 5
"""Messages to everybody before the measurement."""
POSTING_AT_ONCE = 4

MESSAGES_IN = 9_000
UNDER_WAY = 200
"""Messages that the SMSC brings together, and it brings the next ones when these are answered."""
CALLERS = 32
"""Connections of the provider that calls back, each with one request under way."""
LOOK_S = 0.25
"""Every look costs the server some milliseconds."""
WITHIN_S = 45.0

OURS = "+15550001111"
UPSTREAM = "AC" + "a" * 32
UPSTREAM_TOKEN = "upstream0keeps0no0secrets"
SETTINGS = {"TERTULIA_OUTGOING_ALLOW_PRIVATE": "true"}


async def out(run: Run, *, receipts: bool) -> Facts:
    """Messages of the system in rooms of people by SMS; with receipts, each is also reported as delivered.

    What is measured is all the server does from the first message to the last that it has recorded: it takes the
    messages, promises each person his own, submits it, and records what the SMSC says.
    """
    count = int(run.seconds(MESSAGES_OUT)) // PEOPLE
    receipt = {"receipt": {"stat": "DELIVRD"}} if receipts else {}
    async with _smsc() as smsc, running(run.options, SETTINGS) as server:
        await smsc.answer_with({"delay_ms": ANSWER_MS, **receipt})
        rest = await Rest.connect(server)
        await _serve_by_smpp(rest, smsc)
        rooms = await together([rest.conversation(f"room {number}") for number in range(PEOPLE // MEMBERS)])
        await together([_join(rest, rooms[person // MEMBERS], person) for person in range(PEOPLE)], at_once=8)
        await _post(rest, rooms, WARM_UP)
        await _done(rest, "SendOnChannel", WARM_UP * PEOPLE)
        smsc.submitted.clear()
        before_s, before_cpu_s, own_s = time.perf_counter(), server.cpu_s(), time.process_time()
        await _post(rest, rooms, count)
        posted_s = time.perf_counter() - before_s
        await _done(rest, "SendOnChannel", (WARM_UP + count) * PEOPLE)
        wall_s, cpu_s = time.perf_counter() - before_s, server.cpu_s() - before_cpu_s
        own_s = time.process_time() - own_s
        rest.close()
    found = Counter((one["destination_addr"], one["text"]) for one in smsc.submitted)
    return {
        "people": PEOPLE,
        "messages": count,
        "submits": len(found),
        "lost": count * PEOPLE - len(found),
        "twice": found.total() - len(found),
        "posting_s": posted_s,
        "wall_s": wall_s,
        "server_cpu_s": cpu_s,
        "generator_cpu_s": own_s,
        "submits_per_s": len(found) / wall_s,
        "submits_per_cpu_s": len(found) / cpu_s,
    }


async def in_by_http(run: Run) -> Facts:
    """People write to conversations that have them; each message is a signed request of its own."""
    count = int(run.seconds(MESSAGES_IN))
    async with running(run.options, SETTINGS) as server:
        rest = await Rest.connect(server)
        gateway = await _gateway(rest, "twilio", {"account_sid": UPSTREAM, "auth_token": UPSTREAM_TOKEN})
        rooms = await _rooms(rest)
        callers = await Rest.connect(server, CALLERS)
        await _call(callers.connections, [_callback(server, gateway, -number) for number in range(PEOPLE, 0, -1)])
        await _done(rest, "TakeIn", PEOPLE)
        requests = [_callback(server, gateway, number) for number in range(count)]
        facts = await _measured(server, rest, count, _call(callers.connections, requests))
        facts |= await _found(rest, rooms, count)
        callers.close()
        rest.close()
        return facts


async def in_by_smpp(run: Run) -> Facts:
    """The same, brought by an SMSC over one connection."""
    count = int(run.seconds(MESSAGES_IN))
    async with _smsc() as smsc, running(run.options, SETTINGS) as server:
        rest = await Rest.connect(server)
        await _serve_by_smpp(rest, smsc)
        rooms = await _rooms(rest)
        await smsc.until(lambda: len(smsc.bound) > 0)
        await _bring(smsc, [_sms(-number) for number in range(PEOPLE, 0, -1)])
        await _done(rest, "TakeIn", PEOPLE)
        messages = [_sms(number) for number in range(count)]
        facts = await _measured(server, rest, count, _bring(smsc, messages))
        facts |= await _found(rest, rooms, count)
        rest.close()
        return facts


async def _measured(server: Server, rest: Rest, count: int, bringing: Awaitable[None]) -> Facts:
    """Until all are kept, which is when their provider is answered, and until all are in their conversations."""
    before_kib = server.rss_kib()
    before_s, before_cpu_s, own_s = time.perf_counter(), server.cpu_s(), time.process_time()
    await bringing
    kept_s, kept_cpu_s = time.perf_counter() - before_s, server.cpu_s() - before_cpu_s
    own_s = time.process_time() - own_s
    await _done(rest, "TakeIn", PEOPLE + count)
    wall_s, cpu_s = time.perf_counter() - before_s, server.cpu_s() - before_cpu_s
    return {
        "people": PEOPLE,
        "messages": count,
        "kept_s": kept_s,
        "wall_s": wall_s,
        "server_cpu_s": cpu_s,
        "generator_cpu_s": own_s,
        "growth_kib": server.rss_kib() - before_kib,
        "kept_per_s": count / kept_s,
        "kept_per_cpu_s": count / kept_cpu_s,
        "taken_in_per_s": count / wall_s,
        "taken_in_per_cpu_s": count / cpu_s,
    }


# --- the account's side


async def _serve_by_smpp(rest: Rest, smsc: SmppPeer) -> None:
    known = {"host": smsc.host, "port": smsc.port, "system_id": SYSTEM_ID, "password": PASSWORD}
    await _gateway(rest, "smpp", known)


async def _gateway(rest: Rest, adapter: str, settings: dict[str, Any]) -> str:
    """The SID of a gateway that serves our number, which may send as fast as it can."""
    form = {"Name": "carrier", "Adapter": adapter, "Settings": json.dumps(settings)}
    sid = str((await rest.call("POST", "/channels/Gateways", form))["sid"])
    await rest.call("POST", "/channels/Senders", {"Address": OURS, "Gateway": sid, "PerMinute": "1000000"})
    return sid


async def _rooms(rest: Rest) -> list[str]:
    """The SIDs of conversations, one for each person."""
    sids = await together([rest.conversation(f"with {person}") for person in range(PEOPLE)])
    await together([_join(rest, sid, person) for person, sid in enumerate(sids)])
    return [str(sid) for sid in sids]


async def _join(rest: Rest, sid: str, person: int) -> None:
    form = {"MessagingBinding.Address": _number(person), "MessagingBinding.ProxyAddress": OURS}
    await rest.call("POST", f"/v1/Conversations/{sid}/Participants", form)


async def _post(rest: Rest, rooms: Sequence[str], messages: int) -> None:
    """So many to each room, in turn."""
    posts = [
        rest.call("POST", f"/v1/Conversations/{sid}/Messages", {"Body": f"{number} {TEXT}"})
        for number in range(messages)
        for sid in rooms
    ]
    await together(posts, at_once=POSTING_AT_ONCE)


async def _done(rest: Rest, kind: str, count: int) -> None:
    """Until so many jobs of the kind are done."""
    line = re.compile(rf'^tertulia_jobs_total\{{kind="{kind}",outcome="done"\}} ([0-9.e+]+)$', re.MULTILINE)
    async with asyncio.timeout(WITHIN_S):
        while True:
            answer = await rest.connections[0].ask(rest.request("GET", "/metrics"))
            found = line.search(answer.body.decode())
            if found is not None and float(found[1]) >= count:
                return
            await asyncio.sleep(LOOK_S)


async def _found(rest: Rest, rooms: Sequence[str], count: int) -> Facts:
    """What the conversations have of it in the end."""
    numbers = [await _numbers(rest, sid) for sid in rooms]
    known = Counter(number for each in numbers for number in each)
    return {
        "lost": count - len(known),
        "twice": known.total() - len(known),
        "out_of_order": sum(each != sorted(each) for each in numbers),
    }


async def _numbers(rest: Rest, sid: str) -> list[int]:
    """The numbers that the texts of a conversation begin with, in its order; not those of the warm-up."""
    numbers: list[int] = []
    path: str | None = f"/v1/Conversations/{sid}/Messages?PageSize=100"
    while path:
        page = await rest.call("GET", path)
        numbers += [int(message["body"].partition(" ")[0]) for message in page["messages"]]
        url = page["meta"]["next_page_url"]
        path = url and url[url.index("/v1/") :]
    return [number for number in numbers if number >= 0]


# --- the provider's side


def _smsc() -> SmppPeer:
    if shutil.which("node") is None or not PACKAGE.exists():
        raise RuntimeError("Node or smpp is missing, which play the SMSC; `make sdk-parts` brings them where it can")
    return SmppPeer()


def _number(person: int) -> str:
    return f"+1555{person % PEOPLE:07d}"


def _sms(number: int) -> dict[str, Any]:
    return {
        "source_addr": _number(number)[1:],
        "source_addr_ton": 1,
        "destination_addr": OURS[1:],
        "dest_addr_ton": 1,
        "short_message": f"{number} {TEXT}",
    }


async def _bring(smsc: SmppPeer, messages: Sequence[dict[str, Any]]) -> None:
    """Until all are answered; two loads are under way at a time."""
    before: list[int] = []
    for start in range(0, len(messages), UNDER_WAY):
        load = await smsc.bring(*messages[start : start + UNDER_WAY])
        await _kept(smsc, before)
        before = load
    await _kept(smsc, before)


async def _kept(smsc: SmppPeer, numbers: list[int]) -> None:
    refused = [status for status in await smsc.answers_to(numbers) if status]
    if refused:
        raise RequestFailed(f"{len(refused)} messages were not taken, the first with status {refused[0]}")


def _callback(server: Server, gateway: str, number: int) -> bytes:
    """A request as Twilio's, from head to end."""
    form = {
        "AccountSid": UPSTREAM,
        "MessageSid": f"SM{number % (1 << 128):032x}",
        "From": _number(number),
        "To": OURS,
        "Body": f"{number} {TEXT}",
        "NumMedia": "0",
    }
    url = f"{server.url}/callbacks/{gateway}"
    body = urlencode(form).encode()
    return (
        f"POST /callbacks/{gateway} HTTP/1.1\r\nHost: {url.split('/')[2]}\r\n"
        f"X-Twilio-Signature: {signatures.sign(url, form.items(), UPSTREAM_TOKEN)}\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


async def _call(connections: Sequence[Keeping], requests: Sequence[bytes]) -> None:
    """Until all are answered. Who writes again has his first message answered before: they are in order."""
    lanes: list[list[bytes]] = [[] for _ in connections]
    for number, request in enumerate(requests):
        lanes[number % PEOPLE % len(lanes)].append(request)
    async with asyncio.timeout(WITHIN_S):
        await asyncio.gather(*(_call_one(*each) for each in zip(connections, lanes, strict=True)))


async def _call_one(connection: Keeping, requests: Sequence[bytes]) -> None:
    for request in requests:
        answer = await connection.ask(request)
        if answer.status != 200:
            raise RequestFailed(f"a callback was answered with {answer.status}")
