/** The limits of tokens. */

/** The longest token, in bytes. */
export const tokenBytesMax = 8_192;
/** The longest time from `iat` to `exp` of a token of ours, in ms: 366 days. A revocation is kept for as long. */
export const tokenLifeMsMax = 366 * 24 * 3_600_000;
/** How far the clock of who issued a token may be ahead of this node's, in ms: for `nbf` and `iat`. `exp` is exact. */
export const clockSkewMs = 60_000;
/** Keys of a cluster at the same time. */
export const keysMax = 16;
/** Revoked ids at the same time, and subjects whose tokens are revoked. */
export const revokedIdsMax = 8_192;
export const revokedSubjectsMax = 1_024;
/** The longest id of a token or a key, in characters. */
export const idCharsMax = 64;
