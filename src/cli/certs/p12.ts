/**
 * Writes a PKCS#12 file (RFC 7292) for browsers and keychains: a key, its certificate and its CA. It is used if there is no
 * openssl; Node.js can read such files but not write them.
 *
 *   PFX := SEQ { 3, data(SEQ { data(certificates), data(key, PBES2 AES-256) }), MAC (HMAC-SHA-256) }
 *
 * The certificates are not encrypted. Node.js encrypts the key as PKCS#8.
 */
import { createHash, createHmac, createPrivateKey, hash, randomBytes, X509Certificate } from "node:crypto";

export interface Bundle {
  readonly certificatePem: string;
  readonly keyPem: string;
  readonly authorityPem: string;
  /** The name that browsers show. */
  readonly friendlyName: string;
  readonly password: string;
}

const oids = {
  data: "2a864886f70d010701",
  keyBag: "2a864886f70d010c0a0102",
  certificateBag: "2a864886f70d010c0a0103",
  x509: "2a864886f70d01091601",
  friendlyName: "2a864886f70d010914",
  localKeyId: "2a864886f70d010915",
  sha256: "608648016503040201",
} as const;

const macIterations = 100_000;

/** Returns the bytes of the file. */
export function encodeP12(bundle: Bundle): Buffer {
  const certificate = new X509Certificate(bundle.certificatePem).raw;
  const authority = new X509Certificate(bundle.authorityPem).raw;
  const keyId = createHash("sha1").update(certificate).digest();
  const encryptedKey = createPrivateKey(bundle.keyPem).export({
    format: "der",
    type: "pkcs8",
    cipher: "aes-256-cbc",
    passphrase: bundle.password,
  });
  const attributes = set(
    sequence(oid(oids.friendlyName), set(der(0x1e, utf16(bundle.friendlyName)))),
    sequence(oid(oids.localKeyId), set(octets(keyId))),
  );
  const safe = sequence(
    content(sequence(certificateBag(certificate, attributes), certificateBag(authority))),
    content(sequence(sequence(oid(oids.keyBag), explicit(encryptedKey), attributes))),
  );
  return sequence(integer(3), content(safe), mac(safe, bundle.password));
}

const certificateBag = (certificate: Buffer, attributes: Buffer = Buffer.alloc(0)): Buffer =>
  sequence(
    oid(oids.certificateBag),
    explicit(sequence(oid(oids.x509), explicit(octets(certificate)))),
    attributes,
  );

function mac(content: Buffer, password: string): Buffer {
  const salt = randomBytes(16);
  const digest = createHmac("sha256", macKey(password, salt)).update(content).digest();
  const algorithm = sequence(oid(oids.sha256), der(0x05, Buffer.alloc(0)));
  return sequence(sequence(algorithm, octets(digest)), octets(salt), integer(macIterations));
}

/** RFC 7292 appendix B.2 with SHA-256 for the MAC (id 3). One block of output is enough, so it ends after step 6A. */
function macKey(password: string, salt: Buffer): Buffer {
  const block = 64;
  const fill = (bytes: Buffer): Buffer =>
    bytes.length === 0 ? bytes : Buffer.alloc(block * Math.ceil(bytes.length / block), bytes);
  const secret = Buffer.concat([utf16(password), Buffer.from([0, 0])]);
  let key = createHash("sha256")
    .update(Buffer.alloc(block, 3))
    .update(fill(salt))
    .update(fill(secret))
    .digest();
  for (let round = 1; round < macIterations; round++) key = hash("sha256", key, "buffer");
  return key;
}

/** UTF-16, big-endian. */
const utf16 = (text: string): Buffer => Buffer.from(text, "utf16le").swap16();

function der(tag: number, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const length: number[] = [];
  for (let left = body.length; left > 0; left = Math.floor(left / 256)) length.unshift(left % 256);
  const prefix = body.length < 128 ? [body.length] : [0x80 | length.length, ...length];
  return Buffer.concat([Buffer.from([tag, ...prefix]), body]);
}

const sequence = (...parts: Buffer[]): Buffer => der(0x30, ...parts);
const set = (...parts: Buffer[]): Buffer => der(0x31, ...parts);
const octets = (bytes: Buffer): Buffer => der(0x04, bytes);
const explicit = (bytes: Buffer): Buffer => der(0xa0, bytes);
const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, "hex"));
const content = (bytes: Buffer): Buffer => sequence(oid(oids.data), explicit(octets(bytes)));

function integer(value: number): Buffer {
  const hex = value.toString(16);
  const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, "hex");
  return der(0x02, (bytes[0] ?? 0) & 0x80 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes);
}
