import { createInterface } from "node:readline";
import { Client } from "@twilio/conversations";

const client = new Client(process.env.TOKEN, { Twilsock: { uri: process.env.WS_URL } });
const show = (message) => console.log(`${message.author}: ${message.body}`);

client.on("initialized", async () => {
  const room = await client.getConversationByUniqueName("tavern");
  const latest = await room.getMessages(10);
  latest.items.forEach(show);
  room.on("messageAdded", show);
  await room.sendMessage(`${client.user.identity} is here.`);
  createInterface({ input: process.stdin }).on("line", (line) => room.sendMessage(line));
});
client.on("initFailed", ({ error }) => console.error(error.message));
