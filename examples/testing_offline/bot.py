"""A help desk bot on Twilio Conversations. Nothing in it knows that it is being tested."""

HELP = "Ask away; a person answers between nine and five."


class Bot:
    def __init__(self, client):
        self.conversations = client.conversations.v1.conversations

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
