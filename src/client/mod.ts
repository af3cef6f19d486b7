/**
 * The client room: a node from afar.
 *
 * Never: imports a room of the server.
 */
export { faultOf } from "./fault-of.ts";
export { type ClientOptions, type ClientTls, type NodeClient, openClient } from "./open-client.ts";
