// A new token in time keeps the connection; a new token too late brings it back; without one it stays away.
// Owner's demands: 13.
import assert from "node:assert/strict";
import { enter, eventually, happens, look, named, room, seenBy, story, token } from "./stage.mjs";

await story(async () => {
  const sid = await room({}, named("ana"), named("ben"));

  const ana = await enter(named("ana"), { with: token(named("ana"), 10) });
  const states = [];
  ana.on("connectionStateChanged", (state) => states.push(state));
  let expired = 0;
  ana.on("tokenExpired", () => expired++);
  await happens(ana, "tokenAboutToExpire");
  await ana.updateToken(token(named("ana"), 3600));
  const [hers] = await seenBy(sid, ana);

  const ben = await enter(named("ben"), { with: token(named("ben"), 5) });
  const [his] = await seenBy(sid, ben);
  const heard = [];
  await look(his);
  his.on("messageAdded", (message) => heard.push(message.body));
  await happens(ben, "tokenExpired");
  await hers.sendMessage("said while he was out");
  assert.deepEqual(heard, []);
  await ben.updateToken(token(named("ben"), 3600));
  await eventually(() => ben.connectionState === "connected", "he is back", 30_000);
  await eventually(() => heard.length === 1);

  await his.sendMessage("back");
  assert.deepEqual([expired, states.filter((state) => state !== "connected")], [0, []]);
});
