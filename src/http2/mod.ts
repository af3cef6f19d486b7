/** The exports of the module. Other modules import from here only. */
export { errorCode } from "./frames/frames.ts";
export { H2Session } from "./h2-session.ts";
export type { H2Stream } from "./h2-stream.ts";
export { encodeBlock } from "./hpack/encode-block.ts";
export { defaultH2Limits, type H2Limits } from "./limits/h2-limits.ts";
export { connectionFields } from "./request-headers.ts";
