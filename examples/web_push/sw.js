// What was pushed is shown, because browsers insist, and told to the pages that are open.
self.addEventListener("push", (event) => {
  const payload = event.data.json();
  const { twi_title, twi_body, twi_message_id, conversation_title, conversation_sid } = payload.data;
  const title = twi_title ?? conversation_title ?? "News";
  // The same id at every attempt of the server: what comes twice is shown once.
  const shown = { body: twi_body, tag: twi_message_id, data: { conversation_sid } };
  event.waitUntil(Promise.all([self.registration.showNotification(title, shown), tell({ payload })]));
});

self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil(open(event.notification.data.conversation_sid));
});

// The page that was used last comes first.
const pages = () => self.clients.matchAll({ type: "window", includeUncontrolled: true });

async function tell(message) {
  for (const page of await pages()) page.postMessage(message);
}

// A test of the operator's belongs to no conversation.
async function open(conversation_sid) {
  const [page] = await pages();
  if (!page) return self.clients.openWindow(conversation_sid ? `./#conversation=${conversation_sid}` : "./");
  page.postMessage({ clicked: conversation_sid });
  return page.focus();
}
