/**
 * Opens a short connection to an address: reads who responds there, and sends at most one request.
 *
 * The node at the address does not have to be a member. A probe is not repeated.
 */
import type { Duplex } from "node:stream";
import { Fault } from "../../fault.ts";
import type { Timer } from "../../lib/time/clock.ts";
import { PeerConnection } from "../connection/peer-connection.ts";
import { checkResponder } from "../handshake/handshake-check.ts";
import { decodeIntroduction, decodeRefusal, encodeIntroduction } from "../handshake/handshake-codec.ts";
import type { PeerHello } from "../handshake/introduction.ts";
import { refusalFault } from "../handshake/refusal.ts";
import { malformed, type PeerFrame } from "../wire/peer-frame.ts";
import type { PeerRequest } from "../wire/request-codec.ts";
import type { DialOptions } from "./channel.ts";
import { Requester } from "./requester.ts";

export interface ProbeResult {
  readonly hello: PeerHello;
  /** The result of the request; undefined if none was sent. */
  readonly value: unknown;
}

export type ProbeOptions = Pick<DialOptions, "clock" | "self" | "dial">;

const queue = { countMax: 4, bytesMax: 8 * 1024 * 1024 };

/**
 * `deadlineMs` is on the monotonic clock. Rejects with the reason of a refusal, the fault of the request, or Fault
 * "unavailable" if the address is unreachable or does not respond in time.
 */
export function probe(
  options: ProbeOptions,
  address: string,
  request: PeerRequest | undefined,
  deadlineMs: number,
): Promise<ProbeResult> {
  return new Promise((resolve, reject) => {
    new Probe(options, address, { resolve, reject }).start(request, deadlineMs);
  });
}

type Settle = Pick<PromiseWithResolvers<ProbeResult>, "resolve" | "reject">;

class Probe {
  readonly #options: ProbeOptions;
  readonly #address: string;
  readonly #settle: Settle;
  readonly #connection: PeerConnection;
  readonly #requester: Requester;
  #hello: PeerHello | undefined;
  #isRequested = false;
  #timer: Timer | undefined;

  constructor(options: ProbeOptions, address: string, settle: Settle) {
    this.#options = options;
    this.#address = address;
    this.#settle = settle;
    this.#connection = new PeerConnection({
      socket: dialSocket(options.dial, address),
      clock: options.clock,
      queue,
      onFrame: (frame) => this.#receive(frame),
      onClosed: (fault) => {
        this.#timer?.cancel();
        this.#requester.connectionLost(fault);
        settle.reject(withAddress(fault, address));
      },
    });
    this.#requester = new Requester({
      clock: options.clock,
      requestsMax: 1,
      reachable: () => !this.#connection.closed,
      send: (frame) => this.#connection.send(frame),
    });
  }

  start(request: PeerRequest | undefined, deadlineMs: number): void {
    const { clock, self } = this.#options;
    this.#isRequested = request !== undefined;
    // What has arrived is read before the probe fails. After the welcome, the deadline of the request applies.
    this.#timer = clock.after(Math.max(0, deadlineMs - clock.monotonicMs()), () =>
      clock.soon(() => {
        if (this.#hello === undefined)
          this.#fail(new Fault("unavailable", { message: `${this.#address} did not respond in time` }));
      }),
    );
    this.#connection.sendFirst(encodeIntroduction("hello", "probe", self()));
    if (request === undefined) return;
    this.#requester.ask(request, deadlineMs).then(
      (value) => this.#finish(value),
      (reason) => this.#fail(Fault.from(reason)),
    );
  }

  #receive(frame: PeerFrame): void {
    if (this.#hello === undefined) this.#receiveIntroduction(frame);
    else if (frame.kind === "response") this.#requester.receiveResponse(frame);
    else throw malformed("unexpected");
  }

  #receiveIntroduction(frame: PeerFrame): void {
    if (frame.kind === "refusal") {
      this.#fail(refusalFault(decodeRefusal(frame)));
      return;
    }
    if (frame.kind !== "welcome") throw malformed("unexpected");
    const introduction = decodeIntroduction(frame);
    const refusal = checkResponder(introduction, this.#options.self(), undefined);
    if (refusal !== undefined) {
      this.#fail(refusalFault(refusal));
      return;
    }
    this.#hello = introduction.hello;
    this.#connection.completeHandshake();
    if (!this.#isRequested) this.#finish(undefined);
  }

  #finish(value: unknown): void {
    if (this.#hello === undefined) return;
    this.#settle.resolve({ hello: this.#hello, value });
    this.#connection.close(new Fault("canceled", { message: "the probe is complete" }));
  }

  #fail(fault: Fault): void {
    this.#settle.reject(fault);
    this.#connection.close(fault);
  }
}

/** An address that cannot be dialed is an expected failure: the request was not sent. */
function dialSocket(dial: ProbeOptions["dial"], address: string): Duplex {
  try {
    return dial(address, undefined);
  } catch (cause) {
    if (cause instanceof Fault) throw cause;
    throw new Fault("unavailable", { message: `${address} cannot be dialed`, cause });
  }
}

function withAddress(fault: Fault, address: string): Fault {
  if (fault.kind !== "unavailable") return fault;
  return new Fault("unavailable", {
    message: `${address} is unreachable`,
    facts: { ...fault.facts, address },
    written: fault.written,
    cause: fault,
  });
}
