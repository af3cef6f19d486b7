/** The checks of certificates: those of the client, and the one that a node presents. */
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { connect as connectTls } from "node:tls";
import { Fault } from "../../fault.ts";
import { systemClock } from "../../lib/time/clock.ts";
import { address } from "../../lib/value-kind.ts";
import { readTls, type TlsFlags } from "../tls-flags.ts";
import { type Check, ok, problem, skipped, warning } from "./check.ts";

const dayMs = 86_400_000;
const warnedDays = 30;

/** Checks the files of the client. Key material is not shown. */
export function clientCertificateCheck(files: TlsFlags): Check {
  const name = "certificates";
  const { tlsCaFile, tlsCertFile, tlsKeyFile } = files;
  const paths = [tlsCaFile, tlsCertFile].filter((path) => path !== undefined);
  if (paths.length === 0 && tlsKeyFile === undefined)
    return skipped(name, "no certificates are given, the connection is plaintext");
  try {
    readTls(files);
    const worst = paths
      .map((path) =>
        judgeExpiry(
          name,
          path,
          new X509Certificate(readFileSync(path)).validToDate.getTime(),
          systemClock.wallMs(),
        ),
      )
      .find(({ grade }) => grade !== "ok");
    return worst ?? ok(name, paths.join(", "));
  } catch (reason) {
    const { message } = Fault.from(reason);
    return problem(name, message, "give files that belong together; tailrace certs makes some");
  }
}

/** `what` is the file or the owner of the certificate. */
export function judgeExpiry(name: string, what: string, expiresMs: number, nowMs: number): Check {
  const at = new Date(expiresMs).toISOString();
  const days = Math.floor((expiresMs - nowMs) / dayMs);
  const todo =
    "renew it: tailrace certs --issue, or your authority. A node loads renewed files while it runs";
  if (expiresMs <= nowMs) return problem(name, `${what} expired on ${at}`, todo);
  if (days < warnedDays) return warning(name, `${what} expires in ${days} days, on ${at}`, todo);
  return ok(name, `${what} is valid until ${at}`);
}

const connectMs = 5_000;

/** Checks the certificate that the node presents. Whether it is trusted is checked by the connection of the client. */
export async function nodeCertificateCheck(addr: string): Promise<Check> {
  const name = "addr-cert";
  const { host, port } = address.parse(addr);
  const found = await new Promise<{ readonly valid_to: string } | undefined>((resolve) => {
    const socket = connectTls({ host, port, rejectUnauthorized: false, timeout: connectMs });
    const end = (certificate: { readonly valid_to: string } | undefined): void => {
      resolve(certificate);
      socket.destroy();
    };
    socket.once("secureConnect", () => end(socket.getPeerCertificate()));
    socket.once("error", () => end(undefined));
    socket.once("timeout", () => end(undefined));
  });
  if (found?.valid_to === undefined) return skipped(name, `${addr} presents no certificate`);
  return judgeExpiry(name, `the certificate of ${addr}`, Date.parse(found.valid_to), systemClock.wallMs());
}
