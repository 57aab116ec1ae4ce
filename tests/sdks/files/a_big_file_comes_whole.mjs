// The largest file there may be. Whoever watches the server is told when all is warm, and says when to begin.
import assert from "node:assert/strict";
import { createHash, randomFillSync } from "node:crypto";
import { once } from "node:events";
import { enter, happens, look, named, room, seenBy, story } from "../stories/stage.mjs";

const SIZE = Number(process.env.SIZE);

await story(async () => {
  const [ana, ben] = await Promise.all([enter(named("ana")), enter(named("ben"))]);
  const [hers, his] = await seenBy(await room({}, named("ana"), named("ben")), ana, ben);
  await look(hers, his);

  async function goes(media) {
    const heard = happens(his, "messageAdded", () => true, 60_000);
    await hers.sendMessage({ contentType: "video/mp4", filename: "film.mp4", media });
    const [file] = (await heard).attachedMedia;
    assert.deepEqual([file.size, file.contentType], [media.length, "video/mp4"]);
    const answer = await fetch(await file.getContentTemporaryUrl());
    assert.equal(answer.status, 200);
    const got = createHash("sha256");
    for await (const piece of answer.body) got.update(piece);
    assert.equal(got.digest("hex"), createHash("sha256").update(media).digest("hex"));
  }

  await goes(randomFillSync(Buffer.alloc(3 << 20)));
  const big = randomFillSync(Buffer.alloc(SIZE));
  console.log("warm");
  await once(process.stdin, "data");
  await goes(big);
});
