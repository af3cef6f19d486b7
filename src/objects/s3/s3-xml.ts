/**
 * Reads the few elements of S3's XML that a backup needs, and writes the list of parts. Pure. A listing asks for names in
 * URL encoding, so no entity can occur in a name.
 *
 *   <Contents><Key>…</Key><LastModified>…</LastModified><Size>…</Size></Contents>
 *   <Upload><Key>…</Key><UploadId>…</UploadId></Upload>
 *   <Error><Code>…</Code><Message>…</Message></Error>
 */
import { Fault } from "../../fault.ts";

export interface ListedObject {
  /** With the prefix. */
  readonly name: string;
  readonly bytes: number;
  /** In ms since 1970, by the server. */
  readonly modifiedMs: number;
}

export interface ListedUpload {
  readonly name: string;
  readonly id: string;
}

/** Returns the text of the first element with this name, with its entities decoded. */
export function elementOf(xml: string, name: string): string | undefined {
  const begin = xml.indexOf(`<${name}>`);
  if (begin < 0) return undefined;
  const from = begin + name.length + 2;
  const end = xml.indexOf(`</${name}>`, from);
  return end < 0 ? undefined : decoded(xml.slice(from, end));
}

/** Returns the contents of all elements with this name. */
function elementsOf(xml: string, name: string): string[] {
  const found: string[] = [];
  for (let at = 0; ; ) {
    const begin = xml.indexOf(`<${name}>`, at);
    const end = begin < 0 ? -1 : xml.indexOf(`</${name}>`, begin);
    if (end < 0) return found;
    found.push(xml.slice(begin + name.length + 2, end));
    at = end;
  }
}

/**
 * An answer that ends with its connection may be cut. Without this check, the objects behind the cut would not be there.
 * @throws Fault "corrupt"
 */
function checkWhole(xml: string, root: string, what: string): void {
  if (!xml.includes(`<${root}`)) throw notValid(what);
  if (!xml.trimEnd().endsWith(`</${root}>`)) throw notValid(`${what}, which is cut`);
}

/** @throws Fault "corrupt" */
export function readObjects(xml: string): {
  readonly objects: ListedObject[];
  readonly next: string | undefined;
} {
  checkWhole(xml, "ListBucketResult", "a list of objects");
  const objects = elementsOf(xml, "Contents").map((item) => {
    const bytes = Number(elementOf(item, "Size"));
    const modifiedMs = Date.parse(elementOf(item, "LastModified") ?? "");
    if (!Number.isSafeInteger(bytes) || bytes < 0 || !Number.isFinite(modifiedMs))
      throw notValid("an object");
    return { name: nameIn(item), bytes, modifiedMs };
  });
  const isCut = elementOf(xml, "IsTruncated") === "true";
  const next = isCut ? elementOf(xml, "NextContinuationToken") : undefined;
  if (isCut && (next === undefined || next === "")) throw notValid("the end of a page");
  return { objects, next };
}

/** Returns the uploads of a page, and whether there are more. @throws Fault "corrupt" */
export function readUploads(xml: string): { readonly uploads: ListedUpload[]; readonly isCut: boolean } {
  checkWhole(xml, "ListMultipartUploadsResult", "a list of uploads");
  const uploads = elementsOf(xml, "Upload").map((item) => {
    const id = elementOf(item, "UploadId") ?? "";
    if (id === "") throw notValid("an upload");
    return { name: nameIn(item), id };
  });
  return { uploads, isCut: elementOf(xml, "IsTruncated") === "true" };
}

/** The body that completes an upload. `tags` are the ETags of its parts. */
export function completion(tags: readonly string[]): string {
  const parts = tags.map(
    (tag, at) => `<Part><PartNumber>${at + 1}</PartNumber><ETag>${escaped(tag)}</ETag></Part>`,
  );
  return `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${parts.join("")}</CompleteMultipartUpload>`;
}

function nameIn(item: string): string {
  try {
    return decodeURIComponent((elementOf(item, "Key") ?? "").replaceAll("+", " "));
  } catch {
    throw notValid("a name");
  }
}

const entities: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

const decoded = (text: string): string =>
  text.replace(/&(#\d{1,7}|#x[\da-fA-F]{1,6}|\w{2,4});/g, (whole, name: string) => {
    if (!name.startsWith("#")) return entities[name] ?? whole;
    const code = name[1] === "x" ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1));
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });

const escaped = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

const notValid = (what: string): Fault =>
  new Fault("corrupt", { message: `the answer of the S3 server is not valid: ${what}` });
