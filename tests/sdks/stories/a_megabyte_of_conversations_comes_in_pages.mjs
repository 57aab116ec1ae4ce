// Somebody in many conversations with much attached sees every one of them, complete, once.
// Owner's demands: 18.
import assert from "node:assert/strict";
import { all, backend, enter, named, story } from "./stage.mjs";

const COUNT = 130;

await story(async () => {
  const expected = new Map();
  const queue = Array.from({ length: COUNT }, (_, number) => number);
  const worker = async () => {
    for (let number = queue.shift(); number !== undefined; number = queue.shift()) {
      const attributes = { number, filling: String(number).padStart(8000, "ä") };
      const made = await backend("POST", "/Conversations", { Attributes: JSON.stringify(attributes) });
      await backend("POST", `/Conversations/${made.sid}/Participants`, { Identity: named("ana") });
      expected.set(made.sid, attributes);
    }
  };
  await Promise.all([worker(), worker(), worker(), worker()]);

  const ana = await enter(named("ana"));
  const first = await ana.getSubscribedConversations();
  assert.ok(first.hasNextPage, "one page cannot hold them");
  const mine = await all(first);
  assert.equal(mine.length, COUNT);
  assert.deepEqual(new Map(mine.map((each) => [each.sid, each.attributes])), expected);
});
