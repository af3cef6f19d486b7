/**
 * The one rule for standard output. It does not depend on whether the output is a terminal, so a command that works in a
 * terminal works in a script; on a terminal only control characters of records are replaced.
 *
 *   a result or a state     one line of JSON each, with and without --json
 *   a list or a table       text for people, and JSON with --json
 */
export const jsonHelp = "JSON on standard output; commands that print a result print JSON without it too";

/** Text at the end of `tailrace --help`. */
export const outputRule = `
Output:
  Data is on standard output, the same on a terminal and in a pipe; messages are on standard error.
  Commands that do one thing or print one state (produce, trim, status, transfer, add, remove, leave, backup, restore,
  recover) always print lines of JSON, and so do logs, except logs list, and consume and tail by default. The others print
  text, and JSON with --json.
`;
