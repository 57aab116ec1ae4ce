// A client that has started knows its conversations by events and by pages: between them none is missing.
// Owner's demands: 17, 18.
import assert from "node:assert/strict";
import { all, backend, eventually, happens, named, newClient, room, story } from "./stage.mjs";

const BEFORE = 120;
const MEANWHILE = 15;

await story(async () => {
  const expected = new Set();
  const joined = async () => expected.add(await room({}, named("ana")));
  const queue = Array.from({ length: BEFORE }, (_, number) => number);
  const worker = async () => {
    while (queue.pop() !== undefined) await joined();
  };
  await Promise.all([worker(), worker(), worker(), worker()]);

  const ana = newClient(named("ana"));
  const told = [];
  ana.on("conversationAdded", (conversation) => told.push(conversation));
  await happens(ana, "initialized");
  const paging = ana.getSubscribedConversations().then(all);
  const gone = await room({}, named("ana"));
  for (let number = 0; number < MEANWHILE; number++) await joined();
  await backend("DELETE", `/Conversations/${gone}`);
  const paged = await paging;

  // Whoever was in before is on the pages, and each conversation once.
  assert.equal(new Set(paged.map(({ sid }) => sid)).size, paged.length);
  assert.ok(paged.length >= BEFORE, `${paged.length} on the pages`);
  // Pages and events together have all; and the events alone have all in the end.
  await eventually(() => new Set([...paged, ...told].map(({ sid }) => sid)).size >= BEFORE + MEANWHILE);
  await eventually(() => [...expected].every((sid) => told.some((one) => one.sid === sid)), "an event for each of them");
  const known = new Map(told.map((conversation) => [conversation.sid, conversation]));
  for (const conversation of paged) {
    if (conversation.sid !== gone) assert.equal(conversation, known.get(conversation.sid), "the same object from both");
  }
});
