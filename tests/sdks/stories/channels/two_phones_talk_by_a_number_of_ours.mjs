// Two people with telephones know a number of ours alone; somebody with the SDK looks after them, and after strangers.
import assert from "node:assert/strict";
import { enter, eventually, happens, look, named, seenBy, story } from "../stage.mjs";
import { becomes, cameTo, world } from "./world.mjs";

const [OURS, OURS_TOO] = ["+12025550100", "+12025550101"];
const [ANA, BEN, CLEO] = ["+12025550111", "+12025550112", "+12025550113"];
const texts = async (phone) => (await world.texts({ phone })).map(({ from, text }) => [from, text]);

await story(async () => {
  const dora = await enter(named("dora"));
  const sid = await world.room({ friendly_name: "The bicycle" });
  const ana = await world.add({ room: sid, address: ANA, proxy: OURS });
  const ben = await world.add({ room: sid, address: BEN, proxy: OURS_TOO });
  await world.add({ room: sid, identity: named("dora") });
  const [room] = await seenBy(sid, dora);
  await look(room);
  const heard = [];
  room.on("messageAdded", (message) => heard.push(message));

  await world.writes({ phone: ANA, text: "is it still for sale?", to: [OURS] });
  await becomes(() => texts(BEN), [[OURS_TOO, "is it still for sale?"]]);
  await world.writes({ phone: BEN, text: "it is", to: [OURS_TOO] });
  await becomes(() => texts(ANA), [[OURS, "it is"]]);
  await becomes(() => heard.map(({ author, body, participantSid }) => [author, body, participantSid]), [
    [ANA, "is it still for sale?", ana.sid],
    [BEN, "it is", ben.sid],
  ]);
  for (const [phone, other] of [[ANA, BEN], [BEN, ANA]]) assert.doesNotMatch(JSON.stringify(await world.texts({ phone })), RegExp(other.slice(1)));
  await becomes(() => heard.map(cameTo), Array(2).fill({ total: 1, sent: "all", delivered: "all" }));
  const seller = (await room.getParticipants()).find((person) => person.sid === ben.sid);
  assert.deepEqual([seller.type, seller.identity], ["sms", null]);

  await room.sendMessage("I am here if you need me.");
  await becomes(() => texts(ANA), [[OURS, "it is"], [OURS, "I am here if you need me."]]);
  await becomes(() => cameTo(heard[2]), { total: 2, sent: "all", delivered: "all" });

  // A pair is in one open conversation; the account holder who asks for it again is told which, a user is not.
  const second = await world.room();
  const taken = await world.add({ room: second, address: ANA, proxy: OURS });
  assert.deepEqual([taken.status, taken.code], [409, 50416]);
  assert.match(taken.message, RegExp(`${sid}$`));
  await assert.rejects(
    async () => {
      const hers = await dora.createConversation();
      await hers.join();
      await hers.addNonChatParticipant(OURS, ANA);
    },
    ({ body }) => body.code === 50416 && !body.message.includes(sid),
  );
  const closed = happens(room, "updated", ({ updateReasons }) => updateReasons.includes("state"));
  await world.closeRoom({ room: sid });
  assert.equal((await closed).conversation.state.current, "closed");
  assert.equal((await world.add({ room: second, address: ANA, proxy: OURS })).binding.address, ANA);
  await world.writes({ phone: ANA, text: "and what of the pump?", to: [OURS] });
  await becomes(() => world.said({ room: second }), [[ANA, "and what of the pump?"]]);

  // A stranger makes a conversation with its webhook; whoever is added to it later reads all of it, and answers.
  await world.takesStrangers({ number: OURS });
  await world.writes({ phone: CLEO, text: "I need help", to: [OURS] });
  const told = await world.told({ body: "I need help" });
  assert.deepEqual([told.isSigned, told.Author], [true, CLEO]);
  const made = told.ConversationSid;
  assert.deepEqual(await world.roomsOf({ phone: CLEO }), [made]);
  assert.deepEqual(await world.webhooksOf({ room: made }), [true]);
  const joined = happens(dora, "conversationJoined", ({ sid }) => sid === made);
  await world.add({ room: made, identity: named("dora") });
  const help = await joined;
  assert.equal(help.friendlyName, CLEO);
  assert.deepEqual((await help.getMessages()).items.map(({ author, body }) => [author, body]), [[CLEO, "I need help"]]);
  await help.sendMessage("What is the matter?");
  await becomes(() => texts(CLEO), [[OURS, "What is the matter?"]]);
  await world.writes({ phone: CLEO, text: "The chain is off", to: [OURS] });
  assert.equal((await world.told({ body: "The chain is off" })).ConversationSid, made);
  await eventually(async () => (await help.getMessagesCount()) === 3);
});
