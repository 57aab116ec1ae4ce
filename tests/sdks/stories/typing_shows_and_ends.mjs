// Who types is seen by the others, not by oneself, and stops being seen when they stop or send.
import assert from "node:assert/strict";
import { enter, happens, named, room, seenBy, settle, story } from "./stage.mjs";

await story(async () => {
  const [ana, ben] = await Promise.all([enter(named("ana")), enter(named("ben"))]);
  const [hers, his] = await seenBy(await room({}, named("ana"), named("ben")), ana, ben);
  await settle(hers, his);
  let mirrored = 0;
  hers.on("typingStarted", () => mirrored++);

  let started = happens(his, "typingStarted");
  const ended = happens(his, "typingEnded");
  await hers.typing();
  const who = await started;
  assert.equal(who.identity, named("ana"));
  assert.equal(who.isTyping, true);
  assert.equal((await ended).identity, named("ana"));

  started = happens(his, "typingStarted");
  await hers.typing();
  await started;
  const said = happens(his, "messageAdded");
  await hers.sendMessage("there");
  await said;
  assert.equal(mirrored, 0);
});
