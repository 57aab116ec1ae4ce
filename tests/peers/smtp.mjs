// A mail server that takes mail: npm's smtp-server, told by lines of JSON what to answer, telling by the same what came.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(new URL("../sdks/package.json", import.meta.url));
const { SMTPServer } = require("smtp-server");

const known = JSON.parse(process.env.PEER);
const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);

// By stage (`mail`, `data`) or by address: answers, one after the other; the last one from then on.
const answers = new Map();
const connections = new Set();

function answer(name) {
  const script = answers.get(name);
  if (!script?.length) return null;
  const next = script.length > 1 ? script.shift() : script[0];
  if (next === null) return null;
  return Object.assign(new Error(next.text), { responseCode: next.code });
}

const server = new SMTPServer({
  secure: known.security === "tls",
  key: known.private_key ?? undefined,
  cert: known.certificate ?? undefined,
  disabledCommands: known.security === "starttls" ? [] : ["STARTTLS"],
  authOptional: !known.username,
  allowInsecureAuth: true,
  authMethods: known.methods,
  size: known.size ?? undefined,
  closeTimeout: 100,
  disableReverseLookup: true,
  onConnect(session, done) {
    say({ connected: session.id });
    done(answer("connect"));
  },
  onSecure(socket, session, done) {
    done();
  },
  onAuth(auth, session, done) {
    const isRight =
      auth.username === known.username &&
      (auth.validatePassword ? auth.validatePassword(known.password) : auth.password === known.password);
    say({ login: auth.method, right: isRight, secure: session.secure });
    isRight ? done(null, { user: auth.username }) : done(new Error("no"));
  },
  onMailFrom(address, session, done) {
    done(answer("mail"));
  },
  onRcptTo(address, session, done) {
    done(answer(address.address));
  },
  onData(stream, session, done) {
    const pieces = [];
    stream.on("data", (piece) => pieces.push(piece));
    stream.on("end", () => {
      const script = answers.get("data");
      if (script?.[0]?.stall) return say({ stalled: true });
      if (script?.[0]?.drop) {
        say({ dropped: true });
        for (const connection of connections) connection.destroy();
        return;
      }
      const trouble = answer("data");
      if (!trouble) {
        say({
          mail: Buffer.concat(pieces).toString("base64"),
          from: session.envelope.mailFrom.address,
          options: session.envelope.mailFrom.args || {},
          to: session.envelope.rcptTo.map((one) => one.address),
          hello: session.hostNameAppearsAs,
          secure: session.secure,
          connection: session.id,
        });
      }
      done(trouble);
    });
  },
});
server.server.on("connection", (socket) => {
  connections.add(socket);
  socket.on("close", () => connections.delete(socket));
});
server.on("error", () => {}); // what our side breaks off is what the tests are about

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const told = JSON.parse(line);
    if (told.answers) answers.set(told.at, told.answers);
    if (told.reset) answers.clear();
    if (told.cut || told.reset) for (const connection of connections) connection.destroy();
    say({ done: true });
  })
  .on("close", () => process.exit(0));

server.listen(0, "127.0.0.1", () => say({ port: server.server.address().port }));
