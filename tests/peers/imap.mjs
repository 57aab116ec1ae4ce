// A mailbox: npm's hoodiecrow-imap, told by lines of JSON what comes, telling by the same what has been done to it.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(new URL("../sdks/package.json", import.meta.url));
const hoodiecrow = require("hoodiecrow-imap");

const known = JSON.parse(process.env.PEER);
const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);
const pair = known.certificate ? { key: known.private_key, cert: known.certificate } : undefined;

const server = hoodiecrow({
  plugins: known.plugins,
  secureConnection: known.security === "tls",
  credentials: pair,
  storage: { INBOX: { messages: [] }, "": { folders: { Tickets: { messages: [] } } } },
});
server.users[known.username] = { password: known.password, xoauth2: { accessToken: "none" } };
if (!known.keeps_keywords) server.getMailbox("INBOX").allowPermanentFlags = false;

const connections = new Set();
server.server.on(known.security === "tls" ? "secureConnection" : "connection", (socket) => {
  connections.add(socket);
  say({ connected: connections.size });
  socket.on("close", () => connections.delete(socket));
  socket.on("error", () => {});
});

const folder = (name) => server.getMailbox(name);

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const told = JSON.parse(line);
    if (told.append) {
      const raw = Buffer.from(told.append, "base64").toString("binary");
      server.appendMessage(told.folder, told.flags, told.date, raw);
    }
    if (told.validity) {
      for (const [number, one] of folder("INBOX").messages.entries()) one.uid = told.first + number;
      folder("INBOX").uidvalidity = told.validity;
    }
    if (told.reset) for (const name of ["INBOX", "Tickets"]) folder(name).messages.length = 0;
    if (told.cut || told.reset) for (const connection of connections) connection.destroy();
    say({ done: folder(told.folder ?? "INBOX").messages.map((one) => ({ uid: one.uid, flags: one.flags })) });
  })
  .on("close", () => process.exit(0));

server.listen(0, "127.0.0.1", () => say({ port: server.server.address().port }));
