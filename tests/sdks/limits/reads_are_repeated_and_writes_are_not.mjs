// A server with limits: what is written too fast fails at once and says why, what is read too fast only takes longer.
import assert from "node:assert/strict";
import { enter, eventually, named, room, seenBy, sleep, story } from "../stories/stage.mjs";

const REQUESTS_PER_S = Number(process.env.REQUESTS_PER_S);

await story(async () => {
  const ana = await enter(named("ana"));
  const [hers] = await seenBy(await room({}, named("ana")), ana);
  await hers.sendMessage("the first");
  const { items } = await eventually(async () => {
    const page = await hers.getMessages();
    return page.items.length > 0 && page;
  }, "the message is there");

  await sleep(1100);
  const sent = await Promise.allSettled([...Array(6).keys()].map((number) => hers.sendMessage(`number ${number}`)));
  const refused = sent.filter(({ status }) => status === "rejected").map(({ reason }) => reason);
  assert.ok(refused.length >= 3, `${refused.length} were refused`);
  for (const { status, body } of refused) assert.deepEqual([status, body.code], [429, 50063]);

  await sleep(1100);
  const started = Date.now();
  const reads = [...Array(2 * REQUESTS_PER_S).keys()].map(() => items[0].getDetailedDeliveryReceipts());
  for (const receipts of await Promise.all(reads)) assert.deepEqual(receipts, []);
  assert.ok(Date.now() - started >= 900, "some of them had to come again");
});
