// Messages of before are history: they are told neither at the start nor when they change, until somebody looks at them.
// Owner's demands: 19.
import assert from "node:assert/strict";
import { backend, enter, happens, named, room, seenBy, story } from "./stage.mjs";

await story(async () => {
  const sid = await room({}, named("ana"), named("ben"));
  const messages = [];
  for (let number = 0; number < 30; number++) {
    messages.push(await backend("POST", `/Conversations/${sid}/Messages`, { Body: `number ${number}` }));
  }
  const change = (index, form) => backend(form ? "POST" : "DELETE", `/Conversations/${sid}/Messages/${messages[index].sid}`, form);

  const ana = await enter(named("ana"));
  const [hers] = await seenBy(sid, ana);
  const told = [];
  hers.on("messageAdded", ({ index }) => told.push(["added", index]));
  hers.on("messageUpdated", ({ message }) => told.push(["updated", message.index]));
  hers.on("messageRemoved", ({ index }) => told.push(["removed", index]));
  assert.deepEqual((await hers.getMessages(5)).items.map(({ index }) => index), [25, 26, 27, 28, 29]);

  // What has been fetched is told of; what has not is not, though it was changed before.
  await change(2, { Body: "changed unseen" });
  await change(3);
  await change(27, { Body: "changed" });
  await change(28);
  const last = happens(hers, "messageAdded");
  await backend("POST", `/Conversations/${sid}/Messages`, { Body: "new" });
  assert.equal((await last).index, 30);
  assert.deepEqual(told, [["updated", 27], ["removed", 28], ["added", 30]]);
  // And whoever looks later sees it as it is.
  const early = (await hers.getMessages(4, 0, "forward")).items;
  assert.deepEqual(early.map(({ index, body }) => [index, body]), [[0, "number 0"], [1, "number 1"], [2, "changed unseen"], [4, "number 4"]]);
});
