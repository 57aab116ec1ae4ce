"""Meta's Graph API for WhatsApp and Messenger, as far as a sender and a receiver can tell it from the real one.

On loopback. It takes messages as Meta documents them and refuses others, keeps files that are fetched with the token
and by URLs that live five minutes, and posts signed updates, also twice and out of order. ``pywa`` sends to it and
reads what it posts as it does with Meta (``tests/contract/channels/test_graph_double.py``).
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

import aiohttp
from aiohttp import web

JSON = dict[str, Any]

VERSION = "v25.0"
NUMBER_ID = "106540352242922"
NUMBER = "15550100001"
"""The digits of ours."""
ACCOUNT_ID = "102290129340398"
PAGE_ID = "700100200300"
PERSON = "15550177123"
PSID = "6123456789012345"
URL_LIFE_S = 300
LARGEST_TEXT = 4096
MESSENGER_TEXT = 2000
IMAGE_BYTES = 5 << 20

_DIGITS = re.compile(r"\+?[1-9][0-9]{4,14}", re.ASCII)
FILES = ("image", "video", "audio", "document", "sticker")


class Reply(NamedTuple):
    """An answer that a script wants given."""

    status: int
    body: str
    headers: Mapping[str, str] = {}


STALLED = Reply(0, "")
"""No answer at all."""
HUNG_UP = Reply(-1, "")
"""The connection ends instead of an answer."""
TAKEN = Reply(200, "")
"""The usual one."""


def error(
    code: int, *, subcode: int | None = None, status: int = 400, details: str = "", headers: Mapping[str, str] = {}
) -> Reply:
    """An error as Meta writes it. Its words quote what was sent, as Meta's do."""
    told: JSON = {"message": f"(#{code}) {details or 'Something is wrong'}", "type": "OAuthException", "code": code}
    if subcode is not None:
        told["error_subcode"] = subcode
    if details:
        told["error_data"] = {"messaging_product": "whatsapp", "details": details}
    return Reply(status, json.dumps({"error": {**told, "fbtrace_id": secrets.token_hex(6)}}), headers)


BAD_TOKEN = error(190, status=401, details="The access token could not be decrypted")
NO_SUCH_OBJECT = error(100, subcode=33, details="Object does not exist, or you lack permissions")
BAD_PROOF = error(100, details="Invalid appsecret_proof provided in the API argument")
THROTTLED = error(130429, status=429)
PAIR_THROTTLED = error(131056)
NO_WINDOW = error(131047)
UNDELIVERABLE = error(131026)
LOCKED = error(131031, status=403)
OUTSIDE = error(10, subcode=2018278)


class Sent(NamedTuple):
    """A message that was asked for and taken."""

    node: str
    body: JSON
    name: str
    """What it is called from then on."""


class File(NamedTuple):
    content: bytes
    mime_type: str
    filename: str | None = None


