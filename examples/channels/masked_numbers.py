"""A buyer and a seller talk by numbers of ours. Neither learns the other's."""

import os
import time
from urllib.parse import quote

import requests
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

BASE_URL = os.environ["BASE_URL"]
LOGIN = os.environ["ACCOUNT_SID"], os.environ["AUTH_TOKEN"]
OURS, OURS_TOO = "+12025550100", "+12025550101"
BUYER, SELLER = "+12025550111", "+12025550112"


class Here(TwilioHttpClient):
    """Sends to our server what the library would send to the hosted service."""

    def request(self, method, url, *args, **kwargs):
        return super().request(method, f"{BASE_URL}/{url.split('/', 3)[3]}", *args, **kwargs)


def writes(phone, to, text):
    url = f"{BASE_URL}/simulator/Phones/{quote(phone)}/Messages"
    requests.post(url, data={"To": to, "Body": text}, auth=LOGIN).raise_for_status()


def texts(phone):
    """From whom, and what, once something is there."""
    while True:
        shown = requests.get(f"{BASE_URL}/simulator/Phones/{quote(phone)}/Messages", auth=LOGIN).json()["messages"]
        if theirs := [f"{one['from']}: {one['text']}" for one in shown if not one["is_mine"]]:
            return theirs
        time.sleep(0.1)


client = Client(*LOGIN, http_client=Here())
conversations = client.conversations.v1.conversations

for phone in (BUYER, SELLER):  # phones as they come from the shop
    requests.delete(f"{BASE_URL}/simulator/Phones/{quote(phone)}", auth=LOGIN)
bicycle = conversations.create(friendly_name="The bicycle")
try:
    bicycle.participants.create(messaging_binding_address=BUYER, messaging_binding_proxy_address=OURS)
    bicycle.participants.create(messaging_binding_address=SELLER, messaging_binding_proxy_address=OURS_TOO)

    writes(BUYER, OURS, "Is it still for sale?")
    print("the seller's phone:", *texts(SELLER))
    writes(SELLER, OURS_TOO, "It is.")
    print("the buyer's phone: ", *texts(BUYER))

    # A person and a number of ours are in one open conversation; the refusal says in which.
    pump = conversations.create(friendly_name="The pump")
    try:
        pump.participants.create(messaging_binding_address=BUYER, messaging_binding_proxy_address=OURS)
    except TwilioRestException as taken:
        print(taken.code, "by the bicycle:", taken.msg.endswith(bicycle.sid))
    pump.delete()
finally:
    bicycle.update(state="closed")  # its numbers are free again
