// The bodies and histories of an e-mail come through as they were written; only of the types that the client was told.
import assert from "node:assert/strict";
import { enter, happens, look, named, room, seenBy, story } from "./stage.mjs";

const PLAIN = "Dear Ben,\n\nyes. ☕\n" + "long ".repeat(20_000);
const HTML = "<p>Dear Ben,</p><p><b>yes.</b> ☕</p>";

const read = async (media) => (await fetch(await media.getContentTemporaryUrl())).text();

await story(async () => {
  const [ana, ben] = await Promise.all([enter(named("ana")), enter(named("ben"))]);
  const [hers, his] = await seenBy(await room({}, named("ana"), named("ben")), ana, ben);
  await look(hers, his);

  const { mediaAttachmentsCountLimit, mediaAttachmentsTotalSizeLimitInMb, ...texts } = hers.limits;
  assert.deepEqual([mediaAttachmentsCountLimit, mediaAttachmentsTotalSizeLimitInMb], [10, 150]);
  assert.deepEqual(texts.emailBodiesAllowedContentTypes, ["text/plain", "text/html"]);
  assert.deepEqual(texts.emailHistoriesAllowedContentTypes, ["text/plain", "text/html"]);

  let heard = happens(his, "messageAdded");
  await hers
    .prepareMessage()
    .setSubject("Re: Saturday?")
    .setBody("Yes.")
    .setEmailBody("text/plain", { contentType: "text/plain", filename: "body.txt", media: PLAIN })
    .setEmailBody("text/html", { contentType: "text/html", filename: "body.html", media: HTML })
    .setEmailHistory("text/plain", { contentType: "text/plain", filename: "history.txt", media: "> Saturday?" })
    .addMedia({ contentType: "application/pdf", filename: "map.pdf", media: Buffer.from("%PDF-") })
    .build()
    .send();
  const message = await heard;
  assert.deepEqual([message.subject, message.body, message.type], ["Re: Saturday?", "Yes.", "media"]);
  assert.deepEqual(message.attachedMedia.map(({ filename }) => filename), ["map.pdf"]);
  assert.deepEqual(message.getMediaByCategories(["body", "history"]).map(({ category, contentType }) => [category, contentType]), [
    ["body", "text/plain"],
    ["body", "text/html"],
    ["history", "text/plain"],
  ]);
  assert.equal(await read(message.getEmailBody()), PLAIN);
  assert.equal(await read(message.getEmailBody("text/html")), HTML);
  assert.equal(await read(message.getEmailHistory()), "> Saturday?");
  assert.equal(message.getEmailHistory("text/html"), null);

  // Bodies alone are no files.
  heard = happens(his, "messageAdded");
  await hers.prepareMessage().setEmailBody("text/html", { contentType: "text/html", media: HTML }).build().send();
  const bare = await heard;
  assert.deepEqual([bare.type, bare.body, bare.attachedMedia], ["text", null, []]);
  assert.equal(await read(bare.getEmailBody("text/html")), HTML);

  // Both, in every type of which the client was told.
  heard = happens(his, "messageAdded");
  const full = hers.prepareMessage();
  const written = (of, contentType) => `${of} as ${contentType} ☕`;
  for (const type of texts.emailBodiesAllowedContentTypes)
    full.setEmailBody(type, { contentType: type, media: written("body", type) });
  for (const type of texts.emailHistoriesAllowedContentTypes)
    full.setEmailHistory(type, { contentType: type, media: written("history", type) });
  await full.build().send();
  const all = await heard;
  for (const type of texts.emailBodiesAllowedContentTypes) assert.equal(await read(all.getEmailBody(type)), written("body", type));
  for (const type of texts.emailHistoriesAllowedContentTypes)
    assert.equal(await read(all.getEmailHistory(type)), written("history", type));
  const urls = await all.getTemporaryContentUrlsForMedia(all.getMediaByCategories(["body", "history"]));
  assert.equal(urls.size, 4);

  // What is not allowed is refused, by the client where it knows and by the server where it does not.
  const markdown = { contentType: "text/markdown", filename: "body.md", media: "**yes**" };
  assert.throws(() => hers.prepareMessage().setEmailBody("text/markdown", markdown).build());
  assert.throws(() => hers.prepareMessage().setEmailHistory("text/markdown", markdown).build());
  for (const forged of [hers.prepareMessage().setEmailBody("text/plain", markdown), hers.prepareMessage().setEmailHistory("text/html", markdown)])
    await assert.rejects(forged.build().send(), ({ body }) => body.code === 50511);
  assert.equal(await his.getMessagesCount(), 3);
});
