/**
 * The facts that a fault can carry: names, types and meaning. A fact travels to clients (ErrorInfo metadata, JSON) and
 * between peers, so a name keeps its type and its meaning in every kind of fault.
 */

/** Name of a fact → its type. */
export const factTypes = {
  // Positions in the log. Offsets count records, positions are bytes in a file.
  offset: "number",
  lowest: "number",
  next: "number",
  last: "number",
  last_offset: "number",
  index: "number",
  position: "number",
  record: "number",
  records: "number",
  // What was expected and what was found: offsets, sequences or versions.
  expected: "number",
  found: "number",
  // Producers.
  sequence: "number",
  oldest: "number",
  last_sequence: "number",
  epoch: "number",
  // How far a stream came before it failed.
  acked: "number",
  records_before: "number",
  records_unknown: "number",
  batches_before: "number",
  // Limits and sizes. Names that do not end in a unit count what the message names.
  limit: "number",
  max: "number",
  low: "number",
  high: "number",
  value: "number",
  lines: "number",
  linesMax: "number",
  recordsMax: "number",
  bytes: "number",
  bytesMax: "number",
  foundBytes: "number",
  freeBytes: "number",
  reserveBytes: "number",
  volumeBytes: "number",
  waitingBytes: "number",
  waitingAppends: "number",
  needed: "number",
  timeoutMs: "number",
  nowMs: "number",
  // A frame between peers.
  kind: "string",
  head: "number",
  body: "number",
  headMax: "number",
  bodyMax: "number",
  // Where a node or a file is. `code` and `errno` are names such as ECONNREFUSED.
  address: "string",
  leader: "string",
  node: "string",
  peer: "string",
  members: "string",
  host: "string",
  port: "number",
  code: "string",
  errno: "string",
  unreachable: "boolean",
  tried: "number",
  directory: "string",
  file: "string",
  path: "string",
  pid: "string",
  // Why. `repair` is a command that repairs, `reason` a fixed word that programs compare.
  why: "string",
  reason: "string",
  repair: "string",
  part: "string",
  key: "string",
  refusedByPeer: "boolean",
  // What was wrong in a request, a setting or a command line.
  field: "string",
  // Characters of a text before the place that is wrong.
  character: "number",
  setting: "string",
  line: "number",
  text: "string",
  tag: "string",
  expression: "string",
  known: "string",
  service: "string",
  usage: "boolean",
  // Access and membership.
  subject: "string",
  object: "string",
  action: "string",
  name: "string",
  cluster: "string",
  ownCluster: "string",
  id: "string",
} as const;

export type FactName = keyof typeof factTypes;

interface ValueOf {
  readonly number: number;
  readonly string: string;
  readonly boolean: boolean;
}

/** Facts of these names. All are optional: a fault that another version sent may lack some. */
export type FactsNamed<Name extends FactName> = {
  readonly [Each in Name]?: ValueOf[(typeof factTypes)[Each]];
};

/** Facts that a fault of any kind can carry: the node that it concerns, and how far the call came. */
export type CommonFactName =
  | "address"
  | "leader"
  | "node"
  | "peer"
  | "members"
  | "code"
  | "unreachable"
  | "tried"
  | "acked"
  | "records_before"
  | "records_unknown"
  | "batches_before"
  | "reason"
  | "refusedByPeer"
  | "repair";

/**
 * The facts in a value that another node or version sent. A known name with a value of another type is left out; a
 * name that this version does not know is kept if its value is text, a number or a boolean.
 */
export function factsFrom(value: unknown): FactsNamed<FactName> {
  if (typeof value !== "object" || value === null) return {};
  const valid = Object.entries(value).filter(([name, fact]) => {
    const type = isFactName(name) ? factTypes[name] : undefined;
    if (type !== undefined) return typeof fact === type;
    return typeof fact === "string" || typeof fact === "number" || typeof fact === "boolean";
  });
  return Object.fromEntries(valid);
}

/** The facts in ErrorInfo metadata, where every value is text. A name that this version does not know is read by form. */
export function factsFromText(metadata: Readonly<Record<string, string>>): FactsNamed<FactName> {
  const entries = Object.entries(metadata).map(([name, text]) => {
    const isText = isFactName(name) && factTypes[name] === "string";
    return [name, isText ? text : parsed(text)] as const;
  });
  return factsFrom(Object.fromEntries(entries));
}

const isFactName = (name: string): name is FactName => Object.hasOwn(factTypes, name);

function parsed(text: string): string | number | boolean {
  if (text === "true" || text === "false") return text === "true";
  return /^(0|-?[1-9]\d{0,14})$/.test(text) ? Number(text) : text;
}
