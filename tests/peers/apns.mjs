// Apple's push service on loopback, in Node's own HTTP/2, TLS and cryptography.
// The environment's PEER says whom it knows; a line of JSON on stdin says what it answers from then on and is answered
// by a line; each push that came is a line on stdout. It ends when stdin does.

import crypto from 'node:crypto';
import http2 from 'node:http2';
import readline from 'node:readline';

const known = JSON.parse(process.env.PEER);
// known: {certificate, private_key, client_authority?, keys: {key id: {team, public_key}}, topics: [], max_streams?,
//         quiet?}

const HOUR_S = 3600;
const UPDATES_S = 20 * 60;
const TYPES = new Set(['alert', 'background', 'voip', 'complication', 'fileprovider', 'mdm', 'liveactivity', 'location']);
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

const answers = new Map(); // device token → answers still to give; the last one stays
const tokens = new Map(); // key id → the newest token and when it was made
const stalled = new Set();
let now_s = null; // the time as told; null is this machine's
let connections = 0;
let underWay = 0; // pushes that were begun and are not answered

const say = (line) => process.stdout.write(JSON.stringify(line) + '\n');
const now = () => now_s ?? Date.now() / 1000;

class Refusal extends Error {
  constructor(status, reason) {
    super(reason);
    this.status = status;
  }
}

function unpacked(part) {
  return JSON.parse(Buffer.from(part, 'base64url'));
}

const verified = new Map(); // tokens whose signature was found right

function checkBearer(session, authorization) {
  if (!authorization) throw new Refusal(403, 'MissingProviderToken');
  const [scheme, token] = authorization.split(' ');
  if (scheme.toLowerCase() !== 'bearer' || !token) throw new Refusal(403, 'InvalidProviderToken');
  let claims = verified.get(token);
  if (!claims) {
    claims = verifiedClaims(token);
    verified.set(token, claims);
  }
  if (Math.abs(now() - claims.iat) > HOUR_S) throw new Refusal(403, 'ExpiredProviderToken');
  const newest = tokens.get(claims.kid);
  if (newest && newest.token !== token && Math.abs(claims.iat - newest.iat) < UPDATES_S) {
    throw new Refusal(429, 'TooManyProviderTokenUpdates');
  }
  tokens.set(claims.kid, { token, iat: claims.iat });
  session.firstKey ??= claims.kid;
  if (session.firstKey !== claims.kid) throw new Refusal(403, 'UnrelatedKeyIdInToken');
}

function verifiedClaims(token) {
  try {
    const [head, body, signature] = token.split('.');
    const { alg, kid } = unpacked(head);
    const { iss, iat } = unpacked(body);
    const key = known.keys[kid];
    const isRight =
      alg === 'ES256' &&
      key?.team === iss &&
      Number.isInteger(iat) &&
      crypto.verify(
        'sha256',
        Buffer.from(`${head}.${body}`),
        { key: key.public_key, dsaEncoding: 'ieee-p1363' },
        Buffer.from(signature, 'base64url'),
      );
    if (isRight) return { kid, iat };
  } catch {
    // not even a token
  }
  throw new Refusal(403, 'InvalidProviderToken');
}

function checkedToken(headers) {
  if (headers[':method'] !== 'POST') throw new Refusal(405, 'MethodNotAllowed');
  const path = /^\/3\/device\/(.*)$/.exec(headers[':path']);
  if (!path) throw new Refusal(404, 'BadPath');
  if (!path[1]) throw new Refusal(400, 'MissingDeviceToken');
  if (!/^[0-9a-f]+$/i.test(path[1]) || path[1].length % 2) throw new Refusal(400, 'BadDeviceToken');
  return path[1];
}

