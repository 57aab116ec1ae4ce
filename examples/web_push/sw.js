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

async function tell(message) {
  const pages = await self.clients.matchAll({ type: "window", includeUncontrolled: true });
  for (const page of pages) page.postMessage(message);
  return pages;
}

async function open(conversation_sid) {
  const [page] = await tell({ clicked: conversation_sid });
  // A page that has to be opened needs a token of its own: ask your back end for one there.
  return page ? page.focus() : self.clients.openWindow(`./#conversation=${conversation_sid}`);
}
