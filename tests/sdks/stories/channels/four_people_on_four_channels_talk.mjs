// One has the SDK, the others SMS, WhatsApp and e-mail: each hears the three others once and in order, and what became of
// every message is known.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { enter, eventually, happens, look, named, story } from "../stage.mjs";
import { becomes, cameTo, world } from "./world.mjs";

const OURS = { sms: "+15550001111", whatsapp: "whatsapp:+15550100001", email: "support@shop.example" };
const ANA = "+15550002222";
const BERTA = "whatsapp:+15550177123";
const CLARA = "clara@home.example";

const read = async (media) => (await fetch(await media.getContentTemporaryUrl())).text();
const words = (mails) => mails.map(({ text }) => text);

await story(async () => {
  const dora = await enter(named("dora"));
  const room = await dora.createConversation({ friendlyName: "Order 7" });
  const { sid } = room;
  await room.join();
  await look(room);
  const heard = [];
  room.on("messageAdded", (message) => heard.push(message));
  const moved = new Set();
  room.on("messageUpdated", ({ message, updateReasons }) => updateReasons.includes("deliveryReceipt") && moved.add(message.sid));
  const hears = async (author, body) => {
    const message = await eventually(() => heard.find((one) => one.body === body), `dora hears ${body}`);
    assert.equal(message.author, author);
    return message;
  };

  // Two are added by the back end, one by the SDK.
  const ana = await world.add({ room: sid, address: ANA, proxy: OURS.sms });
  const berta = await world.add({ room: sid, address: BERTA, proxy: OURS.whatsapp });
  await room.addNonChatParticipant(OURS.email, CLARA, { tea: true }, { email: { name: "Clara", level: "to" } });
  const people = await eventually(async () => {
    const all = await room.getParticipants();
    return all.length === 4 && all;
  });
  const of = (type) => people.find((person) => person.type === type);
  assert.deepEqual(people.map(({ type }) => type).sort(), ["chat", "email", "sms", "whatsapp"]);
  assert.deepEqual([of("sms").sid, of("whatsapp").sid, of("chat").identity], [ana.sid, berta.sid, named("dora")]);
  assert.deepEqual([ana.binding.type, ana.binding.address, ana.binding.proxy_address], ["sms", ANA, OURS.sms]);
  assert.deepEqual([berta.binding.type, berta.binding.address], ["whatsapp", BERTA]);
  const clara = of("email");
  assert.deepEqual(clara.bindings, { email: { address: CLARA, level: "to", name: "Clara" } });
  assert.deepEqual([clara.identity, clara.attributes, of("sms").bindings], [null, { tea: true }, {}]);

  // Berta has not written yet: WhatsApp lets nobody write to her. The others get it.
  await room.prepareMessage().setSubject("Your order").setBody("Is everybody here?").build().send();
  const early = await hears(named("dora"), "Is everybody here?");
  await becomes(() => cameTo(early), { total: 3, sent: "some", delivered: "some", failed: "some" });
  await becomes(
    async () => (await early.getDetailedDeliveryReceipts()).map(({ status, errorCode }) => `${status} ${errorCode}`).sort(),
    ["delivered 0", "failed 63016", "sent 0"],
  );
  const [refused] = (await early.getDetailedDeliveryReceipts()).filter(({ status }) => status === "failed");
  assert.equal(refused.participantSid, berta.sid);
  assert.deepEqual([refused.messageSid, refused.conversationSid], [early.sid, sid]);

  // Each says something.
  await world.bertaWrites({ text: "Berta is here" });
  await hears(BERTA, "Berta is here");
  await world.anaWrites({ text: "and Ana" });
  await hears(ANA, "and Ana");
  await becomes(async () => words(await world.claraHas()), ["Is everybody here?", "Berta is here", "and Ana"]);
  await world.claraWrites({ text: "Clara, too", html: "<p>Clara, <b>too</b></p>" });
  const letter = await hears(CLARA, "Clara, too");
  await room.sendMessage("Good. Then let us begin.");
  const begin = await hears(named("dora"), "Good. Then let us begin.");

  await becomes(() => world.anaHas(), ["Is everybody here?", "Berta is here", "Clara, too", "Good. Then let us begin."]);
  await becomes(() => world.bertaHas(), ["and Ana", "Clara, too", "Good. Then let us begin."]);
  await becomes(async () => words(await world.claraHas()), ["Is everybody here?", "Berta is here", "and Ana", "Good. Then let us begin."]);
  assert.deepEqual(heard.map(({ index }) => index), [0, 1, 2, 3, 4]);
  const senders = new Map(people.map((person) => [person.sid, person.type]));
  assert.deepEqual(heard.map(({ participantSid }) => senders.get(participantSid)), ["chat", "whatsapp", "sms", "email", "chat"]);

  // What Clara wrote is there as she wrote it: the words alone, the whole with its quotation, and the page.
  assert.equal(letter.subject, "Re: your order");
  assert.deepEqual(letter.attachedMedia, []);
  assert.match(await read(letter.getEmailBody()), /^Clara, too[\s\S]*> and Ana/);
  assert.match(await read(letter.getEmailBody("text/html")), /<b>too<\/b>/);
  assert.match(await read(letter.getEmailHistory()), /> and Ana/);
  const mails = await world.claraHas();
  assert.deepEqual(mails.map(({ subject }) => subject), ["Your order", "Re: Your order", "Re: Your order", "Re: your order"]);

  // It is known what became of it: Ana's operator has said so already, Clara's mail server and Berta do now.
  await becomes(() => cameTo(begin), { total: 3, sent: "all", delivered: "some" });
  await world.clarasServerReports();
  const reads = happens(room, "participantUpdated", ({ participant }) => participant.sid === berta.sid);
  await world.bertaReads();
  const { participant, updateReasons } = await reads;
  assert.ok(updateReasons.includes("lastReadMessageIndex"), `${updateReasons}`);
  await becomes(() => participant.lastReadMessageIndex, begin.index);
  await becomes(() => cameTo(begin), { total: 3, sent: "all", delivered: "all", read: "some" });
  const receipts = await begin.getDetailedDeliveryReceipts();
  const became = Object.fromEntries(receipts.map((one) => [senders.get(one.participantSid), `${one.channelMessageSid.slice(0, 2)} ${one.status}`]));
  assert.deepEqual(became, { sms: "SM delivered", whatsapp: "WA read", email: "EM delivered" });

  // Files: of Berta and Clara to the SDK, and from the SDK to them.
  const content = createHash("sha512").update("a photo").digest("hex");
  await world.bertaSendsAPhoto({ caption: "Us", content });
  const photo = await hears(BERTA, "Us");
  assert.deepEqual(photo.attachedMedia.map(({ contentType, size }) => [contentType, size]), [["image/jpeg", content.length]]);
  assert.equal(await read(photo.attachedMedia[0]), content);
  await world.claraWrites({ text: "The bill", file: ["bill.pdf", `%PDF-${content}`] });
  const bill = await hears(CLARA, "The bill");
  assert.deepEqual(bill.attachedMedia.map(({ filename, contentType }) => [filename, contentType]), [["bill.pdf", "application/pdf"]]);
  assert.equal(await read(bill.attachedMedia[0]), `%PDF-${content}`);
  const map = { contentType: "image/png", filename: "map.png", media: Buffer.from(content) };
  await room.prepareMessage().setBody("The way").addMedia(map).build().send();
  const way = await hears(named("dora"), "The way");
  await becomes(async () => (await world.bertaHas()).slice(3), [`The bill [${content.length + 5}]`, `The way [${content.length}]`]);
  await becomes(async () => (await world.claraHas()).slice(4).map(({ text, files }) => [text, files[0].at(-1)]), [
    ["Us", content.length],
    ["The way", content.length],
  ]);
  // An SMSC carries words alone.
  await becomes(async () => (await world.anaHas()).slice(4), ["Us", "The bill", "The way"]);
  await becomes(() => cameTo(way), { total: 3, sent: "all", delivered: "some" });

  // All at once: everybody gets the others' words in the order that they have in the conversation.
  const before = { ana: (await world.anaHas()).length, berta: (await world.bertaHas()).length, clara: (await world.claraHas()).length };
  const count = heard.length;
  await Promise.all([
    ...Array.from({ length: 10 }, (_, number) => room.sendMessage(`line ${number}`)),
    world.anaWrites({ text: "Ana says" }),
    world.bertaWrites({ text: "Berta says" }),
    world.claraWrites({ text: "Clara says" }),
  ]);
  await eventually(() => heard.length === count + 13, "dora hears all");
  const order = heard.slice(count).map(({ body }) => body);
  const without = (name) => order.filter((body) => body !== `${name} says`);
  await becomes(async () => (await world.anaHas()).slice(before.ana), without("Ana"));
  await becomes(async () => (await world.bertaHas()).slice(before.berta), without("Berta"));
  await becomes(async () => words(await world.claraHas()).slice(before.clara), without("Clara"));
  await eventually(() => heard.every(({ sid }) => moved.has(sid)), "dora is told of every receipt");

  // The receipts are the same to who comes later, and nobody has heard anything twice.
  const again = (await room.getMessages()).items;
  assert.deepEqual(again.map(({ body }) => body), heard.map(({ body }) => body));
  assert.deepEqual(cameTo(again[0]), { total: 3, sent: "some", delivered: "some", failed: "some" });
});