class GraphPeer:
    """``async with GraphPeer() as peer``: listens on a free port until the end of the block."""

    def __init__(self, *, now: Callable[[], float] = time.time) -> None:
        self.token = f"EAA{secrets.token_urlsafe(24)}"
        self.app_secret = secrets.token_hex(16)
        self.verify_token = secrets.token_urlsafe(12)
        self.url = ""
        self.sent: list[Sent] = []
        self.marked: list[str] = []
        """Messages that were marked as read."""
        self.files: dict[str, File] = {}
        """Those with us, by id."""
        self.public: set[str] = set()
        """Files whose URLs are good by themselves, as those that come by Messenger."""
        self.fetched: list[tuple[str, str | None]] = []
        """Every request for a file's bytes: which, and with what authorization."""
        self.numbers = {NUMBER_ID}
        """Ids of the numbers that the token may send for."""
        self.pages = {PAGE_ID}
        self.subscribed = True
        self.demands_proof = False
        self.templates: dict[str, int] = {}
        """Those that are approved, and how many parameters their body has; of all others none is known."""
        self._now = now
        self._urls: dict[str, tuple[str, float]] = {}
        self._scripts: list[Reply] = []
        self._file_scripts: list[Reply] = []
        self._came = asyncio.Condition()
        self._ended = asyncio.Event()
        application = web.Application(client_max_size=110 << 20)
        application.router.add_get("/file/{name}", self._give_file)
        application.router.add_post("/{version}/{node}/messages", self._take)
        application.router.add_post("/{version}/{node}/media", self._take_file)
        application.router.add_get("/{version}/{node}/subscribed_apps", self._give_subscribed)
        application.router.add_get("/{version}/{node}", self._give_object)
        self.runner = web.AppRunner(application, shutdown_timeout=1.0)

    async def __aenter__(self) -> Self:
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self.runner.addresses[0][1]}"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        await self.runner.cleanup()

    # What a test says.

    @property
    def bodies(self) -> list[JSON]:
        return [sent.body for sent in self.sent]

    @property
    def proof(self) -> str:
        return hmac.new(self.app_secret.encode(), self.token.encode(), hashlib.sha256).hexdigest()

    def answer_with(self, *replies: Reply) -> None:
        """What the next messages are answered with; then they are taken again."""
        self._scripts = list(replies)

    def answer_files_with(self, *replies: Reply) -> None:
        """The same for requests for the bytes of files."""
        self._file_scripts = list(replies)

    def keep_file(
        self, content: bytes, mime_type: str = "image/jpeg", filename: str | None = None, *, is_public: bool = False
    ) -> str:
        """A file that a person has sent: its id."""
        name = str(secrets.randbelow(10**15))
        self.files[name] = File(content, mime_type, filename)
        if is_public:
            self.public.add(name)
        return name

    def link(self, name: str) -> str:
        """Where a file is for the next five minutes."""
        word = secrets.token_urlsafe(16)
        self._urls[word] = (name, self._now() + URL_LIFE_S)
        return f"{self.url}/file/{word}"

    async def has_marked(self, times: int) -> None:
        """Until so many messages were marked as read."""
        async with self._came:
            await self._came.wait_for(lambda: len(self.marked) >= times)

    # What it tells.

    def signature(self, body: bytes) -> str:
        return f"sha256={hmac.new(self.app_secret.encode(), body, hashlib.sha256).hexdigest()}"

    async def tell(self, url: str, *updates: JSON, times: int = 1, backwards: bool = False) -> list[int]:
        """Post each update, signed, so many times, the last ones first where that is wanted: what it was answered."""
        bodies = [json.dumps(update).encode() for update in updates] * times
        answered: list[int] = []
        async with aiohttp.ClientSession() as session:
            for body in reversed(bodies) if backwards else bodies:
                headers = {"content-type": "application/json", "X-Hub-Signature-256": self.signature(body)}
                async with session.post(url, data=body, headers=headers) as answer:
                    answered.append(answer.status)
        return answered

    async def verify(self, url: str, verify_token: str | None = None) -> bool:
        """Ask a URL whether it is ours, as Meta does before it posts there."""
        word = secrets.token_hex(8)
        asked = {
            "hub.mode": "subscribe",
            "hub.verify_token": self.verify_token if verify_token is None else verify_token,
            "hub.challenge": word,
        }
        async with aiohttp.ClientSession() as session, session.get(url, params=asked) as answer:
            return answer.status == 200 and await answer.text() == word

    # What callers get.

    async def _take(self, request: web.Request) -> web.StreamResponse:
        if (refusal := self._refusal(request)) is not None:
            return await self._said(request, refusal)
        node = request.match_info["node"]
        try:
            body = json.loads(await request.read())
            assert isinstance(body, dict)
        except (ValueError, AssertionError):
            return await self._said(request, error(100, details="The parameter messaging_product is required."))
        if body.get("status") == "read" and node in self.numbers:
            self.marked.append(str(body.get("message_id")))
            return await self._said(request, Reply(200, json.dumps({"success": True})))
        judge = _messenger_refusal if node in self.pages else self._whatsapp_refusal
        if (wrong := judge(body)) is not None:
            return await self._said(request, wrong)
        scripted = self._scripts.pop(0) if self._scripts else TAKEN
        if scripted is not TAKEN:
            return await self._said(request, scripted)
        if node in self.pages:
            name = f"m_{secrets.token_urlsafe(20)}"
            answer: JSON = {"recipient_id": body["recipient"]["id"], "message_id": name}
        else:
            name = f"wamid.{secrets.token_urlsafe(24)}"
            person = str(body["to"]).lstrip("+")
            answer = {
                "messaging_product": "whatsapp",
                "contacts": [{"input": body["to"], "wa_id": person, "user_id": user_id(person)}],
                "messages": [{"id": name}],
            }
        self.sent.append(Sent(node, body, name))
        return await self._said(request, Reply(200, json.dumps(answer)))

    async def _take_file(self, request: web.Request) -> web.StreamResponse:
        if (refusal := self._refusal(request)) is not None:
            return await self._said(request, refusal)
        form = await request.post()
        file = form.get("file")
        if form.get("messaging_product") != "whatsapp" or not isinstance(file, web.FileField):
            return await self._said(request, error(100, details="The parameter file is required."))
        content = file.file.read()
        if form.get("type") != file.content_type:
            return await self._said(request, error(100, details="Param file must have the type that type names"))
        if file.content_type.startswith("image/") and len(content) > IMAGE_BYTES:
            return await self._said(request, error(131053, details="The file is too large"))
        name = self.keep_file(content, file.content_type, file.filename)
        return await self._said(request, Reply(200, json.dumps({"id": name})))

    async def _give_file(self, request: web.Request) -> web.StreamResponse:
        authorization = request.headers.get("Authorization")
        name, until = self._urls.get(request.match_info["name"], ("", 0.0))
        self.fetched.append((name, authorization))
        if self._file_scripts:
            return await self._said(request, self._file_scripts.pop(0))
        if until <= self._now() or name not in self.files:
            return web.Response(status=404)
        if name not in self.public and authorization != f"Bearer {self.token}":
            return web.Response(status=401)
        return web.Response(body=self.files[name].content, content_type=self.files[name].mime_type)

    async def _give_object(self, request: web.Request) -> web.StreamResponse:
        if (refusal := self._refusal(request, reads=True)) is not None:
            return await self._said(request, refusal)
        node = request.match_info["node"]
        if node in self.files:
            file = self.files[node]
            told: JSON = {
                "messaging_product": "whatsapp",
                "id": node,
                "url": self.link(node),
                "mime_type": file.mime_type,
                "sha256": hashlib.sha256(file.content).hexdigest(),
                "file_size": len(file.content),
            }
        elif node in self.numbers:
            told = {
                "id": node,
                "display_phone_number": f"+{NUMBER}",
                "verified_name": "Tavern",
                "quality_rating": "GREEN",
            }
        else:
            told = {"id": node, "name": "The tavern"}
        return await self._said(request, Reply(200, json.dumps(told)))

    async def _give_subscribed(self, request: web.Request) -> web.StreamResponse:
        if (refusal := self._refusal(request, reads=True)) is not None:
            return await self._said(request, refusal)
        fields = ["messages", "messaging_postbacks", "message_deliveries", "message_reads"]
        app: JSON = {"whatsapp_business_api_data": {"id": "1", "name": "t"}, "subscribed_fields": fields}
        return await self._said(request, Reply(200, json.dumps({"data": [app] if self.subscribed else []})))

    def _refusal(self, request: web.Request, *, reads: bool = False) -> Reply | None:
        """Whoever asks, and wherever."""
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return BAD_TOKEN
        proof = request.query.get("appsecret_proof")
        if (proof is None and self.demands_proof) or (proof is not None and proof != self.proof):
            return BAD_PROOF
        known = self.numbers | self.pages | ({ACCOUNT_ID, *self.files} if reads else set())
        is_version = re.fullmatch(r"v[0-9]+\.[0-9]+", request.match_info["version"])
        return None if is_version and request.match_info["node"] in known else NO_SUCH_OBJECT

    def _whatsapp_refusal(self, body: JSON) -> Reply | None:
        """Why WhatsApp would not take a message, whoever it is for."""
        kind = body.get("type", "text")
        content = body.get(kind)
        if body.get("messaging_product") != "whatsapp" or not isinstance(content, dict):
            return error(100, details="Invalid parameter")
        if not _DIGITS.fullmatch(str(body.get("to"))):
            return error(131009, details="Recipient is no phone number")
        if kind == "text":
            return None if 0 < len(content.get("body", "")) <= LARGEST_TEXT else error(131009, details="text.body")
        if kind in FILES:
            return self._file_refusal(kind, content)
        if kind == "interactive":
            return _interactive_refusal(content)
        if kind == "template":
            return self._template_refusal(content)
        if kind == "location":
            return None if {"latitude", "longitude"} <= content.keys() else error(131008, details="location")
        return None if kind in ("contacts", "reaction") else error(131051, details="Unsupported message type")

    def _file_refusal(self, kind: str, content: JSON) -> Reply | None:
        if ("id" in content) == ("link" in content):
            return error(131008, details="A file has an id or a link")
        if "id" in content and content["id"] not in self.files:
            return error(131053, details="Media does not exist")
        if "caption" in content and (kind in ("audio", "sticker") or not 0 < len(content["caption"]) <= 1024):
            return error(131009, details=f"{kind}.caption")
        if "filename" in content and kind != "document":
            return error(100, details=f"Unexpected key filename on {kind}")
        return None

    def _template_refusal(self, content: JSON) -> Reply | None:
        wanted = self.templates.get(str(content.get("name")))
        if wanted is None or not re.fullmatch(r"[a-z]{2,3}(_[A-Z]{2})?", str(content.get("language", {}).get("code"))):
            return error(132001, status=404, details="Template name does not exist in the translation")
        bodies = [part for part in content.get("components", ()) if part["type"] == "body"]
        given = len(bodies[0]["parameters"]) if bodies else 0
        return None if given == wanted else error(132000, details="Number of parameters does not match")

    async def _said(self, request: web.Request, reply: Reply) -> web.StreamResponse:
        async with self._came:
            self._came.notify_all()
        if reply is STALLED:
            await self._ended.wait()
        if reply is HUNG_UP:
            assert request.transport is not None, "it has just been read from"
            request.transport.abort()
        return web.Response(
            status=reply.status or 503, text=reply.body, content_type="application/json", headers=reply.headers
        )


