/**
 * Builds keys and certificates from requests and profiles. Nothing is written; the time is handed in, so that
 * tests can make expired ones.
 *
 * Every certificate is backdated a little, as CFSSL does, for machines whose clocks differ.
 *
 * Never: touches a file, reads the clock.
 */
import "reflect-metadata";
import { isIP } from "node:net";
import * as x509 from "@peculiar/x509";
import { Fault } from "../../fault.ts";
import type { CertificateRequest, KeyRequest, Profile } from "./cfssl.ts";

const backdateMs = 5 * 60_000;
/** CFSSL's own default for a CA. */
const caExpiryMs = 43_800 * 3_600_000;

export interface KeyPair {
  readonly keys: CryptoKeyPair;
  /** PKCS#8. */
  readonly keyPem: string;
}

export interface Issued extends KeyPair {
  readonly certificate: x509.X509Certificate;
  readonly certificatePem: string;
}

/** A self-signed CA that may sign leaves only. */
export async function makeAuthority(request: CertificateRequest, now: Date): Promise<Issued> {
  const pair = await makeKeys(request.key);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: nameOf(request, request.commonName),
    ...validity(now, request.expiryMs ?? caExpiryMs),
    signingAlgorithm: signingAlgorithm(request.key),
    keys: pair.keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(pair.keys.publicKey),
    ],
  });
  return { ...pair, certificate, certificatePem: pem(certificate) };
}

/** A CA as it lies on disk. Throws Fault "config" when the two do not belong together. */
export async function readAuthority(certificatePem: string, keyPem: string): Promise<Issued> {
  const certificate = new x509.X509Certificate(certificatePem);
  const algorithm = certificate.publicKey.algorithm as Algorithm;
  const privateKey = await crypto.subtle.importKey(
    "pkcs8",
    x509.PemConverter.decodeFirst(keyPem),
    importAlgorithm(algorithm),
    true,
    ["sign"],
  );
  const publicKey = await certificate.publicKey.export(importAlgorithm(algorithm), ["verify"]);
  const sample = new Uint8Array(16);
  const how = { ...algorithm, hash: "SHA-256" };
  const signature = await crypto.subtle.sign(how, privateKey, sample);
  if (!(await crypto.subtle.verify(how, publicKey, signature, sample))) {
    throw new Fault("config", { message: "ca.pem and ca-key.pem do not belong together" });
  }
  return { keys: { publicKey, privateKey }, keyPem, certificate, certificatePem };
}

export interface LeafOptions {
  readonly commonName?: string;
  /** DNS names, IP addresses, or URIs, besides those of the request. */
  readonly names?: readonly string[];
}

/** A leaf signed by `authority`. Throws Fault "config" for a usage nobody knows. */
export async function issue(
  authority: Issued,
  request: CertificateRequest,
  profile: Profile,
  now: Date,
  options: LeafOptions = {},
): Promise<Issued> {
  const pair = await makeKeys(request.key);
  const names = [...new Set([...request.hosts, ...(options.names ?? [])])];
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: nameOf(request, options.commonName ?? request.commonName),
    issuer: authority.certificate.subjectName,
    ...validity(now, profile.expiryMs),
    publicKey: pair.keys.publicKey,
    signingKey: authority.keys.privateKey,
    signingAlgorithm: { ...authority.certificate.publicKey.algorithm, hash: "SHA-256" },
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      ...usageExtensions(profile.usages),
      await x509.SubjectKeyIdentifierExtension.create(pair.keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(authority.keys.publicKey),
      ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names.map(alternativeName))]),
    ],
  });
  return { ...pair, certificate, certificatePem: pem(certificate) };
}

async function makeKeys({ algo, size }: KeyRequest): Promise<KeyPair> {
  const algorithm =
    algo === "ecdsa"
      ? { name: "ECDSA", namedCurve: `P-${size}` }
      : {
          name: "RSASSA-PKCS1-v1_5",
          hash: "SHA-256",
          modulusLength: size,
          publicExponent: new Uint8Array([1, 0, 1]),
        };
  const keys = (await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"])) as CryptoKeyPair;
  const pkcs8 = await crypto.subtle.exportKey("pkcs8", keys.privateKey);
  return { keys, keyPem: `${x509.PemConverter.encode(pkcs8, "PRIVATE KEY")}\n` };
}

const signingAlgorithm = ({ algo }: KeyRequest): Algorithm & { hash: string } => ({
  name: algo === "ecdsa" ? "ECDSA" : "RSASSA-PKCS1-v1_5",
  hash: "SHA-256",
});

const importAlgorithm = (algorithm: Algorithm): Algorithm & { hash: string } => ({
  ...algorithm,
  hash: "SHA-256",
});

function validity(now: Date, expiryMs: number): { notBefore: Date; notAfter: Date } {
  const whole = Math.floor(now.getTime() / 1000) * 1000;
  return { notBefore: new Date(whole - backdateMs), notAfter: new Date(whole + expiryMs) };
}

/** 159 random bits: positive, and within the 20 bytes that RFC 5280 allows. */
function serial(): string {
  const bytes = crypto.getRandomValues(Buffer.alloc(20));
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString("hex");
}

const nameOf = (request: CertificateRequest, commonName: string): x509.JsonName => [
  ...request.names.map(([part, value]) => ({ [part]: [value] })),
  { CN: [commonName] },
];

function alternativeName(name: string): x509.JsonGeneralName {
  if (isIP(name) !== 0) return { type: "ip", value: name };
  return { type: /^[a-z][a-z0-9+.-]*:/i.test(name) ? "url" : "dns", value: name };
}

/** CFSSL's words for key usages, those that TLS has a use for. */
const keyUsages: Readonly<Record<string, number>> = {
  signing: x509.KeyUsageFlags.digitalSignature,
  "digital signature": x509.KeyUsageFlags.digitalSignature,
  "content commitment": x509.KeyUsageFlags.nonRepudiation,
  "key encipherment": x509.KeyUsageFlags.keyEncipherment,
  "key agreement": x509.KeyUsageFlags.keyAgreement,
  "data encipherment": x509.KeyUsageFlags.dataEncipherment,
};
const extendedUsages: Readonly<Record<string, string>> = {
  "server auth": x509.ExtendedKeyUsage.serverAuth,
  "client auth": x509.ExtendedKeyUsage.clientAuth,
};

function usageExtensions(usages: readonly string[]): x509.Extension[] {
  let flags = 0;
  const extended: string[] = [];
  for (const usage of usages) {
    const flag = keyUsages[usage];
    const purpose = extendedUsages[usage];
    if (flag !== undefined) flags |= flag;
    else if (purpose !== undefined) extended.push(purpose);
    else {
      const known = [...Object.keys(keyUsages), ...Object.keys(extendedUsages)].join(", ");
      throw new Fault("config", {
        message: `no usage "${usage}" of a certificate is known`,
        facts: { known },
      });
    }
  }
  return [
    new x509.KeyUsagesExtension(flags, true),
    ...(extended.length === 0 ? [] : [new x509.ExtendedKeyUsageExtension(extended)]),
  ];
}

const pem = (certificate: x509.X509Certificate): string => `${certificate.toString("pem")}\n`;
