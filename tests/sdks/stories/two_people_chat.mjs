// One opens a room and invites, both talk, both hear everything in the same order, one leaves.
// Owner's demands: 1.
import assert from "node:assert/strict";
import { all, enter, eventually, happens, look, named, story } from "./stage.mjs";

await story(async () => {
  const [ana, ben] = await Promise.all([enter(named("ana")), enter(named("ben"))]);
  const hers = await ana.createConversation({ friendlyName: "The tavern", attributes: { tables: 7 } });
  await hers.join();
  const invited = happens(ben, "conversationJoined");
  await hers.add(named("ben"), { seat: 2 });
  const his = await invited;
  assert.equal(his.sid, hers.sid);
  assert.equal(his.friendlyName, "The tavern");
  assert.deepEqual(his.attributes, { tables: 7 });

  const heard = { ana: [], ben: [] };
  hers.on("messageAdded", (message) => heard.ana.push(message.body));
  his.on("messageAdded", (message) => heard.ben.push(message.body));
  await look(hers, his);
  assert.equal(await hers.sendMessage("Good evening! ☕", { mood: "fine" }), 0);
  await eventually(() => heard.ben.length === 1);
  assert.equal(await his.sendMessage("Evening, Ana."), 1);
  await Promise.all(Array.from({ length: 20 }, (_, number) => (number % 2 ? hers : his).sendMessage(`line ${number}`)));
  await eventually(() => heard.ana.length === 22 && heard.ben.length === 22).catch((late) => {
    throw new Error(`heard by ana: ${heard.ana}; by ben: ${heard.ben}`, { cause: late });
  });
  assert.deepEqual(heard.ana, heard.ben);

  const first = (await his.getMessages(1, 0, "forward")).items[0];
  assert.deepEqual([first.author, first.body, first.attributes], [named("ana"), "Good evening! ☕", { mood: "fine" }]);
  const page = await hers.getMessages(10);
  assert.deepEqual(page.items.map((message) => message.index), [12, 13, 14, 15, 16, 17, 18, 19, 20, 21]);
  const before = await page.prevPage();
  assert.deepEqual(before.items.map((message) => message.index), [2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
  assert.deepEqual((await hers.getParticipants()).map((person) => person.identity).sort(), [named("ana"), named("ben")]);

  const left = happens(hers, "participantLeft");
  await his.leave();
  assert.equal((await left).identity, named("ben"));
  assert.deepEqual(await all(await ben.getSubscribedConversations()), []);

  await hers.sendMessage("Alone again.");
  assert.equal(await hers.getMessagesCount(), 23);
});
