/** A value in the selected format, one page at a time. Large values are shown only on request. */
import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { toBase64 } from "../core/base64.ts";
import { type Format, hexRows, lenientText, parseJson, parseMsgpack } from "../core/decode.ts";
import { size } from "../core/format.ts";
import { visibleBlock } from "../core/visible.ts";
import { JsonTree } from "./json-tree.tsx";

const pageBytes = 16 << 10;
const hexPageBytes = 2 << 10;

export function ValueView({ value, format }: { value: Uint8Array; format: Format }) {
  if (value.length === 0) return <p class="quiet">The value is empty.</p>;
  if (format === "json" || format === "msgpack") return <Tree value={value} format={format} />;
  if (format === "hex") return <Hex value={value} />;
  if (format === "base64") return <Paged value={value} text={base64Page} />;
  return <Paged value={value} text={textPage} />;
}

const textPage = (bytes: Uint8Array): string => visibleBlock(lenientText(bytes));
const base64Page = (bytes: Uint8Array): string => toBase64(bytes);

function Tree({ value, format }: { value: Uint8Array; format: "json" | "msgpack" }) {
  const parsed = useMemo(() => (format === "json" ? parseJson(value) : parseMsgpack(value)), [value, format]);
  if (parsed.ok) return <JsonTree value={parsed.value} />;
  return (
    <>
      <p class="wrong">
        Not {format === "json" ? "JSON" : "MessagePack"}: {parsed.why}
      </p>
      {format === "json" ? <Paged value={value} text={textPage} /> : <Hex value={value} />}
    </>
  );
}

function Paged({ value, text }: { value: Uint8Array; text: (bytes: Uint8Array) => string }) {
  const shown = useSignal(Math.min(value.length, pageBytes));
  const page = useMemo(() => text(value.subarray(0, shown.value)), [value, shown.value, text]);
  return (
    <>
      <pre class="text">{page}</pre>
      <More
        shown={shown.value}
        all={value.length}
        step={pageBytes * 4}
        onMore={(next) => (shown.value = next)}
      />
    </>
  );
}

function Hex({ value }: { value: Uint8Array }) {
  const shown = useSignal(Math.min(value.length, hexPageBytes));
  const rows = useMemo(() => hexRows(value, 0, Math.ceil(shown.value / 16)), [value, shown.value]);
  return (
    <>
      <pre class="hex">{rows.map((row) => `${row.position}  ${row.hex}  ${row.ascii}`).join("\n")}</pre>
      <More
        shown={shown.value}
        all={value.length}
        step={hexPageBytes * 4}
        onMore={(next) => (shown.value = next)}
      />
    </>
  );
}

interface MoreProps {
  readonly shown: number;
  readonly all: number;
  readonly step: number;
  readonly onMore: (next: number) => void;
}

function More({ shown, all, step, onMore }: MoreProps) {
  if (shown >= all) return null;
  return (
    <p class="more">
      First {size(shown)} of {size(all)}{" "}
      <button type="button" class="button" onClick={() => onMore(Math.min(all, shown + step))}>
        Show more
      </button>
    </p>
  );
}
