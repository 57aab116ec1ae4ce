// One sends files, alone, several and with words; the other hears of them, fetches them, and has the very bytes.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { backend, enter, eventually, happens, look, named, room, seenBy, story, upload } from "./stage.mjs";

const hash = (bytes) => createHash("sha256").update(bytes).digest("hex");

async function fetched(url) {
  const answer = await fetch(url);
  return { status: answer.status, type: answer.headers.get("content-type"), hash: hash(Buffer.from(await answer.arrayBuffer())) };
}

const described = (media) => [media.filename, media.contentType, media.size, media.category];

await story(async () => {
  const [ana, ben, eve] = await Promise.all([enter(named("ana")), enter(named("ben")), enter(named("eve"))]);
  const [hers, his] = await seenBy(await room({}, named("ana"), named("ben")), ana, ben);
  await look(hers, his);

  // A file alone.
  const big = randomBytes(5 << 20);
  let heard = happens(his, "messageAdded");
  assert.equal(await hers.sendMessage({ contentType: "image/png", filename: "a cat & a dog.png", media: big }, { mood: "fine" }), 0);
  const alone = await heard;
  assert.deepEqual([alone.type, alone.body, alone.attributes, alone.author], ["media", null, { mood: "fine" }, named("ana")]);
  assert.deepEqual(alone.attachedMedia.map(described), [["a cat & a dog.png", "image/png", big.length, "media"]]);
  assert.deepEqual(described(alone.media).slice(0, 3), described(alone.attachedMedia[0]).slice(0, 3));
  const url = await alone.attachedMedia[0].getContentTemporaryUrl();
  assert.deepEqual(await fetched(url), { status: 200, type: "image/png", hash: hash(big) });
  assert.notEqual((await fetched(url.slice(0, -1) + (url.endsWith("A") ? "B" : "A"))).status, 200);

  // Several, with words.
  const parts = [randomBytes(1), randomBytes(1024), Buffer.from("Grüße ☕\n")];
  const types = ["application/octet-stream", "audio/mpeg", "text/plain"];
  heard = happens(his, "messageAdded");
  const prepared = hers.prepareMessage().setBody("Three things.").setSubject("things");
  parts.forEach((media, n) => prepared.addMedia({ contentType: types[n], filename: n ? `${n}.bin` : undefined, media }));
  assert.equal(await prepared.build().send(), 1);
  const several = await heard;
  assert.deepEqual([several.type, several.body, several.subject], ["media", "Three things.", "things"]);
  assert.deepEqual(several.attachedMedia.map(described), [
    [null, types[0], 1, "media"],
    ["1.bin", types[1], 1024, "media"],
    ["2.bin", types[2], 12, "media"],
  ]);
  const own = (await hers.getMessages()).items[1];
  const sids = several.attachedMedia.map(({ sid }) => sid);
  for (const asked of [
    own.getTemporaryContentUrlsForAttachedMedia(),
    several.getTemporaryContentUrlsForAttachedMedia(),
    several.getTemporaryContentUrlsForMedia(several.attachedMedia),
    several.getTemporaryContentUrlsForMediaSids(sids),
    ben.getTemporaryContentUrlsForMedia(several.attachedMedia),
    ben.getTemporaryContentUrlsForMediaSids(sids),
  ]) {
    const urls = await asked;
    assert.deepEqual([...urls.keys()], sids);
    for (const [n, sid] of sids.entries()) assert.equal((await fetched(urls.get(sid))).hash, hash(parts[n]));
  }

  // A text as a file; and a file that a back end attaches.
  heard = happens(his, "messageAdded");
  await hers.sendMessage({ contentType: "text/markdown", filename: "notes.md", media: "# Notes ☕" });
  const [notes] = (await heard).attachedMedia;
  assert.equal((await fetched(await notes.getContentTemporaryUrl())).hash, hash(Buffer.from("# Notes ☕")));

  const photo = randomBytes(2048);
  const kept = await upload({ contentType: "image/jpeg", filename: "photo.jpg", media: photo });
  heard = happens(his, "messageAdded");
  await backend("POST", `/Conversations/${hers.sid}/Messages`, { Author: "shop", MediaSid: kept.sid });
  const sold = await heard;
  assert.deepEqual([sold.author, sold.type, sold.body], ["shop", "media", null]);
  assert.deepEqual(sold.attachedMedia.map(described), [["photo.jpg", "image/jpeg", 2048, "media"]]);
  assert.equal((await fetched(await sold.attachedMedia[0].getContentTemporaryUrl())).hash, hash(photo));

  // Whoever is not among them gets nothing.
  await assert.rejects(eve.getTemporaryContentUrlsForMediaSids([notes.sid]));
  await assert.rejects(eve.getTemporaryContentUrlsForMedia([notes]));

  // A change leaves the files; the words beside them stay.
  const changed = happens(several, "updated");
  await own.updateAttributes({ seen: true });
  assert.deepEqual((await changed).updateReasons.filter((reason) => reason === "media"), []);
  assert.equal(several.attachedMedia.length, 3);
  await assert.rejects(own.updateBody("Four things."), ({ body }) => body.code === 50509);

  // What is taken back is gone.
  const gone = happens(his, "messageRemoved");
  await (await hers.getMessages(1, 0, "forward")).items[0].remove();
  await gone;
  assert.equal((await fetched(url)).status, 404);
  await assert.rejects(ben.getTemporaryContentUrlsForMediaSids([alone.attachedMedia[0].sid]));
  await assert.rejects(ana.getTemporaryContentUrlsForMedia(alone.attachedMedia));

  // In the account's eyes.
  const [first, second, third] = (await backend("GET", `/Conversations/${hers.sid}/Messages`)).messages;
  assert.deepEqual(first.media.map((media) => media.filename), [null, "1.bin", "2.bin"]);
  assert.deepEqual([second.body, second.media[0].content_type], [null, "text/markdown"]);
  assert.deepEqual([third.author, third.media[0].sid], ["shop", kept.sid]);
  await eventually(async () => (await his.getMessagesCount()) === 3);
});
