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
import { format, linkTo, open, second, tail, timeStyle } from "../state/app.ts";
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
    <aside class="panel" aria-label={`Record ${offset}`}>
      <div class="panel-head">
        <h2>Record {grouped(offset)}</h2>
        <button
          type="button"
          class="icon"
          aria-label="Close"
          onClick={() => {
            open.value = undefined;
          }}
        >
          ✕
        </button>
      </div>
      {record.value !== undefined && <Parts record={record.value} />}
      {record.value === undefined && (
        <p class="quiet panel-body">{wrong.value === "" ? "Reading…" : wrong.value}</p>
      )}
    </aside>
  );
}

function held(offset: number): RecordView | undefined {
  const bytes = tail.ring.at(offset);
  return bytes === undefined ? undefined : readRecord(bytes.slice());
}

/** For a link to a record that is not on the page. */
async function fetchRecord(offset: number): Promise<RecordView | undefined> {
  const { record } = await callsTo(tail.link.node).log.consume(
    { offset: BigInt(offset) },
    { timeoutMs: 10_000 },
  );
  return record === undefined ? undefined : readRecord(toBinary(RecordSchema, record));
}

function Parts({ record }: { record: RecordView }) {
  const chosen = useSignal<FormatChoice>(format.value);
  const shownAs = chosen.value === "auto" ? detect(record.value) : chosen.value;
  const zone = timeStyle.value === "utc" ? 0 : zoneMinutesAt(record.timestampMs);
  return (
    <>
      <dl class="meta">
        <div>
          <dt>Time</dt>
          <dd>
            {fullTime(record.timestampMs, zone)}{" "}
            <span class="quiet">{ago(record.timestampMs, second.value)}</span>
          </dd>
        </div>
        <div>
          <dt>Size</dt>
          <dd>
            {size(record.value.length)} <span class="quiet">term {record.term}</span>
          </dd>
        </div>
        {record.key.length > 0 && (
          <div>
            <dt>Key</dt>
            <dd>
              <bdi class="mono">{visibleLine(lenientText(record.key).slice(0, 500))}</bdi>
            </dd>
          </div>
        )}
      </dl>
      {record.headers.length > 0 && <Headers record={record} />}
      <fieldset class="formats">
        <legend class="sr">Show the value as</legend>
        {formatChoices
          .filter((choice) => choice !== "auto")
          .map((choice) => (
            <button
              key={choice}
              type="button"
              class="mode"
              aria-pressed={choice === shownAs}
              onClick={() => {
                chosen.value = choice;
              }}
            >
              {nameOfFormat(choice)}
            </button>
          ))}
      </fieldset>
      <div class="panel-body">
        <ValueView value={record.value} format={shownAs} />
      </div>
      <div class="panel-foot">
        <button type="button" class="button" onClick={() => void copyValueBytes(record.value)}>
          Copy value
        </button>
        <button
          type="button"
          class="button"
          onClick={() => void copy(curlConsume(location, record.offset), "curl line")}
        >
          as curl
        </button>
        <button
          type="button"
          class="button"
          onClick={() => void copy(grpcurlConsume(location, record.offset), "grpcurl line")}
        >
          as grpcurl
        </button>
        <button type="button" class="button" onClick={() => void copy(linkTo(record.offset), "Link")}>
          Link
        </button>
      </div>
    </>
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
