/** The limits of tokens. */

/** The longest token, in bytes. */
export const tokenBytesMax = 8_192;
/** The longest time from `iat` to `exp` of a token of ours, in ms: 366 days. A revocation is kept for as long. */
export const tokenLifeMsMax = 366 * 24 * 3_600_000;
/** How far the clock of who issued a token may be ahead of this node's, in ms: for `nbf` and `iat`. `exp` is exact. */
export const clockSkewMs = 60_000;
/**
 * How long the revocation of a token is kept after the token has expired, in ms: 2 days. The clock of the leader can be ahead by this much
 * before a revocation that still counts is deleted.
 */
export const revocationSpareMs = 2 * 24 * 3_600_000;
/** Keys of a cluster at the same time. */
export const keysMax = 16;
/** Revoked ids at the same time, and subjects whose tokens are revoked. */
export const revokedIdsMax = 8_192;
export const revokedSubjectsMax = 1_024;
/** The longest session of a browser, in ms: 7 days. It ends with its token, if that is earlier. */
export const sessionLifeMsMax = 7 * 24 * 3_600_000;
/** Sessions are sealed with a key for so long, in ms: 30 days. Then the next session gets a new key. */
export const sessionKeyLifeMs = 30 * 24 * 3_600_000;
/** Sessions that were logged out and would not have ended yet. */
export const endedSessionsMax = 8_192;
/** So many of them can be sessions of one subject. */
export const endedSessionsOfSubjectMax = 256;
/** The longest value of a cookie, in characters: browsers keep 4,096 with the name. */
export const cookieCharsMax = 4_000;
/** The longest id of a token or a key, in characters. */
export const idCharsMax = 64;
