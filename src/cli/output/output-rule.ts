/**
 * The one rule for standard output. It depends on the terminal for records only: `consume` and `tail` print text for people on
 * a terminal. Everything else that works in a terminal works in a script; on a terminal only control characters are replaced.
 *
 *   a result or a state     one line of JSON each, with and without --json
 *   a list or a table       text for people, and JSON with --json
 *   records                 text on a terminal, lines of JSON in a pipe and with --json, and what --format says
 */
export const jsonHelp = "JSON on standard output; commands that print a result print JSON without it too";

/** Text at the end of `tailrace --help`. */
export const outputRule = `
Output:
  Data is on standard output, messages are on standard error.
  Commands that do one thing or print one state (produce, trim, status, transfer, add, remove, leave, backup, backups,
  restore, recover) always print lines of JSON, and so do logs, except logs list. consume and tail print text on a terminal, and
  lines of JSON in a pipe or with --json. The others print text, and JSON with --json.
`;
