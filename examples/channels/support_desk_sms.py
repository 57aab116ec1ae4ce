"""Whoever writes to our number gets a conversation of his own, an agent in it, and an answer at once."""

import os
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import cycle
from urllib.parse import parse_qsl

from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator
from twilio.rest import Client

BASE_URL = os.environ["BASE_URL"]
LOGIN = os.environ["ACCOUNT_SID"], os.environ["AUTH_TOKEN"]
OURS = "+12025550100"
PORT = int(os.environ.get("DESK_PORT", "8090"))
URL = f"http://127.0.0.1:{PORT}/"
AGENTS = cycle(["dora", "emil"])


class Here(TwilioHttpClient):
    """Sends to our server what the library would send to the hosted service."""

    def request(self, method, url, *args, **kwargs):
        return super().request(method, f"{BASE_URL}/{url.split('/', 3)[3]}", *args, **kwargs)


account = Client(*LOGIN, http_client=Here()).conversations.v1
validator = RequestValidator(LOGIN[1])


def take(message):
    """The first message of a stranger: somebody looks after it. All others are between them."""
    if message["Index"] != "0":
        return
    room = account.conversations(message["ConversationSid"])
    agent = next(AGENTS)
    room.participants.create(identity=agent)
    room.messages.create(author="desk", body=f"Thank you. {agent.title()} will be with you in a moment.")
    print(message["Author"], "is looked after by", agent, flush=True)


class Desk(BaseHTTPRequestHandler):
    def do_POST(self):
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        message = dict(parse_qsl(text, keep_blank_values=True))
        is_genuine = validator.validate(URL, message, self.headers.get("X-Twilio-Signature", ""))
        if is_genuine and message["EventType"] == "onMessageAdded":
            take(message)
        self.send_response(200 if is_genuine else 403)
        self.end_headers()

    def log_message(self, *_):
        """Nothing: what people write is nobody else's business."""


for known in account.address_configurations.list():
    if known.address == OURS:
        known.delete()
account.address_configurations.create(
    type="sms",
    address=OURS,
    auto_creation_enabled=True,
    auto_creation_type="webhook",
    auto_creation_webhook_url=URL,
    auto_creation_webhook_filters=["onMessageAdded"],
)
with HTTPServer(("127.0.0.1", PORT), Desk) as desk:
    print("the desk is open at", OURS, flush=True)
    desk.serve_forever()
