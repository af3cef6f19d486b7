/**
 * Log lines for people at a terminal: time, level, message, then the facts, one line each; a stack goes below.
 *
 *   08:02:33.120 WARN  call  code=permission_denied subject=nobody method=log.v1.Log/Produce
 *
 * Its input is the line of JSON, so that a terminal shows what a file would hold, and nothing else.
 *
 * Never: drops a fact, decides what may be shown (the logger did).
 */

const colours: Readonly<Record<string, number>> = {
  trace: 90,
  debug: 36,
  info: 32,
  warn: 33,
  error: 31,
  fatal: 35,
};

/** One line of JSON as one or more for people, line end included. What is not JSON is handed through. */
export function prettyLine(json: string, colour: boolean): string {
  let facts: Record<string, unknown>;
  try {
    facts = JSON.parse(json) as Record<string, unknown>;
  } catch {
    return json;
  }
  const { time, level, msg, ...others } = facts;
  const paint = (code: number, text: string): string => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);
  const stacks: string[] = [];
  const pairs = Object.entries(others).map(
    ([name, value]) => `${paint(90, `${name}=`)}${shown(value, stacks)}`,
  );
  const named = String(level);
  const head = [
    paint(90, localTime(String(time))),
    paint(colours[named] ?? 0, named.toUpperCase().padEnd(5)),
    `${msg}`,
  ];
  const below = stacks.map((stack) => `    ${stack.replaceAll("\n", "\n    ")}\n`);
  return `${[head.join(" "), ...pairs].join("  ")}\n${below.join("")}`;
}

/** A word as it is, anything else as JSON; a stack is put aside. */
function shown(value: unknown, stacks: string[]): string {
  if (typeof value === "string") return /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
  if (typeof value !== "object" || value === null || !("stack" in value)) return JSON.stringify(value);
  const { stack, ...rest } = value;
  stacks.push(String(stack));
  return JSON.stringify(rest);
}

const localTime = (iso: string): string => {
  const at = new Date(iso);
  const two = (number: number): string => String(number).padStart(2, "0");
  const ms = String(at.getMilliseconds()).padStart(3, "0");
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${ms}`;
};
