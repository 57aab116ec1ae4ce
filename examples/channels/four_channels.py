"""Dora has an SDK, Ana SMS, Berta WhatsApp, Clara e-mail: one conversation, and what became of a message."""

import asyncio
import os
from urllib.parse import quote

import requests
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from tertulia.client import ClientConfig, ConversationsClient

BASE_URL = os.environ["BASE_URL"]
LOGIN = os.environ["ACCOUNT_SID"], os.environ["AUTH_TOKEN"]
PEOPLE = {  # their addresses, and ours that they talk to
    "Berta": ("whatsapp:+12025550112", "whatsapp:+12025550100"),  # has to write first: WhatsApp wants it
    "Ana": ("+12025550111", "+12025550100"),
    "Clara": ("clara@home.example", "support@shop.example"),
}


class Here(TwilioHttpClient):
    """Sends to our server what the library would send to the hosted service."""

    def request(self, method, url, *args, **kwargs):
        return super().request(method, f"{BASE_URL}/{url.split('/', 3)[3]}", *args, **kwargs)


def phone(name, tail="", method="GET", **form):
    url = f"{BASE_URL}/simulator/Phones/{quote(PEOPLE[name][0])}{tail}"
    return requests.request(method, url, data=form, auth=LOGIN)


def shown(name):
    return [one["text"] for one in phone(name, "/Messages").json()["messages"] if not one["is_mine"]]


async def until(look):
    for _ in range(200):
        if value := await asyncio.to_thread(look):
            return value
        await asyncio.sleep(0.1)
    raise TimeoutError


async def main():
    conversations = Client(*LOGIN, http_client=Here()).conversations.v1.conversations
    room = conversations.create(friendly_name="Order 7")
    room.participants.create(identity="dora")
    for name, (address, ours) in PEOPLE.items():
        phone(name, method="DELETE")
        room.participants.create(messaging_binding_address=address, messaging_binding_proxy_address=ours)
    config = ClientConfig(server_url=BASE_URL, token=os.environ["TOKEN"])
    try:
        async with ConversationsClient(config) as client:
            dora = await client.get_conversation(room.sid)
            for number, (name, (_, ours)) in enumerate(PEOPLE.items(), 1):
                phone(name, "/Messages", "POST", To=ours, Body=f"{name} is here.")
                await until(lambda number=number: len(room.messages.list()) == number)
            await dora.send("Good. Your parcel comes tomorrow.")
            for name in PEOPLE:
                print(name, "has", await until(lambda name=name: len(told := shown(name)) >= 3 and told))
            async for message in dora.messages(10):
                print("Dora has", message.author, message.body)
        await until(lambda: room.messages.list()[-1].delivery["delivered"] == "all")
        phone("Berta", "/Read", "POST")  # SMS tells nobody what was read, WhatsApp does
        became = await until(lambda: (state := room.messages.list()[-1].delivery)["read"] == "some" and state)
        print("The last one:", ", ".join(f"{name} {became[name]}" for name in ("sent", "delivered", "read")))
    finally:
        room.update(state="closed")  # the addresses are free again


asyncio.run(main())
