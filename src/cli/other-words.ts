/**
 * Commands and flags that other programs name differently. The command line parser suggests names that are spelled similarly;
 * these mean the same and are spelled differently. Pure.
 */

/** The words of a command, then what users of other programs type, then what they mean. */
const others: Readonly<Record<string, readonly (readonly [typed: readonly string[], meant: string])[]>> = {
  tailrace: [
    [["start", "run", "server", "node"], "tailrace serve"],
    [["append", "publish", "pub", "send", "write", "put", "post"], "tailrace produce"],
    [["read", "cat", "get", "fetch"], "tailrace consume"],
    [["follow", "subscribe", "sub", "watch"], "tailrace tail"],
    [["log", "topic", "topics", "stream", "streams"], "tailrace logs"],
    [["list", "ls"], "tailrace logs list, or tailrace servers"],
    [["create", "new", "make"], "tailrace logs create NAME"],
    [["update", "set", "alter"], "tailrace logs update NAME"],
    [["delete", "rm", "drop", "del"], "tailrace logs delete NAME"],
    [["close", "seal"], "tailrace logs close NAME"],
    [["apply"], "tailrace logs apply -f FILE"],
    [["truncate", "purge"], "tailrace trim --before OFFSET"],
    [["info", "show", "stats", "space"], "tailrace describe"],
    [["cursor", "offsets", "positions", "consumers", "groups", "lag"], "tailrace cursors"],
    [["health", "ready", "ping"], "tailrace status"],
    [["nodes", "peers", "cluster"], "tailrace servers"],
    [["join"], "tailrace add"],
    [["check", "fsck"], "tailrace verify, or tailrace doctor"],
    [["dump", "export", "snapshot"], "tailrace backup"],
    [["cert", "tls"], "tailrace certs"],
  ],
  "tailrace cursors": [
    [["ls", "all", "lag"], "tailrace cursors list"],
    [["show", "read", "info", "describe"], "tailrace cursors get NAME"],
    [["set", "commit", "seek", "reset", "create"], "tailrace cursors move NAME --to OFFSET"],
    [["rm", "remove", "drop", "del"], "tailrace cursors delete NAME"],
  ],
  "tailrace token": [
    [["show", "ls"], "tailrace token list"],
    [["create", "new", "make", "sign"], "tailrace token issue --subject NAME"],
    [["delete", "rm", "remove", "cancel"], "tailrace token revoke ID"],
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

/** The words of a command, then flags that users of other programs type, then what they mean. */
export const otherFlags: Readonly<
  Record<string, readonly (readonly [typed: readonly string[], meant: string])[]>
> = {
  "tailrace consume": [
    [["--since"], "--ago 1h, or --from 2026-01-31T12:00:00Z"],
    [["--offset", "--from-offset", "--start"], "--from OFFSET"],
    [["--from-beginning"], "--from start"],
    [["-n", "--limit", "--max-messages", "--last"], "--count N; the last N records are --from -N"],
    [["--to", "--before"], "--until TIME"],
    [["-f"], "--follow"],
    [["--where", "--grep", "--match", "--query"], "--filter CONDITION, such as 'text.contains(\"error\")'"],
    [["--group", "--consumer", "--consumer-group"], "--cursor NAME"],
  ],
  "tailrace tail": [
    [["--since", "--ago"], "--from 2026-01-31T12:00:00Z, or tailrace consume --ago 1h --follow"],
    [["--offset", "--from-offset", "--start"], "--from OFFSET"],
    [["--from-beginning"], "--from start"],
    [["--limit", "--max-messages"], "--count N; the last N records are -n N"],
    [["--until"], "a flag of tailrace consume"],
    [["--where", "--grep", "--match", "--query"], "--filter CONDITION, such as 'text.contains(\"error\")'"],
    [["--cursor", "--group"], "tailrace consume --cursor NAME --follow"],
  ],
  "tailrace trim": [[["--offset", "--to"], "--before OFFSET"]],
  "tailrace logs create": [[["--retention"], "--retention-age 7d, or --retention-bytes 10GiB"]],
  "tailrace logs update": [
    [["--retention"], "--retention-age 7d, or --retention-bytes 10GiB"],
    [["--closed", "--close"], "tailrace logs close NAME"],
  ],
};

/** Returns the flag that is meant by `typed`, such as "--since", of a command; undefined if unknown. */
export const meantByFlag = (words: string, typed: string): string | undefined =>
  otherFlags[words]?.find(([some]) => some.includes(typed))?.[1];

/** Returns the command that is meant by `typed` after `words`, such as "set" after "tailrace logs"; undefined if unknown. */
export const meantBy = (words: string, typed: string): string | undefined =>
  others[words]?.find(([some]) => some.includes(typed.toLowerCase()))?.[1];
