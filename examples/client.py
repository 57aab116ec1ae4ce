import asyncio
import os

from tertulia.client import ClientConfig, ConversationsClient
from tertulia.client.errors import ConflictError
from tertulia.client.events import MessageAdded


async def main() -> None:
    config = ClientConfig(server_url=os.environ["BASE_URL"], token=os.environ["TOKEN"])
    async with ConversationsClient(config) as client:
        try:
            room = await client.create_conversation(unique_name="tavern", friendly_name="The tavern", join=True)
        except ConflictError:
            room = await client.join_conversation("tavern")

        @client.on(MessageAdded)
        def show(event: MessageAdded) -> None:
            print(event.message.index, event.message.author, event.message.body)

        await room.send(f"{client.identity} is here.")
        async for message in room.messages(10):
            print("so far:", message.index, message.author, message.body)
        print(await room.count_messages(), "messages,", await room.count_participants(), "people")


asyncio.run(main())
