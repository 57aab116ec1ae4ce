// A read horizon moves forward and back; the counts follow, and the other one sees how far it is.
// Owner's demands: 20.
import assert from "node:assert/strict";
import { enter, eventually, happens, named, room, seenBy, story } from "./stage.mjs";

await story(async () => {
  const [ana, ben] = await Promise.all([enter(named("ana")), enter(named("ben"))]);
  const [hers, his] = await seenBy(await room({}, named("ana"), named("ben")), ana, ben);
  assert.equal(await his.getUnreadMessagesCount(), null);
  for (let number = 0; number < 5; number++) await hers.sendMessage(`number ${number}`);
  await eventually(async () => (await his.getMessagesCount()) === 5);

  const horizonOf = (index) => ({ participant, updateReasons }) =>
    participant.identity === named("ben") &&
    updateReasons.includes("lastReadMessageIndex") &&
    participant.lastReadMessageIndex === index;

  let seen = happens(hers, "participantUpdated", horizonOf(1));
  assert.equal(await his.updateLastReadMessageIndex(1), 3);
  await seen;
  await eventually(async () => (await his.getUnreadMessagesCount()) === 3);

  assert.equal(await his.advanceLastReadMessageIndex(0), 3);
  assert.equal(his.lastReadMessageIndex, 1);

  seen = happens(hers, "participantUpdated", horizonOf(4));
  assert.equal(await his.setAllMessagesRead(), 0);
  await seen;
  await eventually(async () => (await his.getUnreadMessagesCount()) === 0);

  await hers.sendMessage("one more");
  await eventually(async () => (await his.getUnreadMessagesCount()) === 1);
  await his.sendMessage("mine is read by me");
  await eventually(async () => (await his.getMessagesCount()) === 7);

  seen = happens(hers, "participantUpdated", horizonOf(null));
  await his.setAllMessagesUnread();
  await seen;
  await eventually(async () => (await his.getUnreadMessagesCount()) === null);

  await his.updateLastReadMessageIndex(2);
  await ben.shutdown();
  const later = await enter(named("ben"));
  const [again] = await seenBy(his.sid, later);
  assert.equal(again.lastReadMessageIndex, 2);
  assert.equal(await again.getUnreadMessagesCount(), 4);
});
