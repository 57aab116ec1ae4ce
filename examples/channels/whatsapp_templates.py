"""Writing to somebody who has not written for a day: WhatsApp lets a template through, and nothing else."""

import json
import os
import time
from urllib.parse import quote

import requests
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

BASE_URL = os.environ["BASE_URL"]
LOGIN = os.environ["ACCOUNT_SID"], os.environ["AUTH_TOKEN"]
OURS, BERTA = (
    "whatsapp:+12025550190",
    f"whatsapp:+1202556{time.time_ns() // 1000 % 10000:04}",
)  # whom nobody has heard of


class Here(TwilioHttpClient):
    """Sends to our server what the library would send to the hosted service."""

    def request(self, method, url, *args, **kwargs):
        return super().request(method, f"{BASE_URL}/{url.split('/', 3)[3]}", *args, **kwargs)


def post(path, **json):
    answer = requests.post(f"{BASE_URL}{path}", json=json, auth=LOGIN)
    answer.raise_for_status()
    return answer.json()


def phone(tail, method="GET", **form):
    return requests.request(method, f"{BASE_URL}/simulator/Phones/{quote(BERTA)}{tail}", data=form, auth=LOGIN)


def became(message):
    """The state of its receipt, once it is more than sent, and the code of what went wrong."""
    while True:
        for receipt in message.delivery_receipts.list():
            if receipt.status != "sent":
                return receipt.status, receipt.error_code
        time.sleep(0.1)


template = post(
    "/v1/Content",
    friendly_name="parcel",
    language="en",
    variables={"1": "tomorrow"},
    types={
        "twilio/quick-reply": {
            "body": "Your parcel comes {{1}}. Is that fine?",
            "actions": [{"title": "Yes", "id": "yes"}, {"title": "No", "id": "no"}],
        }
    },
)
# With a gateway of Meta's it has to be approved there under this name; this tells the server that it is.
post(f"/v1/Content/{template['sid']}/ApprovalRequests/whatsapp", name="parcel", category="UTILITY")

room = Client(*LOGIN, http_client=Here()).conversations.v1.conversations.create(friendly_name="Parcel 7")
room.participants.create(messaging_binding_address=BERTA, messaging_binding_proxy_address=OURS)
try:
    print("too late for words:", *became(room.messages.create(body="Your parcel comes on Friday.")))
    invitation = room.messages.create(content_sid=template["sid"], content_variables=json.dumps({"1": "on Friday"}))
    print("a template:        ", *became(invitation))
    print("Berta reads:       ", phone("/Messages").json()["messages"][-1]["text"])

    phone("/Messages", "POST", To=OURS, Body="Yes")  # from now on she may be written to for 24 hours
    while room.messages.list()[-1].body != "Yes":
        time.sleep(0.1)
    print("now words are fine:", *became(room.messages.create(body="Thank you!")))
finally:
    room.delete()
