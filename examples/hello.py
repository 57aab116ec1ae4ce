import os

from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client


class Here(TwilioHttpClient):
    """Sends to our server what the library would send to the hosted service."""

    def request(self, method, url, *args, **kwargs):
        here = url.replace("https://conversations.twilio.com", os.environ["BASE_URL"], 1)
        return super().request(method, here, *args, **kwargs)


client = Client(os.environ["ACCOUNT_SID"], os.environ["AUTH_TOKEN"], http_client=Here())
conversations = client.conversations.v1.conversations

try:
    room = conversations("tavern").fetch()
except TwilioRestException:
    room = conversations.create(unique_name="tavern", friendly_name="The tavern")

present = {participant.identity for participant in room.participants.list()}
for identity in ("ana", "ben"):
    if identity not in present:
        room.participants.create(identity=identity)

room.messages.create(author="ana", body="Good evening!")
for message in room.messages.list():
    print(message.index, message.author, message.body)
