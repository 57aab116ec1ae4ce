// A stretch of network between a client and the server, to be cut, or made thin.
import net from "node:net";
import { Transform } from "node:stream";

/** Lets so many bits a second through, each of them so late. */
class Thin extends Transform {
  constructor({ bitsPerS, delayMs }) {
    super();
    Object.assign(this, { bitsPerS, delayMs, isFreeAt: 0, underWay: [] });
  }

  _transform(chunk, _encoding, done) {
    this.isFreeAt = Math.max(this.isFreeAt, Date.now());
    for (let at = 0; at < chunk.length; at += 1024) {
      const piece = chunk.subarray(at, at + 1024);
      this.isFreeAt += (piece.length * 8000) / this.bitsPerS;
      this.underWay.push(piece);
      setTimeout(() => this.push(this.underWay.shift()), this.isFreeAt + this.delayMs - Date.now());
    }
    setTimeout(done, this.isFreeAt - Date.now());
  }

  _flush(done) {
    setTimeout(done, this.isFreeAt + this.delayMs - Date.now() + 1);
  }
}

export async function stretch(url, thin = null) {
  const { hostname, port, pathname } = new URL(url);
  const ends = new Set();
  const line = { isUp: true, connections: 0, bytes: { up: 0, down: 0 } };
  const server = net.createServer((near) => {
    if (!line.isUp) return near.destroy();
    line.connections++;
    const far = net.connect(Number(port), hostname);
    for (const [from, to, way] of [[near, far, "up"], [far, near, "down"]]) {
      ends.add(from);
      from.on("error", () => {});
      from.on("close", () => {
        ends.delete(from);
        // After an orderly end, what is still under way arrives, and then the end.
        if (!from.readableEnded) to.destroy();
      });
      from.on("data", (chunk) => (line.bytes[way] += chunk.length));
      (thin ? from.pipe(new Thin(thin)) : from).pipe(to);
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  line.url = `ws://127.0.0.1:${server.address().port}${pathname}`;
  /** Everything on the line is gone, without a goodbye; `isUp` says whether new connections come through. */
  line.cut = (isUp = true) => {
    line.isUp = isUp;
    for (const end of ends) end.resetAndDestroy();
  };
  line.close = () => {
    line.cut(false);
    server.close();
  };
  return line;
}
