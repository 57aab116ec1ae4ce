// A client of the official SDK that does what it is told, line by line, and says what it hears.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";

const { Client } = createRequire(import.meta.url)(process.env.SDK);
const say = (what, more = {}) => console.log(JSON.stringify({ what, ...more }));
const shown = (message) => ({
  sid: message.sid,
  index: message.index,
  author: message.author,
  body: message.body,
  attributes: message.attributes,
  dateCreated: message.dateCreated?.getTime() ?? null,
  dateUpdated: message.dateUpdated?.getTime() ?? null,
  delivery: message.aggregatedDeliveryReceipt && {
    total: message.aggregatedDeliveryReceipt.total,
    delivered: message.aggregatedDeliveryReceipt.delivered,
  },
});

const client = new Client(process.env.TOKEN, { Twilsock: { uri: process.env.WS_URL } });
let room;

const deeds = {
  async enter(sid) {
    room = await client.getConversationBySid(sid);
    for (const event of ["messageAdded", "messageRemoved"]) room.on(event, (message) => say(event, shown(message)));
    room.on("messageUpdated", ({ message, updateReasons }) => say("messageUpdated", { ...shown(message), updateReasons }));
    for (const event of ["participantJoined", "participantLeft", "typingStarted", "typingEnded"]) {
      room.on(event, (participant) => say(event, { identity: participant.identity }));
    }
    room.on("participantUpdated", ({ participant, updateReasons }) =>
      say("participantUpdated", { identity: participant.identity, read: participant.lastReadMessageIndex, updateReasons }));
    room.on("updated", ({ conversation, updateReasons }) =>
      say("updated", { name: conversation.friendlyName, attributes: conversation.attributes, updateReasons }));
    await room.getParticipants();
  },
  send: (body, attributes) => room.sendMessage(body, attributes),
  async edit(index, body) {
    await (await room.getMessages(1, index, "forward")).items[0].updateBody(body);
  },
  async remove(index) {
    await (await room.getMessages(1, index, "forward")).items[0].remove();
  },
  typing: () => room.typing(),
  read: (index) => room.updateLastReadMessageIndex(index),
  async history() {
    const items = [];
    for (let page = await room.getMessages(100, 0, "forward"); ; page = await page.nextPage()) {
      items.push(...page.items);
      if (!page.hasNextPage) break;
    }
    return items.map(shown);
  },
  async receipts(index) {
    const found = await (await room.getMessages(1, index, "forward")).items[0].getDetailedDeliveryReceipts();
    return found.map(({ sid, status, participantSid, messageSid }) => ({ sid, status, participantSid, messageSid }));
  },
};

client.on("initFailed", ({ error }) => { say("failed", { message: error?.message }); process.exit(1); });
client.on("initialized", () => say("ready"));
createInterface({ input: process.stdin })
  .on("line", async (line) => {
    const { deed, args } = JSON.parse(line);
    try {
      say("done", { deed, answer: (await deeds[deed](...args)) ?? null });
    } catch (error) {
      say("failed", { deed, message: String(error?.message ?? error) });
    }
  })
  .on("close", async () => { await client.shutdown(); process.exit(0); });
