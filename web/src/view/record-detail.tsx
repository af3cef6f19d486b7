/** One record with all its parts. It has a copy of the bytes, so it stays when the record leaves the ring. */

import { toBinary } from "@bufbuild/protobuf";
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { RecordSchema } from "../../../src/gen/log/v1/log_pb.js";
import { detect, type FormatChoice, formatChoices, lenientText, textOf } from "../core/decode.ts";
import { ago, fullTime, grouped, size } from "../core/format.ts";
import { curlConsume, grpcurlConsume } from "../core/snippets.ts";
import { visibleLine } from "../core/visible.ts";
import { type RecordView, readRecord } from "../core/wire.ts";
import { asCallError, callsTo } from "../io/calls.ts";
import { zoneMinutesAt } from "../io/timing.ts";
import { format, heldRecord, linkTo, open, second, tail, timeStyle } from "../state/app.ts";
import { ModeButtons } from "./mode-buttons.tsx";
import { Panel } from "./panel.tsx";
import { nameOfFormat } from "./pickers.tsx";
import { copy, copyValueBytes } from "./record-copy.ts";
import { ValueView } from "./value-view.tsx";

export function RecordDetail({ offset }: { offset: number }) {
  const record = useSignal<RecordView | undefined>(held(offset));
  const wrong = useSignal("");
  useEffect(() => {
    if (record.peek() !== undefined) return;
    void fetchRecord(offset).then(
      (found) => {
        record.value = found;
      },
      (error: unknown) => {
        wrong.value = asCallError(error).message;
      },
    );
  }, [offset, record, wrong]);
  return (
    <Panel
      label={`Record ${offset}`}
      title={`Record ${grouped(offset)}`}
      onClose={() => {
        open.value = undefined;
      }}
    >
      {record.value !== undefined && <Parts record={record.value} />}
      {record.value === undefined && (
        <p class="quiet panel-body">{wrong.value === "" ? "Reading…" : wrong.value}</p>
      )}
    </Panel>
  );
}

function held(offset: number): RecordView | undefined {
  const bytes = heldRecord(offset);
  return bytes === undefined ? undefined : readRecord(bytes.slice());
}

/** For a link to a record that is not on the page. */
async function fetchRecord(offset: number): Promise<RecordView | undefined> {
  const { record } = await callsTo(tail.link.node).log.consume(
    {
      offset: BigInt(offset),
      log: tail.log.peek(),
      ...(tail.logId !== undefined && { logId: tail.logId }),
    },
    { timeoutMs: 10_000 },
  );
  return record === undefined ? undefined : readRecord(toBinary(RecordSchema, record));
}

const valueFormats = formatChoices
  .filter((choice) => choice !== "auto")
  .map((choice) => [choice, nameOfFormat(choice)] as const);

function Parts({ record }: { record: RecordView }) {
  const chosen = useSignal<FormatChoice>(format.value);
  const shownAs = chosen.value === "auto" ? detect(record.value) : chosen.value;
  return (
    <>
      <Facts record={record} />
      {record.headers.length > 0 && <Headers record={record} />}
      <ModeButtons
        class="formats"
        legend="Show the value as"
        modes={valueFormats}
        pressed={shownAs}
        onPress={(choice) => {
          chosen.value = choice;
        }}
      />
      <div class="panel-body">
        <ValueView value={record.value} format={shownAs} />
      </div>
      <CopyButtons record={record} />
    </>
  );
}

/** Time, size and key. */
function Facts({ record: { timestampMs, value, term, key } }: { record: RecordView }) {
  const zone = timeStyle.value === "utc" ? 0 : zoneMinutesAt(timestampMs);
  return (
    <dl class="meta">
      <div>
        <dt>Time</dt>
        <dd>
          {fullTime(timestampMs, zone)} <span class="quiet">{ago(timestampMs, second.value)}</span>
        </dd>
      </div>
      <div>
        <dt>Size</dt>
        <dd>
          {size(value.length)} <span class="quiet">term {term}</span>
        </dd>
      </div>
      {key.length > 0 && (
        <div>
          <dt>Key</dt>
          <dd>
            <bdi class="mono">{visibleLine(lenientText(key).slice(0, 500))}</bdi>
          </dd>
        </div>
      )}
    </dl>
  );
}

function CopyButtons({ record: { offset, value } }: { record: RecordView }) {
  const buttons: readonly (readonly [label: string, onClick: () => Promise<void>])[] = [
    ["Copy value", () => copyValueBytes(value)],
    ["as curl", () => copy(curlConsume(location, tail.log.peek(), offset), "curl line")],
    ["as grpcurl", () => copy(grpcurlConsume(location, tail.log.peek(), offset), "grpcurl line")],
    ["Link", () => copy(linkTo(offset), "Link")],
  ];
  return (
    <div class="panel-foot">
      {buttons.map(([label, onClick]) => (
        <button key={label} type="button" class="button" onClick={() => void onClick()}>
          {label}
        </button>
      ))}
    </div>
  );
}

const headersMax = 100;

function Headers({ record }: { record: RecordView }) {
  return (
    <table class="header-table">
      <caption class="sr">Headers</caption>
      <tbody>
        {record.headers.slice(0, headersMax).map(({ key, value }, index) => (
          <tr key={index}>
            <th scope="row">{visibleLine(key.slice(0, 200))}</th>
            <td>
              <bdi>{visibleLine((textOf(value) ?? lenientText(value)).slice(0, 500))}</bdi>
            </td>
          </tr>
        ))}
      </tbody>
      {record.headers.length > headersMax && (
        <tfoot>
          <tr>
            <td colSpan={2}>{record.headers.length - headersMax} more</td>
          </tr>
        </tfoot>
      )}
    </table>
  );
}
