/** A foldable tree of a parsed value. A level is drawn only when it is opened, a hundred children at a time. */
import { useSignal } from "@preact/signals";
import { grouped } from "../core/format.ts";
import { visibleLine } from "../core/visible.ts";

const openDepth = 2;
const openChildren = 60;
const pageChildren = 100;
const textMax = 2_000;

export function JsonTree({ value }: { value: unknown }) {
  return (
    <div class="tree">
      <Node name={undefined} value={value} depth={0} />
    </div>
  );
}

interface NodeProps {
  readonly name: string | undefined;
  readonly value: unknown;
  readonly depth: number;
}

function Node({ name, value, depth }: NodeProps) {
  if (typeof value === "object" && value !== null) return <Branch name={name} value={value} depth={depth} />;
  return (
    <div class="leaf">
      <Name name={name} />
      <Leaf value={value} />
    </div>
  );
}

function Name({ name }: { name: string | undefined }) {
  if (name === undefined) return null;
  return (
    <>
      <bdi class="name">{visibleLine(name.slice(0, 200))}</bdi>
      <span class="quiet">: </span>
    </>
  );
}

function Branch({ name, value, depth }: NodeProps & { value: object }) {
  const list = Array.isArray(value);
  const keys = list ? undefined : Object.keys(value);
  const count = keys?.length ?? (value as unknown[]).length;
  const opened = useSignal(depth < openDepth && count <= openChildren);
  const shown = useSignal(pageChildren);
  const [left, right] = list ? ["[", "]"] : ["{", "}"];
  if (count === 0) {
    return (
      <div class="leaf">
        <Name name={name} />
        <span class="quiet">
          {left}
          {right}
        </span>
      </div>
    );
  }
  return (
    <div class="branch">
      <button
        type="button"
        class="fold"
        aria-expanded={opened.value}
        onClick={() => {
          opened.value = !opened.value;
        }}
      >
        <span class="twist" aria-hidden="true" />
        <Name name={name} />
        <span class="quiet">
          {left}
          {opened.value ? "" : ` ${grouped(count)} ${right}`}
        </span>
      </button>
      {opened.value && (
        <div class="children">
          {Array.from({ length: Math.min(count, shown.value) }, (_, index) => {
            const key = keys?.[index];
            const child =
              key === undefined ? (value as unknown[])[index] : (value as Record<string, unknown>)[key];
            return <Node key={key ?? index} name={key ?? String(index)} value={child} depth={depth + 1} />;
          })}
          {count > shown.value && (
            <button
              type="button"
              class="button"
              onClick={() => {
                shown.value += pageChildren * 5;
              }}
            >
              {grouped(count - shown.value)} more
            </button>
          )}
        </div>
      )}
      {opened.value && <span class="quiet close">{right}</span>}
    </div>
  );
}

function Leaf({ value }: { value: unknown }) {
  const all = useSignal(false);
  if (typeof value !== "string")
    return <span class={`v-${value === null ? "null" : typeof value}`}>{String(value)}</span>;
  const long = value.length > textMax && !all.value;
  return (
    <>
      <bdi class="v-string">"{visibleLine(long ? value.slice(0, textMax) : value)}"</bdi>
      {long && (
        <button
          type="button"
          class="link"
          onClick={() => {
            all.value = true;
          }}
        >
          … {grouped(value.length - textMax)} more
        </button>
      )}
    </>
  );
}
