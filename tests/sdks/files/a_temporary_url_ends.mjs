// A server whose temporary URLs are good for two seconds: an old one is refused, as is one of another file or server.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { enter, eventually, happens, look, named, room, seenBy, story, upload } from "../stories/stage.mjs";

const OTHER = JSON.parse(process.env.OTHER);

async function answered(url) {
  const answer = await fetch(url);
  const bytes = Buffer.from(await answer.arrayBuffer());
  return answer.ok ? bytes : [answer.status, JSON.parse(bytes).code];
}

/** This place, with the signature of that URL. */
const borrowed = (place, { search }) => Object.assign(new URL(place), { search });

await story(async () => {
  const [ana, ben] = await Promise.all([enter(named("ana")), enter(named("ben"))]);
  const [hers, his] = await seenBy(await room({}, named("ana"), named("ben")), ana, ben);
  await look(hers, his);
  const [first, second] = [randomBytes(100), randomBytes(100)];
  const heard = happens(his, "messageAdded");
  const prepared = hers.prepareMessage();
  for (const media of [first, second]) prepared.addMedia({ contentType: "image/png", filename: "x.png", media });
  await prepared.build().send();
  const [one, two] = (await heard).attachedMedia;

  // Of another file, and of another server; the other's URL is good where it was made.
  const ofOne = new URL(await one.getContentTemporaryUrl());
  const ofTwo = new URL(await two.getContentTemporaryUrl());
  assert.deepEqual([await answered(ofOne), await answered(ofTwo)], [first, second]);
  assert.deepEqual(await answered(borrowed(ofOne, ofTwo)), [403, 20006]);
  const record = await upload({ contentType: "image/png", filename: "x.png", media: first }, OTHER);
  const ofOther = new URL(record.links.content_direct_temporary);
  assert.deepEqual(await answered(ofOther), first);
  assert.deepEqual(await answered(borrowed(ofOne, ofOther)), [403, 20006]);
  assert.deepEqual(await answered(new URL(ofOther.pathname + ofOther.search, ofOne)), [403, 20006]);
  assert.deepEqual(await answered(new URL(ofOne.pathname, ofOne)), [401, 20003]);

  // Too old. A new one is good again.
  await eventually(async () => !Buffer.isBuffer(await answered(ofOne)));
  assert.deepEqual(await answered(ofOne), [403, 20006]);
  assert.deepEqual(await answered(await one.getContentTemporaryUrl()), first);
});
