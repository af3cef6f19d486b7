/**
 * Serves the files of a site: the dashboard at /ui/, the handbook at /docs/. The first request reads all files into memory.
 * A path is only looked up among them, so a request cannot reach any other file. Browsers cache files with a hash in their
 * name without limit and revalidate the others by ETag. A client that accepts it gets the compressed copy (.br, .gz) that
 * the build made.
 *
 * If the site is not built, each response is 503 and names the command. The next request looks for the files again.
 */
import { createHash } from "node:crypto";
import { type Disk, readWhole } from "../../lib/disk/disk.ts";
import { type Exchange, headerOf, pathOf, type ResponseHeaders } from "./exchange/exchange.ts";

/** The part of an exchange that static files need. */
export type StaticFilesExchange = Pick<Exchange, "method" | "target" | "headers" | "send">;

export interface Site {
  /** As messages call it. */
  readonly name: string;
  /** Path without a slash at its end. */
  readonly base: string;
  /** Builds it. */
  readonly command: string;
}

export const sites = {
  dashboard: { name: "dashboard", base: "/ui", command: "npm run build:web" },
  handbook: { name: "handbook", base: "/docs", command: "npm run build:docs" },
} as const satisfies Record<string, Site>;

/** Returns whether the path is one of a site. */
export const isSitePath = (path: string): boolean =>
  Object.values(sites).some(({ base }) => isBelow(path, base));

const isBelow = (path: string, base: string): boolean => path === base || path.startsWith(`${base}/`);

export interface StaticFilesOptions {
  readonly disk: Disk;
  readonly site: Site;
  /** The output directory of the site's build. */
  readonly directory: string;
  /** Origins of the other nodes, such as `https://10.0.0.2:8400`. The page uses them if this node is unreachable. */
  connectOrigins(): readonly string[];
}

interface Asset {
  readonly type: string;
  readonly hashed: boolean;
  readonly etag: string;
  readonly plain: Uint8Array;
  readonly br: Uint8Array | undefined;
  readonly gzip: Uint8Array | undefined;
}

type Assets = ReadonlyMap<string, Asset>;

const types: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
};

/** Returns a function that serves requests below the site's path, and returns false for any other path. */
export function createStaticFiles(options: StaticFilesOptions): (exchange: StaticFilesExchange) => boolean {
  const { name, base } = options.site;
  let loaded: Assets | undefined;
  return (exchange) => {
    const path = pathOf(exchange);
    if (!isBelow(path, base)) return false;
    loaded ??= load(options);
    if (exchange.method !== "GET" && exchange.method !== "HEAD") {
      exchange.send(405, { ...plainHeaders, allow: "GET, HEAD" }, `the ${name} supports GET and HEAD only\n`);
    } else if (loaded === undefined) notBuilt(exchange, options.site);
    else if (path === base) exchange.send(308, { ...plainHeaders, location: `${base}/` }, "");
    else sendAsset(exchange, loaded.get(path.slice(base.length + 1) || "index.html"), options);
    return true;
  };
}

const plainHeaders = {
  "content-type": "text/plain; charset=utf-8",
  "cache-control": "no-store",
};

function sendAsset(
  exchange: StaticFilesExchange,
  asset: Asset | undefined,
  options: StaticFilesOptions,
): void {
  if (asset === undefined) {
    const { name, base } = options.site;
    exchange.send(404, plainHeaders, `no such file in the ${name}; it starts at ${base}/\n`);
    return;
  }
  const [encoding, bytes] = chosen(asset, headerOf(exchange, "accept-encoding") ?? "");
  const etag = encoding === undefined ? `"${asset.etag}"` : `"${asset.etag}-${encoding}"`;
  const headers: ResponseHeaders = {
    "content-type": asset.type,
    "cache-control": asset.hashed ? "public, max-age=31536000, immutable" : "no-cache",
    etag,
    vary: "accept-encoding",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "content-security-policy": contentPolicy(options.connectOrigins()),
    ...(encoding === undefined ? {} : { "content-encoding": encoding }),
  };
  const known = (headerOf(exchange, "if-none-match") ?? "")
    .split(",")
    .map((tag) => tag.trim().replace(/^W\//, ""));
  const isKnown = known.includes(etag) || known.includes("*");
  exchange.send(isKnown ? 304 : 200, headers, bytes);
}

/**
 * Returns the content security policy: scripts, styles and workers from this server only, nothing inline; calls to this
 * server and to the other nodes of the cluster.
 */
export function contentPolicy(connectOrigins: readonly string[]): string {
  const others = connectOrigins.filter((origin) => /^https?:\/\/[\w.:[\]-]+$/.test(origin));
  return [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "worker-src 'self'",
    `connect-src ${["'self'", ...others].join(" ")}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
}

function chosen(asset: Asset, accepted: string): readonly ["br" | "gzip" | undefined, Uint8Array] {
  const takes = (name: string): boolean =>
    accepted.split(",").some((part) => {
      const [coding, ...parameters] = part
        .toLowerCase()
        .split(";")
        .map((text) => text.trim());
      return coding === name && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter));
    });
  if (asset.br !== undefined && takes("br")) return ["br", asset.br];
  if (asset.gzip !== undefined && takes("gzip")) return ["gzip", asset.gzip];
  return [undefined, asset.plain];
}

/** Reads all files by their path below that of the site. Returns undefined if the site is not built. */
function load({ disk, directory }: StaticFilesOptions): Assets | undefined {
  if (!disk.exists(`${directory}/index.html`)) return undefined;
  const folder = (below: string): [string, string][] =>
    disk.exists(`${directory}/${below}`)
      ? disk.list(`${directory}/${below}`).map((name) => [`${below}${name}`, `${directory}/${below}${name}`])
      : [];
  const files = new Map([...folder(""), ...folder("assets/")]);
  const assets = new Map<string, Asset>();
  for (const [name, file] of files) {
    const type = types[name.split(".").at(-1) ?? ""];
    if (type === undefined) continue;
    const plain = readWhole(disk, file);
    const compressed = (suffix: string): Uint8Array | undefined => {
      const path = files.get(`${name}.${suffix}`);
      return path === undefined ? undefined : readWhole(disk, path);
    };
    const etag = createHash("sha256").update(plain).digest("base64url").slice(0, 22);
    assets.set(name, {
      type,
      hashed: name.startsWith("assets/"),
      etag,
      plain,
      br: compressed("br"),
      gzip: compressed("gz"),
    });
  }
  return assets;
}

function notBuilt(exchange: StaticFilesExchange, { name, command }: Site): void {
  const message = `the ${name} is not built on this node; run ${command} and reload`;
  if ((headerOf(exchange, "accept") ?? "").includes("text/html")) {
    const page = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Tailrace</title><h1>The ${name} is not built</h1><p>Run this in the directory of the package, then reload:</p><pre>${command}</pre><p>The log itself is served without it.</p></html>\n`;
    const headers = { ...plainHeaders, "content-type": "text/html; charset=utf-8", "retry-after": "5" };
    exchange.send(503, { ...headers, "content-security-policy": "default-src 'none'" }, page);
  } else {
    const body = JSON.stringify({ code: "unavailable", message, command, written: "no" });
    const headers = { ...plainHeaders, "content-type": "application/json", "retry-after": "5" };
    exchange.send(503, headers, `${body}\n`);
  }
}