def _interactive_refusal(content: JSON) -> Reply | None:
    """What WhatsApp shows of buttons and lists, and no more."""
    action = content.get("action", {})
    body = content.get("body", {}).get("text", "")
    if not body or len(body) > (4096 if content.get("type") == "list" else 1024):
        return error(131009, details="interactive.body")
    if len(content.get("footer", {}).get("text", "")) > 60:
        return error(131009, details="interactive.footer")
    if content.get("type") == "button":
        replies = [button["reply"] for button in action.get("buttons", ())]
        is_fit = 1 <= len(replies) <= 3 and all(
            1 <= len(one["title"]) <= 20 and len(one["id"]) <= 256 for one in replies
        )
        return (
            None if is_fit and len({one["id"] for one in replies}) == len(replies) else error(131009, details="buttons")
        )
    if content.get("type") == "list":
        rows = [row for section in action.get("sections", ()) for row in section["rows"]]
        is_fit = 1 <= len(rows) <= 10 and all(
            1 <= len(row["title"]) <= 24 and 1 <= len(row["id"]) <= 200 and len(row.get("description", "")) <= 72
            for row in rows
        )
        return None if is_fit and 1 <= len(action.get("button", "")) <= 20 else error(131009, details="rows")
    if content.get("type") == "cta_url":
        shown = action.get("parameters", {})
        is_fit = action.get("name") == "cta_url" and 1 <= len(shown.get("display_text", "")) <= 20 and shown.get("url")
        return None if is_fit else error(131009, details="cta_url")
    return error(131009, details="interactive.type")


