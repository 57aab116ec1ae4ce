// An SMSC on loopback: npm's smpp reads and writes the bytes, what it says is what it is told.
// The environment's PEER says whom it knows; a line of JSON on stdin tells it something and is answered by a line;
// each thing that happens is a line on stdout. It ends when stdin does.

import { createRequire } from 'node:module';
import readline from 'node:readline';

const require = createRequire(new URL('../sdks/package.json', import.meta.url));
const smpp = require('smpp');

const known = JSON.parse(process.env.PEER);
// known: {system_id, password, certificate?, private_key?, quiet?}

const answers = new Map(); // destination → answers still to give; the last one stays
const sessions = new Map(); // number → session
let bindStatus = 0;
let isDeaf = false; // answers no enquire_link
let ids = 1000;
let count = 0;

const say = (line) => process.stdout.write(JSON.stringify(line) + '\n');
const hex = (value) => (Buffer.isBuffer(value) ? value.toString('hex') : value);

function nextAnswer(destination) {
  const list = answers.get(destination) ?? answers.get('*');
  if (!list?.length) return {};
  return list.length > 1 ? list.shift() : list[0];
}

function spelled(id, how) {
  if (how === 'hex') return id.toString(16);
  if (how === 'HEX') return id.toString(16).toUpperCase().padStart(8, '0');
  if (how === 'decimal') return String(id).padStart(10, '0');
  return String(id);
}

function read(pdu) {
  const said = {};
  for (const name of [
    'source_addr', 'source_addr_ton', 'source_addr_npi', 'destination_addr', 'dest_addr_ton', 'dest_addr_npi',
    'esm_class', 'data_coding', 'registered_delivery', 'service_type',
    'sar_msg_ref_num', 'sar_total_segments', 'sar_segment_seqnum',
  ]) {
    if (pdu[name] !== undefined) said[name] = pdu[name];
  }
  const body = pdu.message_payload?.message !== undefined ? pdu.message_payload : pdu.short_message;
  said.in_payload = body === pdu.message_payload;
  said.text = hex(body.message);
  said.udh = body.udh ? body.udh.map(hex) : [];
  said.valid_s = pdu.validity_period instanceof Date ? Math.round((pdu.validity_period - Date.now()) / 1000) : null;
  return said;
}

function receiptOf(pdu, id, { stat = 'DELIVRD', err = '000', form, tlvs }) {
  const name = spelled(id, form);
  return {
    source_addr_ton: 1,
    source_addr_npi: 1,
    source_addr: pdu.destination_addr,
    dest_addr_ton: 1,
    dest_addr_npi: 1,
    destination_addr: pdu.source_addr,
    esm_class: 4,
    short_message: `id:${name} sub:001 dlvrd:001 submit date:2601010000 done date:2601010001 stat:${stat} err:${err} text:`,
    ...(tlvs ?? {}),
  };
}

function deliver(session, number, fields) {
  const sent = session.deliver_sm(fields, (answer) => say({ delivered: number, status: answer.command_status }));
  if (!sent) say({ delivered: number, status: null });
}

function submit(session, pdu) {
  const answer = nextAnswer(pdu.destination_addr);
  const id = ++ids;
  const record = { session: session.number, id, answer, ...read(pdu) };
  if (!known.quiet) say({ submitted: record });
  if (answer.receipt?.before) session.deliver_sm(receiptOf(pdu, id, answer.receipt));
  if (answer.stall) return;
  if (answer.drop) return session.destroy();
  const respond = () => {
    if (answer.nack) return session.send(new smpp.PDU('generic_nack', { command_status: answer.nack, sequence_number: pdu.sequence_number }));
    session.send(pdu.response({ command_status: answer.status ?? 0, message_id: spelled(id, answer.form) }));
    if (answer.receipt && !answer.receipt.before) session.deliver_sm(receiptOf(pdu, id, answer.receipt));
  };
  if (answer.delay_ms) setTimeout(respond, answer.delay_ms);
  else respond();
}

function serve(session) {
  session.number = ++count;
  session.on('error', () => {});
  session.on('close', () => {
    sessions.delete(session.number);
    say({ closed: session.number });
  });
  for (const mode of ['transceiver', 'transmitter', 'receiver']) {
    session.on(`bind_${mode}`, (pdu) => {
      let status = bindStatus;
      if (!status && pdu.system_id !== known.system_id) status = smpp.ESME_RINVSYSID;
      if (!status && pdu.password !== known.password) status = smpp.ESME_RINVPASWD;
      const { system_id, system_type, interface_version, address_range } = pdu;
      if (!status) {
        sessions.set(session.number, session);
        session.mode = mode;
      }
      session.send(pdu.response({ command_status: status, system_id: 'smsc' }));
      say({ bound: { session: session.number, mode, status, system_id, system_type, interface_version, address_range } });
    });
  }
  session.on('submit_sm', (pdu) => submit(session, pdu));
  session.on('enquire_link', (pdu) => {
    if (!isDeaf) session.send(pdu.response());
    if (!known.quiet) say({ enquired: session.number });
  });
  session.on('unbind', (pdu) => {
    say({ unbound: session.number });
    session.send(pdu.response());
    session.close();
  });
  session.on('unbind_resp', () => session.close());
}

const server = smpp.createServer({ cert: known.certificate, key: known.private_key }, serve);
server.on('tlsClientError', () => {});
server.listen(0, '127.0.0.1', () => say({ port: server.address().port }));

const listeners = () => [...sessions.values()].filter((session) => session.mode !== 'transmitter');

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const told = JSON.parse(line);
  if (told.answers) answers.set(told.destination, told.answers);
  if (told.bind_status !== undefined) bindStatus = told.bind_status;
  if (told.deaf !== undefined) isDeaf = told.deaf;
  if (told.cut) for (const session of sessions.values()) session.destroy();
  if (told.unbind) for (const session of sessions.values()) session.unbind();
  if (told.raw) for (const session of sessions.values()) session.socket.write(Buffer.from(told.raw, 'hex'));
  for (const { number, fields } of told.deliver ?? []) {
    if (fields.octets !== undefined) {
      fields.short_message = { message: Buffer.from(fields.octets, 'hex'), udh: fields.udh && Buffer.from(fields.udh, 'hex') };
      delete fields.octets;
      delete fields.udh;
    }
    deliver(listeners()[0], number, fields);
  }
  say({ told: told.number });
});
process.stdin.on('end', () => process.exit(0));
