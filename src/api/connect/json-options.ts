/**
 * How messages are encoded as JSON, on Connect and on the fast path. Zeros are written, so that the first record shows
 * `"offset":"0"`. A message that is not UTF-8 is refused: protobuf does so with its own encoding, and a name with a wrong byte
 * would mean another log.
 */
export const jsonOptions = {
  alwaysEmitImplicit: true,
  textDecoder: new TextDecoder("utf-8", { fatal: true }),
} as const;
