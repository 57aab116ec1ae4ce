// Who is connected and who can be notified is shown to those who look, while the service has reachability.
// Owner's demands: 4.
import assert from "node:assert/strict";
import { backend, enter, eventually, happens, named, serviceSid, sleep, story, token } from "./stage.mjs";

const turn = (on) => backend("POST", `/Services/${serviceSid}/Configuration`, { ReachabilityEnabled: String(on) });

await story(async () => {
  const early = await enter(named("early"));
  assert.equal(early.reachabilityEnabled, false);
  assert.equal(early.user.isOnline, null);

  await turn(true);
  const ana = await enter(named("ana"));
  assert.equal(ana.reachabilityEnabled, true);
  await eventually(() => ana.user.isOnline === true, "ana sees that she is online herself");
  const seen = await ana.getUser(named("early"));
  await eventually(() => seen.isOnline === true, "who was connected already is online");

  const reasons = [];
  seen.on("updated", ({ updateReasons }) => reasons.push(...updateReasons));
  const updated = (reason) => happens(seen, "updated", ({ updateReasons }) => updateReasons.includes(reason));

  let told = updated("reachabilityOnline");
  await early.shutdown();
  await told;
  assert.equal(seen.isOnline, false);
  assert.equal((await backend("GET", `/Users/${named("early")}`)).is_online, false);

  told = updated("reachabilityOnline");
  const again = await enter(named("early"));
  await told;
  assert.equal(seen.isOnline, true);

  // A second device comes and goes, and nobody hears of it.
  reasons.length = 0;
  const second = await enter(named("early"));
  await second.shutdown();
  await sleep(300);
  assert.deepEqual(reasons, []);

  const credential = await backend("POST", "/Credentials", { Type: "fcm", Secret: "of a story" });
  const phone = await enter(named("early"), { with: token(named("early"), 3600, { push_credential_sid: credential.sid }) });
  told = updated("reachabilityNotifiable");
  await phone.setPushRegistrationId("fcm", named("device"));
  await told;
  assert.equal(seen.isNotifiable, true);
  told = updated("reachabilityNotifiable");
  await phone.unsetPushRegistrationId("fcm");
  await told;
  assert.equal(seen.isNotifiable, false);
  await phone.shutdown();

  told = updated("reachabilityOnline");
  await turn(false);
  await told;
  assert.equal(seen.isOnline, null);
  assert.equal((await backend("GET", `/Users/${named("early")}`)).is_online, null);
  await again.shutdown();
});
