/**
 * Takes the frames of one connection in order: checks where each type may stand (RFC 9113 §6) and passes it to the part
 * that it concerns. Every frame costs constant work or is charged for more.
 */
import type { ClosedStreams } from "./closed-streams.ts";
import { ConnectionError } from "./frames/connection-error.ts";
import { dependency, priorityBytes, unpadded } from "./frames/frame-payload.ts";
import type { FrameWriter } from "./frames/frame-writer.ts";
import { errorCode, frameFlag, framePayloadMax, frameType, setting, windowMax } from "./frames/frames.ts";
import { type FrameMeter, frameCharge, perUnit } from "./limits/frame-meter.ts";
import type { ReceiveWindow } from "./receive-window.ts";
import type { RequestIntake } from "./request-intake.ts";
import type { SendFlow } from "./send-flow.ts";
import type { StreamTable } from "./stream-table.ts";

/** The parts of the connection that frames concern. */
export interface FrameDispatchParts {
  readonly meter: FrameMeter;
  readonly writer: FrameWriter;
  readonly flow: SendFlow;
  readonly receiveWindow: ReceiveWindow;
  readonly streams: StreamTable;
  readonly closed: ClosedStreams;
  readonly requests: RequestIntake;
}

export class FrameDispatch {
  readonly #meter: FrameMeter;
  readonly #writer: FrameWriter;
  readonly #flow: SendFlow;
  readonly #receiveWindow: ReceiveWindow;
  readonly #streams: StreamTable;
  readonly #closed: ClosedStreams;
  readonly #requests: RequestIntake;
  /** Complete frames and header blocks so far. */
  items = 0;
  #settingsSeen = false;

  constructor({ meter, writer, flow, receiveWindow, streams, closed, requests }: FrameDispatchParts) {
    this.#meter = meter;
    this.#writer = writer;
    this.#flow = flow;
    this.#receiveWindow = receiveWindow;
    this.#streams = streams;
    this.#closed = closed;
    this.#requests = requests;
  }

  /** True if DATA is allowed as the next frame. */
  get takesData(): boolean {
    return this.#settingsSeen && !this.#requests.isBlockOpen;
  }

  /** @throws ConnectionError */
  onFrame(type: number, flags: number, id: number, payload: Buffer): void {
    if (!this.#settingsSeen && type !== frameType.settings) {
      throw new ConnectionError(errorCode.protocol, "the first frame must be SETTINGS");
    }
    if (this.#requests.isBlockOpen && type !== frameType.continuation) {
      throw new ConnectionError(errorCode.protocol, "a header block is interrupted by another frame");
    }
    switch (type) {
      case frameType.data:
        this.#onData(flags, id, payload);
        break;
      case frameType.headers:
        this.#requests.onHeaders(flags, id, payload);
        break;
      case frameType.priority:
        this.#onPriority(id, payload);
        break;
      case frameType.resetStream:
        this.#onReset(id, payload);
        break;
      case frameType.settings:
        this.#onSettings(flags, id, payload);
        break;
      case frameType.pushPromise:
        throw new ConnectionError(errorCode.protocol, "a client cannot push");
      case frameType.ping:
        this.#onPing(flags, id, payload);
        break;
      case frameType.goAway:
        this.#onGoAway(id, payload);
        break;
      case frameType.windowUpdate:
        this.#onWindowUpdate(id, payload);
        break;
      case frameType.continuation:
        this.#requests.onContinuation(flags, id, payload);
        break;
      default:
        this.#meter.charge(frameCharge.frame);
    }
    if (!this.#requests.isBlockOpen) this.items++;
  }

  #onData(flags: number, id: number, payload: Buffer): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) this.#rejectIdle(id, "DATA");
    this.#receiveWindow.receive(payload.length);
    const endStream = (flags & frameFlag.endStream) !== 0;
    const body = flags & frameFlag.padded ? unpadded(payload, 0) : payload;
    if (body.length === 0 && !endStream) this.#meter.charge(frameCharge.frame);
    if (stream === undefined) this.#closed.onData(id, payload.length, endStream);
    else stream.receive(body, payload.length, endStream);
  }

