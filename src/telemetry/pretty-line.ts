/**
 * Formats log lines for people at a terminal: time, level, message and facts on one line, and a stack below.
 *
 *   08:02:33.120 WARN  call  code=permission_denied subject=nobody method=log.v1.Log/Produce
 *
 * Its input is the line of JSON, so that a terminal shows the same facts as a file.
 */

const colors: Readonly<Record<string, number>> = {
  trace: 90,
  debug: 36,
  info: 32,
  warn: 33,
  error: 31,
  fatal: 35,
};

/** Formats one line of JSON, line end included. Other text is returned unchanged. */
export function prettyLine(json: string, color: boolean): string {
  let facts: Record<string, unknown>;
  try {
    facts = JSON.parse(json) as Record<string, unknown>;
  } catch {
    return json;
  }
  const { time, level, msg, ...others } = facts;
  const paint = (code: number, text: string): string => (color ? `\u001b[${code}m${text}\u001b[0m` : text);
  const stacks: string[] = [];
  const pairs = Object.entries(others).map(
    ([name, value]) => `${paint(90, `${name}=`)}${formatValue(value, stacks)}`,
  );
  const named = String(level);
  const head = [
    paint(90, localTime(String(time))),
    paint(colors[named] ?? 0, named.toUpperCase().padEnd(5)),
    `${msg}`,
  ];
  const below = stacks.map((stack) => `    ${stack.replaceAll("\n", "\n    ")}\n`);
  return `${[head.join(" "), ...pairs].join("  ")}\n${below.join("")}`;
}

/** Formats a single word as it is and any other value as JSON. A stack is moved to `stacks`. */
function formatValue(value: unknown, stacks: string[]): string {
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
