// Reads a list of payloads from stdin and writes what the SDK's own parser makes of each, or its error, to stdout.

import { createRequire } from 'node:module';

const { Client } = createRequire(import.meta.url)(`../../sdks/node_modules/${process.env.SDK}`);
const pieces = [];
for await (const piece of process.stdin) pieces.push(piece);
const parsed = JSON.parse(Buffer.concat(pieces)).map((payload) => {
  try {
    const { title, body, sound, badge, action, type, data } = Client.parsePushNotification(payload);
    return { title, body, sound, badge, action, type, data };
  } catch (error) {
    return { error: error.message };
  }
});
process.stdout.write(JSON.stringify(parsed));
