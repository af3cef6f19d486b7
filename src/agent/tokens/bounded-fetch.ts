/** Requests to an issuer of tokens. They have a limit of time and size, and follow no redirect. */
import { Fault } from "../../fault.ts";

const timeoutMs = 5_000;
const bytesMax = 262_144;

/** As fetch(), but the whole body has arrived. @throws Fault "unavailable" that names the URL without its query */
export async function boundedFetch(url: string | URL, init: RequestInit = {}): Promise<Response> {
  const { origin, pathname } = new URL(url);
  try {
    const response = await fetch(url, {
      ...init,
      redirect: "error",
      signal: AbortSignal.timeout(timeoutMs),
    });
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const chunk of response.body ?? []) {
      bytes += chunk.length;
      if (bytes > bytesMax) throw new Error(`the response has more than ${bytesMax} bytes`);
      chunks.push(chunk);
    }
    const { status, headers } = response;
    const hasBody = status !== 204 && status !== 304;
    return new Response(hasBody ? Buffer.concat(chunks) : null, { status, headers });
  } catch (cause) {
    throw new Fault("unavailable", { message: `${origin}${pathname}: ${reasonOf(cause)}`, cause });
  }
}

/** Resolves to the text of a response with status 200. @throws Fault "unavailable" */
export async function fetchText(url: string): Promise<string> {
  const response = await boundedFetch(url, { headers: { accept: "application/json" } });
  if (response.status === 200) return response.text();
  throw new Fault("unavailable", { message: `${url} answers with status ${response.status}` });
}

/** fetch() hides the reason in the cause of its error. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError") return `no complete response in ${timeoutMs} ms`;
  return error.cause instanceof Error ? error.cause.message : error.message;
}
