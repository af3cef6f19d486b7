/**
 * Commands that other programs name differently. The command line parser suggests names that are spelled similarly; these
 * mean the same and are spelled differently. Pure.
 */

/** The words of a command, then what users of other programs type, then what they mean. */
const others: Readonly<Record<string, readonly (readonly [typed: readonly string[], meant: string])[]>> = {
  tailrace: [
    [["start", "run", "server", "node"], "tailrace serve"],
    [["append", "publish", "pub", "send", "write", "put", "post"], "tailrace produce"],
    [["read", "cat", "get", "fetch"], "tailrace consume"],
    [["follow", "subscribe", "sub", "watch"], "tailrace tail"],
    [["log", "topic", "topics", "stream", "streams", "create"], "tailrace logs"],
    [["info", "show", "stat", "stats"], "tailrace describe"],
    [["health", "ready", "ping"], "tailrace status"],
    [["nodes", "peers", "cluster"], "tailrace servers"],
    [["join"], "tailrace add"],
    [["check", "fsck"], "tailrace verify, or tailrace doctor"],
    [["dump", "export", "snapshot"], "tailrace backup"],
    [["cert", "tls"], "tailrace certs"],
  ],
  "tailrace logs": [
    [
      ["set", "change", "configure", "config", "edit", "alter", "modify", "patch"],
      "tailrace logs update NAME",
    ],
    [["new", "add", "make", "put"], "tailrace logs create NAME"],
    [["rm", "remove", "drop", "del"], "tailrace logs delete NAME"],
    [["ls", "all"], "tailrace logs list"],
    [["end", "seal", "finish"], "tailrace logs close NAME"],
    [["get", "show", "info", "describe", "stat"], "tailrace describe --log NAME"],
    [["trim", "truncate", "purge"], "tailrace trim --log NAME --before OFFSET"],
    [["tail", "follow", "watch"], "tailrace tail --log NAME"],
    [["read", "consume", "cat"], "tailrace consume --log NAME"],
    [["append", "produce", "write", "send"], "tailrace produce --log NAME"],
  ],
};

/** Returns the command that is meant by `typed` after `words`, such as "set" after "tailrace logs"; undefined if unknown. */
export const meantBy = (words: string, typed: string): string | undefined =>
  others[words]?.find(([some]) => some.includes(typed.toLowerCase()))?.[1];
