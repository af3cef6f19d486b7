/** The exports of the module. Other modules import from here only. */

export { errorCode } from "./frames/frames.ts";
export { defaultH2Limits, type H2Limits } from "./h2-connection.ts";
export { H2Session } from "./h2-session.ts";
export type { H2Stream } from "./h2-stream.ts";
export { encodeBlock } from "./hpack/hpack-decoder.ts";
export { connectionFields } from "./request-headers.ts";
