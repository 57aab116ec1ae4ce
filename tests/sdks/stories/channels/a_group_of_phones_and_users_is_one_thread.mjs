// Three telephones and two users, each with a number of ours: what anybody writes is one message to all, and there once.
import assert from "node:assert/strict";
import { enter, eventually, look, named, seenBy, sleep, story } from "../stage.mjs";
import { becomes, cameTo, world } from "./world.mjs";

const [OURS, OURS_TOO] = ["+12025550100", "+12025550101"];
const [ANA, BEN, CLEO] = ["+12025550111", "+12025550112", "+12025550113"];
const everybody = [OURS, OURS_TOO, ANA, BEN, CLEO];
const others = (sender) => everybody.filter((one) => one !== sender);

await story(async () => {
  const sid = await world.room();
  for (const address of [ANA, BEN, CLEO]) assert.ok((await world.add({ room: sid, address })).sid);
  assert.ok((await world.add({ room: sid, identity: named("dora"), projected: OURS })).sid);
  assert.ok((await world.add({ room: sid, identity: named("emil"), projected: OURS_TOO })).sid);
  const people = await Promise.all([enter(named("dora")), enter(named("emil"))]);
  const [hers, his] = await seenBy(sid, ...people);
  await look(hers, his);
  const heard = [hers, his].map((room) => {
    const messages = [];
    room.on("messageAdded", (message) => messages.push(message));
    return messages;
  });
  const hear = (...said) =>
    becomes(() => heard.map((messages) => messages.map(({ author, body }) => [author, body])), [said, said]);

  assert.deepEqual((await hers.getParticipants()).map(({ type }) => type).sort(), ["chat", "chat", "sms", "sms", "sms"]);

  // Dora writes: one message, which every telephone shows as from her number to all the others.
  await hers.sendMessage("welcome");
  const welcome = { from: OURS, to: others(OURS), text: "welcome" };
  for (const phone of [ANA, BEN, CLEO]) await becomes(() => world.texts({ phone }), [welcome]);
  await hear([named("dora"), "welcome"]);
  await becomes(() => cameTo(heard[1][0]), { total: 3, sent: "all", delivered: "all" });
  assert.equal(new Set((await heard[1][0].getDetailedDeliveryReceipts()).map(({ participantSid }) => participantSid)).size, 3);

  // Ana answers to all: the users hear it once, and it is not sent on to telephones that have it from her.
  await world.writes({ phone: ANA, text: "thank you", to: [OURS, OURS_TOO], others: [BEN, CLEO] });
  const thanks = { from: ANA, to: others(ANA), text: "thank you" };
  await hear([named("dora"), "welcome"], [ANA, "thank you"]);
  for (const phone of [BEN, CLEO]) await becomes(() => world.texts({ phone }), [welcome, thanks]);

  // Emil is another number in the same thread; his words and Dora's keep their order.
  await his.sendMessage("you are welcome");
  await eventually(() => heard[0].length === 3);
  await hers.sendMessage("see you on Saturday");
  const last = [
    { from: OURS_TOO, to: others(OURS_TOO), text: "you are welcome" },
    { from: OURS, to: others(OURS), text: "see you on Saturday" },
  ];
  for (const phone of [BEN, CLEO]) await becomes(() => world.texts({ phone }), [welcome, thanks, ...last]);
  await world.writes({ phone: CLEO, text: "I shall be there", to: [OURS, OURS_TOO], others: [ANA, BEN] });
  const all = [
    [named("dora"), "welcome"],
    [ANA, "thank you"],
    [named("emil"), "you are welcome"],
    [named("dora"), "see you on Saturday"],
    [CLEO, "I shall be there"],
  ];
  await hear(...all);
  assert.equal(cameTo(heard[0][4]), null);

  // Nothing follows: no copy of what was ours, no echo.
  await sleep(500);
  assert.deepEqual(await world.said({ room: sid }), all);
  await becomes(async () => (await world.texts({ phone: ANA })).map(({ text }) => text), ["welcome", "you are welcome", "see you on Saturday", "I shall be there"]);
});
