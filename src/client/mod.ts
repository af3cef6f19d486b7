/** The client library for Node.js. See DESIGN.md. browser.ts is the one for browsers. */
export type { SessionSettings } from "./http2-settings.ts";
export type { ClientOptions, ClientProtocol, ClientTls } from "./open-client.ts";
export { openClient } from "./open-client.ts";
export * from "./public-api.ts";
