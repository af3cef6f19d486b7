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

/** Reads one record by curl. */
export function curlConsume(origin: Origin, offset: number): string {
  return `curl -s${curlTls(origin)} ${shellWord(`${baseOf(origin)}/?offset=${offset}`)}`;
}

/** Reads one record by grpcurl. */
export function grpcurlConsume(origin: Origin, offset: number): string {
  const body = JSON.stringify({ offset: String(offset) });
  return `grpcurl ${grpcurlTls(origin)} -emit-defaults -d ${shellWord(body)} ${shellWord(origin.host)} log.v1.Log/Consume`;
}

/** Appends one record by curl; the value is base64. */
export function curlProduce(origin: Origin, base64: string): string {
  const body = JSON.stringify({ record: { value: base64 } });
  return `curl${curlTls(origin)} -d ${shellWord(body)} ${shellWord(`${baseOf(origin)}/`)}`;
}
