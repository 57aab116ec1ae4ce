// The smallest chat that shows everything: words, who types, and how far the other has read.
const seen = (id) => document.getElementById(id);
const { token, ws, room } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
const client = new Twilio.Conversations.Client(token, { Twilsock: { uri: ws } });

client.on("connectionStateChanged", (state) => (seen("state").textContent = state));
client.on("initFailed", ({ error }) => (seen("state").textContent = `failed: ${error?.message}`));
client.on("initialized", async () => {
  const me = client.user.identity;
  seen("who").textContent = me;
  const conversation = await client.getConversationByUniqueName(room);

  const show = async (message) => {
    const item = document.createElement("li");
    item.className = message.author === me ? "mine" : "";
    item.dataset.index = message.index;
    item.append(message.body);
    const note = document.createElement("small");
    note.textContent = message.author;
    item.append(note);
    seen("messages").append(item);
    if (message.author !== me) await conversation.advanceLastReadMessageIndex(message.index);
  };
  const read = ({ identity, lastReadMessageIndex }) => {
    if (identity === me || lastReadMessageIndex === null) return;
    for (const item of document.querySelectorAll("li.mine"))
      if (Number(item.dataset.index) <= lastReadMessageIndex)
        item.querySelector("small").textContent = `${me} · read by ${identity}`;
  };

  conversation.on("messageAdded", show);
  conversation.on("participantUpdated", ({ participant }) => read(participant));
  conversation.on("typingStarted", ({ identity }) => (seen("typing").textContent = `${identity} is typing …`));
  conversation.on("typingEnded", () => (seen("typing").textContent = "\u00a0"));
  for (const message of (await conversation.getMessages()).items) await show(message);
  (await conversation.getParticipants()).forEach(read);

  seen("text").addEventListener("input", () => conversation.typing());
  seen("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = seen("text").value;
    seen("text").value = "";
    await conversation.sendMessage(text);
  });
  document.documentElement.dataset.ready = "yes";
});
