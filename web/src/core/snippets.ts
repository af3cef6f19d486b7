/**
 * Commands to paste into a shell: the same record by curl and by grpcurl, and the first produce of an empty log.
 * Special characters are quoted, so pasting runs exactly one command.
 */

/** A word for a POSIX shell. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

export interface Origin {
  readonly protocol: string;
  readonly host: string;
}

const curlTls = (origin: Origin): string =>
  origin.protocol === "https:" ? " --cacert ca.pem --cert root-client.pem --key root-client-key.pem" : "";
const grpcurlTls = (origin: Origin): string =>
  origin.protocol === "https:"
    ? "-cacert ca.pem -cert root-client.pem -key root-client-key.pem"
    : "-plaintext";
const baseOf = (origin: Origin): string => `${origin.protocol}//${origin.host}`;

/** An RPC by curl, as JSON. */
const curlRpc = (origin: Origin, method: string, message: unknown): string =>
  `curl -s${curlTls(origin)} -H 'content-type: application/json' -d ${shellWord(JSON.stringify(message))} ${shellWord(`${baseOf(origin)}/log.v1.Log/${method}`)}`;

/** Reads one record by curl. `log` is empty for the log `default`. */
export function curlConsume(origin: Origin, log: string, offset: number): string {
  if (log !== "") return curlRpc(origin, "Consume", { log, offset: String(offset) });
  return `curl -s${curlTls(origin)} ${shellWord(`${baseOf(origin)}/?offset=${offset}`)}`;
}

/** Reads one record by grpcurl. */
export function grpcurlConsume(origin: Origin, log: string, offset: number): string {
  const body = JSON.stringify({ ...(log !== "" && { log }), offset: String(offset) });
  return `grpcurl ${grpcurlTls(origin)} -emit-defaults -d ${shellWord(body)} ${shellWord(origin.host)} log.v1.Log/Consume`;
}

/** Appends one record by curl; the value is base64. */
export function curlProduce(origin: Origin, log: string, base64: string): string {
  if (log !== "") return curlRpc(origin, "Produce", { log, record: { value: base64 } });
  const body = JSON.stringify({ record: { value: base64 } });
  return `curl${curlTls(origin)} -d ${shellWord(body)} ${shellWord(`${baseOf(origin)}/`)}`;
}

/** Reads all records for which a condition in CEL holds, by the command line of Tailrace, into a file. */
export function consumeFiltered(origin: Origin, log: string, condition: string): string {
  const tls =
    origin.protocol === "https:"
      ? " --tls-ca-file ca.pem --tls-cert-file root-client.pem --tls-key-file root-client-key.pem"
      : "";
  const name = log === "" ? "" : ` --log ${shellWord(log)}`;
  return `tailrace consume --addr ${shellWord(origin.host)}${tls}${name} --from start --filter ${shellWord(condition)} --json > found.ndjson`;
}
