// Telephones with the official SDK in them, which do what they are told, line by line. Each has a name.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { enter, eventually, happens } from "../stage.mjs";

const { Client } = createRequire(import.meta.url)(process.env.SDK);
const clients = new Map();
const on = (phone) => clients.get(phone);
const say = (what, more = {}) => console.log(JSON.stringify({ what, ...more }));
const shown = ({ type, title, body, sound, badge, action, data }) => ({ type, title, body, sound, badge, action, data });
const seen = (phone, sid) => eventually(() => on(phone).getConversationBySid(sid).catch(() => null), "the room is visible");

const deeds = {
  async start(phone, token) {
    clients.set(phone, await enter(phone, { with: token }));
  },
  async stop(phone) {
    await on(phone).shutdown();
    clients.delete(phone);
  },
  register: (phone, channel, address) => on(phone).setPushRegistrationId(channel, address),
  unset: (phone, channel) => on(phone).unsetPushRegistrationId(channel),
  remove: (phone, channel, address) => on(phone).removePushRegistrations(channel, address),
  async write(phone, room, body) {
    return (await seen(phone, room)).sendMessage(body);
  },
  async open(phone, friendlyName) {
    const room = await on(phone).createConversation({ friendlyName });
    await room.join();
    return room.sid;
  },
  async add(phone, room, identity) {
    await (await seen(phone, room)).add(identity);
  },
  async expel(phone, room, identity) {
    await (await seen(phone, room)).removeParticipant(identity);
  },
  read: (payload) => shown(Client.parsePushNotification(payload)),
  /** What the application of a running client hears when it hands over what the system gave it. */
  async handle(phone, payload) {
    const heard = happens(on(phone), "pushNotification");
    await on(phone).handlePushNotification(payload);
    return shown(await heard);
  },
};

say("ready");
createInterface({ input: process.stdin })
  .on("line", async (line) => {
    const { deed, args } = JSON.parse(line);
    try {
      say("done", { deed, answer: (await deeds[deed](...args)) ?? null });
    } catch (error) {
      say("failed", { deed, message: String(error?.message ?? error) });
    }
  })
  .on("close", async () => {
    await Promise.allSettled([...clients.values()].map((client) => client.shutdown()));
    process.exit(0);
  });
