/** The limit of node:http: reads every body and returns the same bytes, in a process of its own. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

const body = '{"offset":1234567}\n';
const headers = { "content-type": "application/json", "cache-control": "no-store", "content-length": "19" };
const server = createServer({ noDelay: true }, (request, response) => {
  request.on("data", () => undefined);
  request.on("end", () => response.writeHead(200, headers).end(body));
});
server.listen(0, "127.0.0.1", () => console.log((server.address() as AddressInfo).port));
