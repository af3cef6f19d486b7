/** Issues what Certificate manifests ask for, and clients' certificates, from one CA. */
import { type Issued, issue, makeAuthority } from "../../../src/cli/certs/build.ts";
import type { Certificate, Labels } from "../../support/deploy/manifests.ts";

const key = { algo: "ecdsa", size: 256 } as const;
const dayMs = 86_400_000;
const request = (commonName: string) => ({
  commonName,
  hosts: [],
  key,
  names: [],
  expiryMs: undefined,
});

export class Authority {
  readonly #issued: Promise<Issued> = makeAuthority(request("Test CA"), new Date());

  /** The files of the Secret. A certificate of a CA is not needed here: this CA signs all. */
  async issue({ spec }: Certificate): Promise<Labels> {
    const { commonName, dnsNames = [], ipAddresses = [], uris = [], usages = [] } = spec;
    const names = [...dnsNames, ...ipAddresses, ...uris];
    return this.#files(commonName, names, usages);
  }

  async client(
    commonName: string,
  ): Promise<{ readonly ca: string; readonly cert: string; readonly key: string }> {
    const files = await this.#files(commonName, [], ["digital signature", "client auth"]);
    return { ca: files["ca.crt"] ?? "", cert: files["tls.crt"] ?? "", key: files["tls.key"] ?? "" };
  }

  async #files(commonName: string, names: readonly string[], usages: readonly string[]): Promise<Labels> {
    const issued = await this.#issued;
    const profile = { expiryMs: dayMs, usages };
    const leaf = await issue(issued, request(commonName), profile, new Date(), { names });
    return { "tls.crt": leaf.certificatePem, "tls.key": leaf.keyPem, "ca.crt": issued.certificatePem };
  }
}
