"""Three phones and two users in one group text: on the phones it is one thread with everybody."""

import json
import os
import time
from urllib.parse import quote

import requests
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

BASE_URL = os.environ["BASE_URL"]
LOGIN = os.environ["ACCOUNT_SID"], os.environ["AUTH_TOKEN"]
PHONES = ["+12025550111", "+12025550112", "+12025550113"]
USERS = {"dora": "+12025550100", "emil": "+12025550101"}  # each has a number of ours


class Here(TwilioHttpClient):
    """Sends to our server what the library would send to the hosted service."""

    def request(self, method, url, *args, **kwargs):
        return super().request(method, f"{BASE_URL}/{url.split('/', 3)[3]}", *args, **kwargs)


def phone(number, tail="", method="GET", **form):
    return requests.request(method, f"{BASE_URL}/simulator/Phones/{quote(number)}{tail}", data=form, auth=LOGIN)


def until(look):
    ends = time.monotonic() + 20
    while not (value := look()):
        if time.monotonic() > ends:
            raise TimeoutError
        time.sleep(0.1)
    return value


def last(number, text):
    """The newest message on the phone, once it is this one."""
    shown = phone(number, "/Messages").json()["messages"]
    return shown[-1] if shown and shown[-1]["text"] == text else None


for number in PHONES:
    phone(number, method="DELETE")
v1 = Client(*LOGIN, http_client=Here()).conversations.v1
# All of them at once: added one by one, a group of the first three might be there already.
people = [{"messaging_binding": {"address": number}} for number in PHONES]
people += [{"identity": who, "messaging_binding": {"projected_address": ours}} for who, ours in USERS.items()]
made = v1.conversation_with_participants.create(
    friendly_name="The walk", participant=[json.dumps(one) for one in people]
)
room = v1.conversations(made.sid)
try:
    until(lambda: room.fetch().state == "active")
    sent = room.messages.create(author="dora", body="On Saturday at nine?")
    for number in PHONES:
        seen = until(lambda number=number: last(number, "On Saturday at nine?"))
        print(number, "has it from", seen["from"], "to", len(seen["to"]))

    # An answer goes to everybody; the users read it, and it is not sent on to phones that have it already.
    phone(PHONES[0], "/Messages", "POST", Body="I shall be there.", Answers=last(PHONES[0], seen["text"])["sid"])
    until(lambda: len(room.messages.list()) == 2)
    for message in room.messages.list():
        print(message.author, "wrote:", message.body)
    until(lambda: room.messages(sent.sid).fetch().delivery["delivered"] == "all")
    print("delivered to all", room.messages(sent.sid).fetch().delivery["total"])
finally:
    room.update(state="closed")  # the set of numbers is free again
