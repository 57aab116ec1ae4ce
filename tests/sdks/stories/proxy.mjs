// A stretch of network between a client and the server, to be cut.
import net from "node:net";

export async function stretch(url) {
  const { hostname, port, pathname } = new URL(url);
  const ends = new Set();
  const line = { isUp: true, connections: 0 };
  const server = net.createServer((near) => {
    if (!line.isUp) return near.destroy();
    line.connections++;
    const far = net.connect(Number(port), hostname);
    for (const [from, to] of [[near, far], [far, near]]) {
      ends.add(from);
      from.on("error", () => {});
      from.on("close", () => {
        ends.delete(from);
        to.destroy();
      });
      from.pipe(to);
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
