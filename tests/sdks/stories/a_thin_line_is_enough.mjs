// With 100 kbit/s and a fifth of a second to the server and back, a client comes up, finds everything and talks.
// Owner's demands: 26.
import assert from "node:assert/strict";
import { stretch } from "./proxy.mjs";
import { all, atTheEnd, backend, enter, eventually, happens, look, named, room, seenBy, story } from "./stage.mjs";

const COUNT = 4;

await story(async () => {
  const sids = [];
  for (let number = 0; number < COUNT; number++) {
    sids.push(await room({ FriendlyName: `room ${number}` }, named("ana"), named("ben")));
    await backend("POST", `/Conversations/${sids.at(-1)}/Messages`, { Author: named("ben"), Body: "said before she came" });
  }
  const line = await stretch(JSON.parse(process.env.SERVER).ws_url, { bitsPerS: 100_000, delayMs: 100 });
  atTheEnd(() => line.close());
  const [ana, ben] = await Promise.all([enter(named("ana"), { url: line.url }), enter(named("ben"))]);
  assert.deepEqual((await all(await ana.getSubscribedConversations())).map(({ sid }) => sid).sort(), sids.sort());
  const [hers, his] = await seenBy(sids[0], ana, ben);
  await look(hers, his);
  const heard = Promise.all([happens(hers, "messageAdded"), happens(his, "messageAdded")]);
  assert.equal(await hers.sendMessage("through the eye of a needle"), 1);
  await heard;
  await eventually(async () => (await hers.getMessages()).items.length === 2);
  // What a start costs is why so thin a line is enough; and she was never cut off for being slow.
  console.log(`${line.bytes.up} bytes up, ${line.bytes.down} down`);
  assert.equal(line.connections, 1);
  assert.ok(line.bytes.up + line.bytes.down < 100_000, `${line.bytes.up} bytes up, ${line.bytes.down} down`);
});
