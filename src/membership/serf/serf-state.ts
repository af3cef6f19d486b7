/**
 * Encodes and decodes Serf's part of a push/pull: the three clocks, the status time of each member, the members that
 * left, and recent user events for members that missed the gossip.
 *
 *   02 {EventLTime, Events, LTime, LeftMembers, QueryLTime, StatusLTimes}     Events: {LTime, Events: {Name, Payload}}
 *
 * Serf sends all 512 event slots. This encoder leaves out the empty ones, which receivers accept.
 */
import { Fields, MsgpackReader, malformed, utf8, type Value } from "../codec/msgpack-reader.ts";
import { MsgpackWriter } from "../codec/msgpack-writer.ts";
import { lamportMax, serfType, userEventBytesMax } from "./serf-messages.ts";

export interface EventsAt {
  readonly lTime: number;
  readonly events: readonly { readonly name: string; readonly payload: Buffer }[];
}

export interface SerfState {
  readonly lTime: number;
  readonly statusLTimes: ReadonlyMap<string, number>;
  readonly left: readonly string[];
  readonly eventLTime: number;
  readonly events: readonly EventsAt[];
  readonly queryLTime: number;
}

export function encodeSerfState(state: SerfState): Buffer {
  const writer = new MsgpackWriter().byte(serfType.pushPull).map(6);
  writer.text("EventLTime").uint(state.eventLTime).text("Events").array(state.events.length);
  for (const slot of state.events) {
    writer.map(2).text("Events").array(slot.events.length);
    for (const event of slot.events) {
      writer.map(2).text("Name").text(event.name).text("Payload").raw(event.payload);
    }
    writer.text("LTime").uint(slot.lTime);
  }
  writer.text("LTime").uint(state.lTime).text("LeftMembers").array(state.left.length);
  for (const name of state.left) writer.text(name);
  writer.text("QueryLTime").uint(state.queryLTime);
  writer.text("StatusLTimes").map(state.statusLTimes.size);
  for (const [name, lTime] of state.statusLTimes) writer.text(name).uint(lTime);
  return writer.finish();
}

/** Most values: 8,192 members with their times, as many that left, 512 slots and 4,096 events. */
const valuesMax = 65_536;

/** @throws Fault "bad-request" */
export function decodeSerfState(bytes: Buffer): SerfState {
  if (bytes[0] !== serfType.pushPull) throw malformed("it is not a Serf state");
  const fields = new MsgpackReader(bytes, 1, valuesMax).fields();
  const statusLTimes = new Map<string, number>();
  const times = fields.fields("StatusLTimes");
  for (const [name] of times.entries()) statusLTimes.set(name, times.uint(name, lamportMax));
  return {
    lTime: fields.uint("LTime", lamportMax),
    statusLTimes,
    left: fields.list("LeftMembers").map((name) => {
      if (!Buffer.isBuffer(name)) throw malformed("a name is not text");
      return utf8(name, "a name");
    }),
    eventLTime: fields.uint("EventLTime", lamportMax),
    events: fields.list("Events").flatMap(eventsAt),
    queryLTime: fields.uint("QueryLTime", lamportMax),
  };
}

function eventsAt(slot: Value): EventsAt[] {
  if (slot === null) return [];
  if (!(slot instanceof Fields)) throw malformed("an event slot is not a map");
  const events = slot.list("Events").map((event) => {
    if (!(event instanceof Fields)) throw malformed("an event is not a map");
    return {
      name: event.text("Name", userEventBytesMax),
      payload: event.raw("Payload", userEventBytesMax * 8),
    };
  });
  return [{ lTime: slot.uint("LTime", lamportMax), events }];
}