  /** Only HEADERS and PRIORITY are allowed on an idle stream (RFC 9113 §5.1). */
  #rejectIdle(id: number, frame: string): void {
    if (this.#streams.isIdle(id)) {
      throw new ConnectionError(errorCode.protocol, `${frame} on a stream that was never opened`);
    }
  }

  /** Priorities have no effect (RFC 9113 §5.3.2), but their form is checked. */
  #onPriority(id: number, payload: Buffer): void {
    if (id === 0) throw new ConnectionError(errorCode.protocol, "PRIORITY without a stream");
    this.#meter.charge(frameCharge.frame);
    if (payload.length !== priorityBytes) {
      this.#streams.resetForMistake(id, errorCode.frameSize);
    } else if (dependency(payload, 0) === id) {
      this.#streams.resetForMistake(id, errorCode.protocol);
    }
  }

  #onReset(id: number, payload: Buffer): void {
    this.#rejectIdle(id, "RST_STREAM");
    checkSize("RST_STREAM", payload, 4);
    this.#meter.charge(frameCharge.reset);
    const stream = this.#streams.get(id);
    if (stream !== undefined) this.#streams.canceledByClient(stream);
  }

  #onSettings(flags: number, id: number, payload: Buffer): void {
    if (id !== 0) throw new ConnectionError(errorCode.protocol, "SETTINGS on a stream");
    if (flags & frameFlag.ack) {
      checkSize("the acknowledgment of SETTINGS", payload, 0);
      this.#meter.charge(frameCharge.frame);
      return;
    }
    if (payload.length % 6 !== 0) throw wrongSize("SETTINGS", payload);
    this.#meter.charge(frameCharge.frame + Math.floor(payload.length / 6 / perUnit.settings));
    this.#settingsSeen = true;
    const before = this.#flow.initialStreamWindow;
    for (let at = 0; at < payload.length; at += 6) {
      this.#onSetting(payload.readUInt16BE(at), payload.readUInt32BE(at + 2));
    }
    // The acknowledgment comes before the DATA that the new window allows.
    this.#writer.settingsAck();
    if (this.#flow.initialStreamWindow > before) this.#flow.wakeStarved();
  }

  #onSetting(name: number, value: number): void {
    if (name === setting.initialWindowSize) {
      this.#flow.setInitialStreamWindow(value, this.#streams.open);
    } else if (name === setting.maxFrameSize && (value < framePayloadMax || value > 0xff_ffff)) {
      throw new ConnectionError(errorCode.protocol, `SETTINGS_MAX_FRAME_SIZE ${value} is not allowed`);
    } else if (name === setting.enablePush && value > 1) {
      throw new ConnectionError(errorCode.protocol, `SETTINGS_ENABLE_PUSH ${value} is neither 0 nor 1`);
    }
  }

  #onPing(flags: number, id: number, payload: Buffer): void {
    if (id !== 0) throw new ConnectionError(errorCode.protocol, "PING on a stream");
    checkSize("PING", payload, 8);
    this.#meter.charge(frameCharge.frame);
    if (!(flags & frameFlag.ack)) this.#writer.pingAck(payload);
  }

  #onGoAway(id: number, payload: Buffer): void {
    if (id !== 0) throw new ConnectionError(errorCode.protocol, "GOAWAY on a stream");
    if (payload.length < 8) throw wrongSize("GOAWAY", payload);
    this.#meter.charge(frameCharge.frame);
    this.#streams.drain();
  }

  #onWindowUpdate(id: number, payload: Buffer): void {
    checkSize("WINDOW_UPDATE", payload, 4);
    if (id !== 0) this.#rejectIdle(id, "WINDOW_UPDATE");
    this.#meter.charge(frameCharge.frame);
    const bytes = payload.readUInt32BE(0) & windowMax;
    if (id === 0) {
      this.#flow.grow(bytes);
      return;
    }
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    if (bytes === 0) this.#streams.endForMistake(stream, errorCode.protocol);
    else if (!stream.grow(bytes)) this.#streams.endForMistake(stream, errorCode.flowControl);
    else this.#flow.streamGrew(stream);
  }
}

const wrongSize = (frame: string, payload: Buffer): ConnectionError =>
  new ConnectionError(errorCode.frameSize, `${frame} has ${payload.length} bytes, which is not allowed`);

function checkSize(frame: string, payload: Buffer, bytes: number): void {
  if (payload.length !== bytes) throw wrongSize(frame, payload);
}
