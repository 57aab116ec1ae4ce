// Of two files the first has come when the second breaks off, once by the sender's wish, once with the line: no message.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { stretch } from "../stories/proxy.mjs";
import { atTheEnd, enter, eventually, happens, look, named, room, seenBy, story } from "../stories/stage.mjs";

const SMALL = 1000;
const BIG = 8 << 20;

await story(async () => {
  const line = await stretch(JSON.parse(process.env.SERVER).ws_url, { bitsPerS: 40e6, delayMs: 0 });
  atTheEnd(line.close);
  const [ana, ben] = await Promise.all([enter(named("ana"), { url: line.url }), enter(named("ben"))]);
  const [hers, his] = await seenBy(await room({}, named("ana"), named("ben")), ana, ben);
  await look(hers, his);

  for (const breakOff of [(sending) => sending.cancel(), () => line.cut()]) {
    const before = line.bytes.up;
    const prepared = hers.prepareMessage().setBody("Two things.");
    for (const size of [SMALL, BIG]) prepared.addMedia({ contentType: "video/mp4", filename: "v.mp4", media: randomBytes(size) });
    const sending = prepared.build().send();
    const failed = assert.rejects(sending);
    await eventually(() => line.bytes.up - before > BIG / 8);
    breakOff(sending);
    await failed;
    assert.ok(line.bytes.up - before < BIG, "it was in the middle");
  }

  // The line is good again, and what is sent now is the first that is heard.
  await eventually(() => ana.connectionState === "connected");
  const heard = happens(his, "messageAdded");
  assert.equal(await hers.sendMessage("Never mind."), 0);
  assert.equal((await heard).body, "Never mind.");
});