def _messenger_refusal(body: JSON) -> Reply | None:
    """Why Messenger would not take a message, whoever it is for."""
    message = body.get("message", {})
    if not str(body.get("recipient", {}).get("id", "")).isdecimal():
        return error(100, subcode=2018001, details="No matching user found")
    if body.get("messaging_type") not in ("RESPONSE", "UPDATE", "MESSAGE_TAG"):
        return error(100, details="messaging_type")
    if (body.get("messaging_type") == "MESSAGE_TAG") != ("tag" in body):
        return error(100, details="tag")
    if ("text" in message) == ("attachment" in message):
        return error(100, details="A message is text or an attachment")
    if "text" in message:
        return None if 0 < len(message["text"]) <= MESSENGER_TEXT else error(100, details="message.text")
    attachment = message["attachment"]
    is_fit = attachment.get("type") in ("image", "audio", "video", "file") and attachment.get("payload", {}).get("url")
    return None if is_fit else error(100, subcode=2018047, details="attachment")


# What is posted to receivers.


def user_id(person: str) -> str:
    """What WhatsApp calls somebody to whom a number may not belong any more."""
    return f"US.{hashlib.sha256(person.encode()).hexdigest()[:20]}"


def changed(
    *,
    messages: Sequence[JSON] = (),
    statuses: Sequence[JSON] = (),
    person: str = PERSON,
    name: str | None = "Ana",
    number_id: str = NUMBER_ID,
    number: str = NUMBER,
    field: str = "messages",
) -> JSON:
    """One change of a number, as an entry has it."""
    profile = {} if name is None else {"profile": {"name": name}}
    value: JSON = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": number, "phone_number_id": number_id},
        "contacts": [{**profile, "wa_id": person, "user_id": user_id(person)}],
    }
    if messages:
        value["messages"] = list(messages)
    if statuses:
        value["statuses"] = list(statuses)
    return {"field": field, "value": value}


