// A client starts from nothing, is somebody, registers for push, and ends without a trace.
// Owner's demands: 4.
import assert from "node:assert/strict";
import { all, enter, eventually, happens, named, story } from "./stage.mjs";

await story(async () => {
  const ana = await enter(named("ana"));
  assert.equal(ana.connectionState, "connected");
  assert.equal(ana.user.identity, named("ana"));
  assert.deepEqual(await all(await ana.getSubscribedConversations()), []);

  await ana.user.updateFriendlyName("Ana");
  await eventually(() => ana.user.friendlyName === "Ana");

  await ana.setPushRegistrationId("fcm", "a-registration");
  await ana.setPushRegistrationId("fcm", "another-registration");
  await ana.removePushRegistrations("fcm", "another-registration");

  const ended = happens(ana, "connectionStateChanged", (state) => ["disconnecting", "disconnected"].includes(state));
  await ana.shutdown();
  await ended;

  const again = await enter(named("ana"));
  assert.equal(again.user.friendlyName, "Ana");
});
