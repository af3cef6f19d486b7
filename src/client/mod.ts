/**
 * The client room, for Node: a cluster from afar. See DESIGN.md; browser.ts is the same for browsers.
 *
 * Never: imports a room of the server.
 */

export type { SessionSettings } from "./calls/http2-sessions.ts";
export type { ClientOptions, ClientProtocol, ClientTls } from "./open-client.ts";
export { openClient } from "./open-client.ts";
export * from "./public-api.ts";
