// The push service of npm's web-push-testing on a free loopback port, which is printed: it decrypts for real.
// The package's own start listens to the whole network and wants to be told a port.
import { createRequire } from "node:module";

const require = createRequire(new URL("../sdks/package.json", import.meta.url));
const { PushApiModel } = require("web-push-testing/src/PushApiModel.js");
const WebPushTestingServer = require("web-push-testing/src/server.js");

const model = new PushApiModel();
const service = new WebPushTestingServer(model, 0);
service.setRequestHandlers();
const listening = service._app.listen(0, "127.0.0.1", () => {
  const url = `http://127.0.0.1:${listening.address().port}`;
  model.notifyUrl = `${url}/notify/`;
  console.log(url);
});
process.stdin.resume().on("end", () => process.exit()); // with whoever started it
