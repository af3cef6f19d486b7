/**
 * How messages become JSON in both lanes: a zero is written, so that the first record's `"offset":"0"` can be seen.
 */
export const jsonOptions = { alwaysEmitImplicit: true } as const;
