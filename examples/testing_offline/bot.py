"""A help desk bot on Twilio Conversations. Nothing in it knows that it is being tested."""

from urllib.parse import parse_qsl
from wsgiref.util import request_uri

from twilio.request_validator import RequestValidator

HELP = "Ask away; a person answers between nine and five."


class Bot:
    def __init__(self, client):
        self.conversations = client.conversations.v1.conversations
        self.validator = RequestValidator(client.password)

    def open_case(self, customer, subject):
        """A conversation for a customer; quiet for an hour, it is closed."""
        case = self.conversations.create(friendly_name=subject, timers_closed="PT1H")
        case.participants.create(identity=customer)
        case.messages.create(author="bot", body=f"Hello {customer}! You wrote about: {subject}.")
        return case.sid

    def hear(self, webhook):
        """What a webhook says, as its form fields."""
        if webhook["EventType"] != "onMessageAdded" or webhook["Author"] == "bot":
            return
        if webhook["Body"].strip() == "!help":
            self.conversations(webhook["ConversationSid"]).messages.create(author="bot", body=HELP)

    def application(self, environ, start_response):
        """The webhook itself, as a WSGI application: hears what is signed, and nothing else."""
        form = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)).decode()
        webhook = dict(parse_qsl(form, keep_blank_values=True))
        if not self.validator.validate(request_uri(environ), webhook, environ.get("HTTP_X_TWILIO_SIGNATURE", "")):
            start_response("403 Forbidden", [])
            return []
        self.hear(webhook)
        start_response("204 No Content", [])
        return []
