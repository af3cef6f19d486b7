/**
 * How messages are encoded as JSON, on Connect and on the fast path. Zeros are written, so that the first record shows
 * `"offset":"0"`.
 */
export const jsonOptions = { alwaysEmitImplicit: true } as const;
