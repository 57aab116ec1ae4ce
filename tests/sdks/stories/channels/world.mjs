// Everybody in a story who has no SDK: `await world.anaWrites({ text })` has it done, and is what came of it.
import { createInterface } from "node:readline";
import { atTheEnd, sleep } from "../stage.mjs";

const PATIENCE_MS = 20_000;
const waiting = new Map();
let asked = 0;

const lines = createInterface({ input: process.stdin }).on("line", (line) => {
  const { number, answer, trouble } = JSON.parse(line);
  const { resolve, reject } = waiting.get(number);
  waiting.delete(number);
  trouble === undefined ? resolve(answer) : reject(new Error(trouble));
});
atTheEnd(() => lines.close());

function ask(call, values) {
  const number = ++asked;
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`${call} took longer than ${PATIENCE_MS} ms`)), PATIENCE_MS);
    waiting.set(number, { resolve: (answer) => (clearTimeout(late), resolve(answer)), reject: (why) => (clearTimeout(late), reject(why)) });
    process.stdout.write(`${JSON.stringify({ number, call, values })}\n`);
  });
}

/** Its methods are those of the story's world in `tests/sdks/worlds`, by their names with capitals. */
export const world = new Proxy({}, { get: (_, name) => (values = {}) => ask(name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), values) });

/** Resolves once what is asked for is what is wanted; both are compared as JSON. */
export async function becomes(look, wanted, ms = 15_000) {
  const text = JSON.stringify(wanted);
  for (const end = Date.now() + ms; ; await sleep(20)) {
    const seen = JSON.stringify(await look());
    if (seen === text) return;
    if (Date.now() > end) throw new Error(`it is\n${seen}\nand never was\n${text}`);
  }
}

/** What a message has come to: of how many, and all that is not `none`. */
export function cameTo({ aggregatedDeliveryReceipt: all }) {
  if (!all) return null;
  const states = ["sent", "delivered", "read", "undelivered", "failed"].filter((state) => all[state] !== "none");
  return { total: all.total, ...Object.fromEntries(states.map((state) => [state, all[state]])) };
}
