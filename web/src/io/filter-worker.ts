/** The worker that runs the filter. A batch comes in, its matches go out, one at a time. */
import { compileFilter, type Filter, type FilterSpec, type Marks } from "../core/filter.ts";

export type ToWorker =
  | { readonly kind: "spec"; readonly spec: FilterSpec }
  | {
      readonly kind: "batch";
      readonly first: number;
      readonly bytes: Uint8Array;
      readonly lengths: Uint32Array;
    };

export type FromWorker =
  | { readonly kind: "ready" }
  | { readonly kind: "wrong"; readonly why: string }
  | { readonly kind: "matches"; readonly first: number; readonly next: number; readonly found: Found[] };

export interface Found {
  readonly offset: number;
  readonly marks: Marks;
}

interface Scope {
  onmessage: ((event: { data: ToWorker }) => void) | null;
  postMessage(message: FromWorker): void;
}

const scope = globalThis as unknown as Scope;
let filter: Filter = () => undefined;

scope.onmessage = ({ data }) => {
  if (data.kind === "spec") {
    const compiled = compileFilter(data.spec);
    if (typeof compiled === "string") scope.postMessage({ kind: "wrong", why: compiled });
    else {
      filter = compiled;
      scope.postMessage({ kind: "ready" });
    }
    return;
  }
  const found: Found[] = [];
  let at = 0;
  data.lengths.forEach((length, index) => {
    const marks = filter(data.bytes.subarray(at, at + length));
    if (marks !== undefined) found.push({ offset: data.first + index, marks });
    at += length;
  });
  scope.postMessage({ kind: "matches", first: data.first, next: data.first + data.lengths.length, found });
};
