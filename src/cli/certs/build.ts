/**
 * Builds keys and certificates from requests and profiles. It writes no file. The time is a parameter, so that tests can
 * build expired certificates. Like CFSSL it starts the validity five minutes early, because clocks differ.
 */
import "reflect-metadata";
import { isIP } from "node:net";
import * as x509 from "@peculiar/x509";
import { Fault } from "../../fault.ts";
import type { CertificateRequest, KeyRequest, Profile } from "./cfssl.ts";

const backdateMs = 5 * 60_000;
/** The default of CFSSL for a CA. */
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

/** Creates a self-signed CA. Its path length is 0, so it can sign leaf certificates only. */
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

/**
 * Reads a CA from PEM texts.
 * @throws Fault "config" if the key does not belong to the certificate
 */
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
  /** DNS names, IP addresses or URIs, in addition to those of the request. */
  readonly names?: readonly string[];
}

/**
 * Creates a leaf certificate that `authority` signs.
 * @throws Fault "config" for an unknown usage in `profile`
 */
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

/** The key usages of TLS certificates, by their names in CFSSL. */
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
        message: `"${usage}" is not a known usage of a certificate`,
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
