/**
 * The objects of a policy: a log's name, or a prefix of names.
 *
 *   object := name | prefix "*"        "*" is every log, "orders/*" is every log whose name begins with "orders/"
 *
 * The prefix goes across `/`. There is no other wildcard, and no name of a log contains one.
 */

/**
 * Returns whether `object`, a log's name or `*` for every log, matches an object of a policy. Models call it as
 * `logMatch(r.obj, p.obj)`.
 */
export const logMatch = (object: string, pattern: string): boolean =>
  pattern.endsWith("*") ? object.startsWith(pattern.slice(0, -1)) : object === pattern;

/** Returns whether a policy may have the object `pattern`: it has no wildcard but one `*` at the end. */
export const isLogPattern = (pattern: string): boolean => /^[^*?[\]{}\\]*\*?$/.test(pattern);