def update(*changes: JSON, entries: int = 1) -> JSON:
    """A request of WhatsApp's: the changes in one entry, or spread over several."""
    parts = [list(changes[start::entries]) for start in range(entries)]
    return {
        "object": "whatsapp_business_account",
        "entry": [{"id": ACCOUNT_ID, "changes": part} for part in parts],
    }


def message(
    kind: str, content: Any, *, name: str = "wamid.in1", at_s: float, person: str = PERSON, **more: Any
) -> JSON:
    """A message of a person; ``content`` is what the member of its kind has, None: it has none."""
    said = {} if content is None else {kind: content}
    return {"from": person, "id": name, "timestamp": str(int(at_s)), "type": kind, **said, **more}


def status(state: str, *, name: str = "wamid.out1", at_s: float, code: int | None = None, person: str = PERSON) -> JSON:
    """How far one of ours has come."""
    told: JSON = {"id": name, "status": state, "timestamp": str(int(at_s)), "recipient_id": person}
    if code is not None:
        told["errors"] = [{"code": code, "title": "t", "message": "m", "error_data": {"details": "d"}}]
    else:
        told["conversation"] = {"id": "c1", "origin": {"type": "service"}}
        told["pricing"] = {"billable": True, "pricing_model": "PMP", "category": "service"}
    return told


def page_update(*events: JSON, page: str = PAGE_ID, at_s: float) -> JSON:
    """A request of Messenger's."""
    return {"object": "page", "entry": [{"id": page, "time": int(at_s * 1000), "messaging": list(events)}]}


def page_event(*, at_s: float, sender: str = PSID, recipient: str = PAGE_ID, **happened: Any) -> JSON:
    """One thing that happened between a person and a page."""
    told = {"sender": {"id": sender}, "recipient": {"id": recipient}, "timestamp": int(at_s * 1000)}
    return {**told, **happened}
