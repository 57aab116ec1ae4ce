// What the stories share: the SDK under test, clients that end with the story, and ways to wait.
import { createHmac, randomBytes } from "node:crypto";
import { createRequire } from "node:module";

const here = JSON.parse(process.env.SERVER);
const { Client } = createRequire(import.meta.url)(process.env.SDK);

const PATIENCE_MS = 15_000;
const clients = [];
const endings = [];
const run = randomBytes(4).toString("hex");

/** The service that everybody is in. */
export const serviceSid = here.service_sid;

/** An identity that no other story has. */
export const named = (name) => `${name}-${run}`;

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** An access token as a back end signs it. */
export function token(identity, ttl = 3600, more = {}) {
  const now = Math.floor(Date.now() / 1000);
  const grants = { identity, chat: { service_sid: here.service_sid, ...more } };
  const claims = { jti: randomBytes(8).toString("hex"), iss: here.api_key, sub: here.account_sid, exp: now + ttl, grants };
  const signed = `${part({ typ: "JWT", alg: "HS256", cty: "twilio-fpa;v=1" })}.${part(claims)}`;
  return `${signed}.${createHmac("sha256", here.api_secret).update(signed).digest("base64url")}`;
}

/** A client that has just begun to connect. */
export function newClient(identity, { url = here.ws_url, with: given = token(identity) } = {}) {
  const client = new Client(given, { Twilsock: { uri: url } });
  clients.push(client);
  return client;
}

/** A client that has initialised; `events` has the names of all that it told. */
export async function enter(identity, how = {}) {
  const client = newClient(identity, how);
  await happens(client, "initialized");
  return client;
}

/** The argument of the next such event for which `holds`. */
export function happens(emitter, event, holds = () => true, ms = PATIENCE_MS) {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`no ${event} within ${ms} ms`)), ms);
    const listener = (subject) => {
      if (!holds(subject)) return;
      clearTimeout(late);
      emitter.off(event, listener);
      resolve(subject);
    };
    emitter.on(event, listener);
  });
}

/** Resolves once `holds` does; for what comes true some time after an answer. */
export async function eventually(holds, what = String(holds), ms = PATIENCE_MS) {
  for (const end = Date.now() + ms; ; await sleep(20)) {
    const value = await holds();
    if (value) return value;
    if (Date.now() > end) throw new Error(`never came true: ${what}`);
  }
}

/** Every item, page after page. */
export async function all(paginator) {
  const items = [...paginator.items];
  for (let page = paginator; page.hasNextPage; ) {
    page = await page.nextPage();
    items.push(...page.items);
  }
  return items;
}

const basic = (where) => `Basic ${Buffer.from(`${where.account_sid}:${where.auth_token}`).toString("base64")}`;

/** The back end's side: one call of the account API, with a form or with JSON. */
export async function backend(method, path, form, json) {
  const answer = await fetch(`${here.base_url}/v1${path}`, {
    method,
    headers: { authorization: basic(here) },
    body: json ? JSON.stringify(json) : form && new URLSearchParams(form),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return text && JSON.parse(text);
}

/** A file that a back end hands in, here or at another server: its record. */
export async function upload({ contentType, filename, media }, where = here) {
  const url = `${where.base_url}/v1/Services/${where.service_sid}/Media?${new URLSearchParams({ Filename: filename })}`;
  const headers = { authorization: basic(where), "content-type": contentType };
  const answer = await fetch(url, { method: "POST", headers, body: media });
  if (answer.status !== 201) throw new Error(`${url}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

/** A room made by the back end, in which these are. */
export async function room(form, ...identities) {
  const made = await backend("POST", "/Conversations", form);
  for (const identity of identities) await backend("POST", `/Conversations/${made.sid}/Participants`, { Identity: identity });
  return made.sid;
}

/** The same room as each of these clients sees it. */
export const seenBy = (sid, ...them) =>
  Promise.all(them.map((client) => eventually(() => client.getConversationBySid(sid).catch(() => null), "the room is visible")));

/** They look into the room: from here on they hear what is said in it. Before, a message is history, and no event. */
export const look = (...rooms) => Promise.all(rooms.map((room) => room.getMessages()));

/** The same, and for what is said once and never repeated: each has heard something, so their lines are open. */
export async function settle(hers, his) {
  await look(hers, his);
  const heard = [happens(hers, "messageAdded"), happens(his, "messageAdded")];
  await hers.sendMessage("is this on?");
  await Promise.all(heard);
}

/** Runs when the story is over, however it ends. */
export const atTheEnd = (action) => endings.push(action);

// What an SDK leaves unhandled while it is being cut off on purpose is its own business, and printed if the story fails.
const leftovers = [];
process.on("unhandledRejection", (reason) => leftovers.push(reason));

/** Plays a story; the exit code says how it went. */
export async function story(play) {
  const started = Date.now();
  let code = 0;
  try {
    await play();
  } catch (trouble) {
    console.error(trouble);
    for (const leftover of leftovers) console.error("left unhandled:", leftover);
    code = 1;
  }
  await Promise.race([Promise.allSettled(clients.map((client) => client.shutdown())), sleep(3000)]);
  for (const action of endings) await action();
  console.log(`${Date.now() - started} ms`);
  process.exit(code);
}
