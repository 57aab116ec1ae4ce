// The line is cut again and again, while she is silent and while she sends: afterwards all have the same, once.
// Owner's demands: 2, 3.
import assert from "node:assert/strict";
import { stretch } from "./proxy.mjs";
import { atTheEnd, backend, enter, eventually, happens, look, named, room, seenBy, sleep, story } from "./stage.mjs";

await story(async () => {
  const line = await stretch(JSON.parse(process.env.SERVER).ws_url);
  atTheEnd(() => line.close());
  const [ana, ben] = await Promise.all([enter(named("ana"), { url: line.url }), enter(named("ben"))]);
  const sid = await room({}, named("ana"), named("ben"));
  const [hers, his] = await seenBy(sid, ana, ben);
  const heard = [];
  const gone = [];
  hers.on("messageAdded", (message) => heard.push(message.index));
  hers.on("messageRemoved", (message) => gone.push(message.index));
  await look(hers, his);
  for (let number = 0; number < 5; number++) await his.sendMessage(`before ${number}`);
  await eventually(() => heard.length === 5);

  // Away: what happens meanwhile is told when she is back.
  const away = happens(ana, "connectionStateChanged", (state) => state !== "connected");
  line.cut(false);
  await away;
  for (let number = 5; number < 45; number++) await his.sendMessage(`away ${number}`);
  const old = (await his.getMessages(5, 0, "forward")).items;
  await old[3].updateBody("changed while she was away");
  await old[4].remove();
  await backend("POST", `/Conversations/${sid}`, { FriendlyName: "renamed while she was away" });
  const back = happens(ana, "connectionStateChanged", (state) => state === "connected", 30_000);
  line.isUp = true;
  await back;
  await eventually(() => heard.length === 45 && gone.length === 1 && hers.friendlyName?.startsWith("renamed"));
  assert.equal((await hers.getMessages(1, 3, "forward")).items[0].body, "changed while she was away");

  // Sending: whatever was acknowledged is there once, whatever was not is there once or not at all.
  const sent = [];
  const sending = (async () => {
    for (let number = 0; number < 40; number++) {
      const body = `sent ${number}`;
      sent.push({ body, index: await hers.sendMessage(body).catch(() => null) });
      await sleep(25);
    }
  })();
  for (let times = 0; times < 4; times++) {
    await sleep(400);
    line.cut();
  }
  await sending;
  await eventually(() => ana.connectionState === "connected", "connected again", 30_000);
  const last = await hers.sendMessage("the end");
  await eventually(() => heard.includes(last));
  assert.ok(line.connections >= 4, `${line.connections} connections`);

  const theirs = [];
  for (let page = await his.getMessages(100, 0, "forward"); ; page = await page.nextPage()) {
    theirs.push(...page.items);
    if (!page.hasNextPage) break;
  }
  await eventually(() => heard.length === theirs.length + 1, "she heard all");
  assert.deepEqual([...heard].sort((a, b) => a - b), [...new Set(heard)].sort((a, b) => a - b), "nothing twice");
  assert.deepEqual(theirs.map((message) => message.index), [...heard].sort((a, b) => a - b).filter((index) => index !== 4));
  for (const { body, index } of sent) {
    const found = theirs.filter((message) => message.body === body).map((message) => message.index);
    assert.deepEqual(found, index === null ? found.slice(0, 1) : [index], body);
  }
  assert.ok(sent.filter(({ index }) => index !== null).length >= 20, "most were acknowledged");
});
