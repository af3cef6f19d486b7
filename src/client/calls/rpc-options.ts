/** The options of one RPC of connect-es. */
import type { CallOptions } from "@connectrpc/connect";
import type { Attempt } from "./retrying-caller.ts";

/** Returns the signal and the timeout of an attempt, without undefined members. */
export const rpcOptions = ({ signal, timeoutMs }: Pick<Attempt, "signal" | "timeoutMs">): CallOptions => ({
  ...(signal === undefined ? {} : { signal }),
  ...(timeoutMs === undefined ? {} : { timeoutMs }),
});