function check(stream, headers, body) {
  const session = stream.session;
  const hasCertificate = session.socket.authorized === true;
  if (!hasCertificate || headers.authorization) checkBearer(session, headers.authorization);
  const topic = headers['apns-topic'];
  if (topic === undefined && !hasCertificate) throw new Refusal(400, 'MissingTopic');
  if (topic !== undefined && !known.topics.includes(topic)) throw new Refusal(400, 'TopicDisallowed');
  if (headers['apns-id'] !== undefined && !UUID.test(headers['apns-id'])) throw new Refusal(400, 'BadMessageId');
  if (headers['apns-push-type'] !== undefined && !TYPES.has(headers['apns-push-type'])) {
    throw new Refusal(400, 'InvalidPushType');
  }
  if (!['10', '5', '1', undefined].includes(headers['apns-priority'])) throw new Refusal(400, 'BadPriority');
  if (!/^\d+$/.test(headers['apns-expiration'] ?? '0')) throw new Refusal(400, 'BadExpirationDate');
  if ((headers['apns-collapse-id'] ?? '').length > 64) throw new Refusal(400, 'BadCollapseId');
  if (body.length === 0) throw new Refusal(400, 'PayloadEmpty');
  if (body.length > 4096) throw new Refusal(413, 'PayloadTooLarge');
  let payload;
  try {
    payload = JSON.parse(body);
  } catch {
    throw new Refusal(400, 'PayloadEmpty');
  }
  if (typeof payload.aps !== 'object') throw new Refusal(400, 'PayloadEmpty');
  return payload;
}

function nextAnswer(token) {
  const list = answers.get(token) ?? answers.get('*');
  if (!list?.length) return { status: 200 };
  return list.length > 1 ? list.shift() : list[0];
}

function respond(stream, id, answer) {
  if (stream.destroyed || stream.closed) return;
  const headers = { ':status': answer.status, 'apns-id': id };
  if (answer.retry_after !== undefined) headers['retry-after'] = String(answer.retry_after);
  if (answer.status === 200) {
    stream.respond(headers, { endStream: true });
    return;
  }
  headers['content-type'] = 'application/json';
  stream.respond(headers);
  stream.end(answer.raw ?? JSON.stringify({ reason: answer.reason, timestamp: answer.timestamp }));
}

function act(stream, id, answer) {
  if (answer.goaway) stream.session.goaway(0, stream.id);
  if (answer.destroy) return stream.session.destroy();
  if (answer.reset) return stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
  if (answer.stall) return stalled.add(stream);
  if (answer.delay_ms) return setTimeout(respond, answer.delay_ms, stream, id, answer);
  respond(stream, id, answer);
}

function serve(stream, headers) {
  if (!stream.session) return; // its connection was destroyed meanwhile
  const pieces = [];
  const connection = stream.session.number;
  underWay++;
  stream.on('close', () => underWay--);
  stream.on('error', () => {});
  stream.on('aborted', () => stalled.delete(stream) && say({ withdrawn: headers[':path'].split('/').pop() }));
  stream.on('data', (piece) => pieces.push(piece));
  stream.on('end', () => {
    if (!stream.session) return;
    const body = Buffer.concat(pieces);
    const id = headers['apns-id'] ?? crypto.randomUUID();
    const record = { connection, path: headers[':path'], headers, bytes: body.length, under_way: underWay };
    let answer;
    try {
      record.token = checkedToken(headers);
      record.payload = check(stream, headers, body);
      answer = nextAnswer(record.token);
    } catch (refusal) {
      if (!(refusal instanceof Refusal)) throw refusal;
      answer = { status: refusal.status, reason: refusal.message };
    }
    record.answer = answer;
    if (!known.quiet) say(record);
    act(stream, id, answer);
  });
}

const server = http2.createSecureServer({
  cert: known.certificate,
  key: known.private_key,
  ca: known.client_authority,
  requestCert: Boolean(known.client_authority),
  rejectUnauthorized: false,
  settings: { maxConcurrentStreams: known.max_streams ?? 1000 },
});
server.on('session', (session) => {
  session.number = ++connections;
  session.on('error', () => {});
});
server.on('sessionError', () => {});
server.on('stream', serve);
server.listen(0, '127.0.0.1', () => say({ port: server.address().port }));

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const told = JSON.parse(line);
  if (told.answers) answers.set(told.token, told.answers);
  if (told.now_s !== undefined) now_s = told.now_s;
  say({ told: told.number, connections });
});
process.stdin.on('end', () => process.exit(0));
