// A message is edited and removed, by its author and by the back end; the room itself changes and goes.
// Owner's demands: 23.
import assert from "node:assert/strict";
import { backend, enter, eventually, happens, named, room, seenBy, settle, story } from "./stage.mjs";

await story(async () => {
  const [ana, ben] = await Promise.all([enter(named("ana")), enter(named("ben"))]);
  const sid = await room({ FriendlyName: "drafts" }, named("ana"), named("ben"));
  const [hers, his] = await seenBy(sid, ana, ben);
  await settle(hers, his);
  await hers.sendMessage("Good mornig");
  await hers.sendMessage("forget this");
  await eventually(async () => (await his.getMessages()).items.length === 3);
  const mine = async (index) => (await hers.getMessages(1, index, "forward")).items[0];

  let told = happens(his, "messageUpdated");
  await (await mine(1)).updateBody("Good morning");
  let { message, updateReasons } = await told;
  assert.equal(message.body, "Good morning");
  assert.ok(updateReasons.includes("body"));

  told = happens(his, "messageUpdated", (change) => change.updateReasons.includes("attributes"));
  await (await mine(1)).updateAttributes({ corrected: true });
  ({ message } = await told);
  assert.deepEqual(message.attributes, { corrected: true });
  assert.equal(message.lastUpdatedBy, named("ana"));

  const gone = happens(his, "messageRemoved");
  await (await mine(2)).remove();
  assert.equal((await gone).index, 2);
  assert.deepEqual((await his.getMessages()).items.map((each) => each.index), [0, 1]);

  told = happens(hers, "messageUpdated");
  await backend("POST", `/Conversations/${sid}/Messages/${message.sid}`, { Body: "Moderated" });
  assert.equal((await told).message.body, "Moderated");
  assert.equal(await hers.sendMessage("next"), 3);

  told = happens(his, "updated", (change) => change.updateReasons.includes("friendlyName"));
  await backend("POST", `/Conversations/${sid}`, { FriendlyName: "final" });
  assert.equal((await told).conversation.friendlyName, "final");

  const removed = happens(ben, "conversationRemoved");
  await backend("DELETE", `/Conversations/${sid}`);
  assert.equal((await removed).sid, sid);
  await eventually(async () => (await ana.getSubscribedConversations()).items.length === 0);
});
