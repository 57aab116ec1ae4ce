"""Letters: a subject, answers in one thread, and what somebody has quoted is kept apart from what is new."""

import os
import time
from urllib.parse import quote

import requests
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

BASE_URL = os.environ["BASE_URL"]
LOGIN = os.environ["ACCOUNT_SID"], os.environ["AUTH_TOKEN"]
OURS, CLARA = "support@shop.example", "clara@home.example"


class Here(TwilioHttpClient):
    """Sends to our server what the library would send to the hosted service."""

    def request(self, method, url, *args, **kwargs):
        return super().request(method, f"{BASE_URL}/{url.split('/', 3)[3]}", *args, **kwargs)


def mailbox(tail="", method="GET", **form):
    answer = requests.request(method, f"{BASE_URL}/simulator/Phones/{quote(CLARA)}{tail}", data=form, auth=LOGIN)
    answer.raise_for_status()
    return answer


def until(look):
    ends = time.monotonic() + 20
    while not (value := look()):
        if time.monotonic() > ends:
            raise TimeoutError
        time.sleep(0.1)
    return value


def letters():
    return [one for one in mailbox("/Messages").json()["messages"] if not one["is_mine"]]


mailbox(method="POST")  # it is there
mailbox(method="DELETE")  # and empty
room = Client(*LOGIN, http_client=Here()).conversations.v1.conversations.create(
    friendly_name="Order 7", bindings_email_address=OURS, bindings_email_name="The shop"
)
room.participants.create(messaging_binding_address=CLARA, messaging_binding_proxy_address=OURS)
try:
    room.messages.create(author="dora", subject="Your order", body="When may we bring it?")
    (first,) = until(letters)
    print("Clara has", first["subject"], "/", first["text"])

    mailbox("/Messages", "POST", Answers=first["sid"], Subject="Re: Your order", Body="On Friday. The door is green.")
    until(lambda: len(room.messages.list()) == 2)
    room.messages.create(author="dora", body="Then on Friday.")
    until(lambda: len(letters()) == 2)
    print("Clara has", letters()[1]["subject"], "/", letters()[1]["text"])

    for message in room.messages.list():
        print(message.index, message.author, "/", message.body)
finally:
    room.update(state="closed")  # the addresses are free again
