import { createInterface } from "node:readline";
import { Client } from "@twilio/conversations";

const client = new Client(process.env.TOKEN, { Twilsock: { uri: process.env.WS_URL } });
const show = (message) => console.log(`${message.author}: ${message.body}`);

async function chat() {
  const room = await client.getConversationByUniqueName("tavern");
  const latest = await room.getMessages(10);
  latest.items.forEach(show);
  room.on("messageAdded", show);
  await room.sendMessage(`${client.user.identity} is here.`);
  createInterface({ input: process.stdin }).on("line", (line) => room.sendMessage(line).catch(console.error));
}

function leave(error, hint) {
  console.error(`${error.message} (${hint})`);
  process.exit(1);
}

client.on("initialized", () => chat().catch((error) => leave(error, "run hello.py first; ana and ben are in the room")));
client.on("initFailed", ({ error }) => leave(error, "is the server running, and the token its own?"));
