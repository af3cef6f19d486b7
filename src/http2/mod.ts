/** The exports of the module. Other modules import from here only. */
export { defaultH2Limits, type H2Limits } from "./connection.ts";
export { errorCode } from "./frames.ts";
export { encodeBlock } from "./hpack.ts";
export { connectionFields } from "./request-headers.ts";
export { H2Session } from "./session.ts";
export type { H2Stream } from "./stream.ts";
