// The back end keeps templates; a client lists them, sends one with words of its own, and the other sees what it has become.
import assert from "node:assert/strict";
import { backend, enter, happens, look, named, room, seenBy, story } from "./stage.mjs";

const actions = [
  { type: "QUICK_REPLY", title: "Yes, {{name}}", id: "yes" },
  { type: "QUICK_REPLY", title: "No", id: "no" },
];

await story(async () => {
  const kept = await backend("POST", "/Content", undefined, {
    friendly_name: named("invitation"),
    language: "en",
    variables: { name: "friend" },
    types: { "twilio/text": { body: "Come, {{name}}!" }, "twilio/quick-reply": { body: "Will you come?", actions } },
  });
  const [ana, ben] = await Promise.all([enter(named("ana")), enter(named("ben"))]);
  const [hers, his] = await seenBy(await room({}, named("ana"), named("ben")), ana, ben);
  await look(hers, his);

  const template = (await ana.getContentTemplates()).find(({ sid }) => sid === kept.sid);
  assert.equal(template.friendlyName, named("invitation"));
  assert.deepEqual(template.variables.map(({ name, value }) => [name, value]), [["name", "friend"]]);
  assert.deepEqual([...template.variants.keys()].sort(), ["twilio/quick-reply", "twilio/text"]);
  assert.equal(template.variants.get("twilio/text").body, "Come, {{name}}!");
  assert.equal(template.dateCreated.getTime(), template.dateUpdated.getTime());

  let heard = happens(his, "messageAdded");
  const words = template.variables.map((variable) => variable.copyWithValue("Ben"));
  await hers.prepareMessage().setContentTemplate(kept.sid, words).build().send();
  const message = await heard;
  assert.deepEqual([message.body, message.contentSid, message.author], ["Come, Ben!", kept.sid, named("ana")]);
  assert.equal(message.attachedMedia?.length ?? 0, 0);
  const { rawData, ...shown } = await message.getContentData();
  assert.deepEqual(shown, {
    type: "quickReply",
    body: "Will you come?",
    replies: [{ ...actions[0], title: "Yes, Ben" }, actions[1]],
  });

  heard = happens(his, "messageAdded");
  await hers.prepareMessage().setContentTemplate(kept.sid).build().send();
  assert.equal((await heard).body, "Come, friend!");

  heard = happens(his, "messageAdded");
  const given = { ContentSid: kept.sid, ContentVariables: JSON.stringify({ name: "Eve" }) };
  await backend("POST", `/Conversations/${hers.sid}/Messages`, given);
  const invited = await heard;
  assert.deepEqual([invited.body, invited.contentSid], ["Come, Eve!", kept.sid]);
  assert.equal((await invited.getContentData()).replies[0].title, "Yes, Eve");

  await backend("DELETE", `/Content/${kept.sid}`);
  const again = (await his.getMessages(1, 0, "forward")).items[0];
  assert.equal((await again.getContentData()).replies[0].title, "Yes, Ben");
  heard = happens(his, "messageAdded");
  await hers.sendMessage("Just words.");
  assert.equal(await (await heard).getContentData(), null);
});
