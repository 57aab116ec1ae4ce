// A device registers at every start, under the address it has now; it stops being woken for who has logged out.
// Owner's demands: 6, 7, 8.
import assert from "node:assert/strict";
import { backend, enter, eventually, named, serviceSid, story, token } from "./stage.mjs";

const credential = (await backend("POST", "/Credentials", { Type: "fcm", Secret: "of a story" })).sid;
const phone = { push_credential_sid: credential, endpoint_id: named("phone") };
const as = (identity) => enter(identity, { with: token(identity, 3600, phone) });
const devices = async (identity) => {
  const query = new URLSearchParams({ Identity: identity });
  const { bindings } = await backend("GET", `/Services/${serviceSid}/Bindings?${query}`);
  return bindings.map(({ endpoint, sid }) => [endpoint, sid]);
};
const count = (identity, number) => eventually(async () => (await devices(identity)).length === number, `${number} devices`);

await story(async () => {
  let ana = await as(named("ana"));
  await ana.setPushRegistrationId("fcm", named("first"));
  await count(named("ana"), 1);
  const first = await devices(named("ana"));

  // The next start, with the same address: nothing new.
  await ana.shutdown();
  ana = await as(named("ana"));
  await ana.setPushRegistrationId("fcm", named("first"));
  await count(named("ana"), 1);
  assert.deepEqual(await devices(named("ana")), first);

  // The system gives the device another address.
  await ana.setPushRegistrationId("fcm", named("second"));
  await eventually(async () => {
    const now = await devices(named("ana"));
    return now.length === 1 && now[0][1] !== first[0][1];
  }, "the new address alone");

  // Somebody else uses the device: with goodbye, and without.
  await ana.unsetPushRegistrationId("fcm");
  await count(named("ana"), 0);
  await ana.setPushRegistrationId("fcm", named("second"));
  await count(named("ana"), 1);
  await ana.shutdown();
  const ben = await as(named("ben"));
  await ben.setPushRegistrationId("fcm", named("second"));
  await count(named("ben"), 1);
  await count(named("ana"), 0);
});
