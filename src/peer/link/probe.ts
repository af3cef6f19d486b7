/**
 * Opens a short connection to an address: reads who responds there, and sends at most one request.
 *
 * The node at the address does not have to be a member. A probe is not repeated.
 */
import type { Duplex } from "node:stream";
import { Fault } from "../../fault.ts";
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
  const { clock, dial, self } = options;
  return new Promise((resolve, reject) => {
    let hello: PeerHello | undefined;
    const fail = (fault: Fault): void => {
      reject(fault);
      connection.close(fault);
    };
    const finish = (value: unknown): void => {
      if (hello === undefined) return;
      resolve({ hello, value });
      connection.close(new Fault("canceled", { message: "the probe is complete" }));
    };
    const receiveIntroduction = (frame: PeerFrame): void => {
      if (frame.kind === "refusal") {
        fail(refusalFault(decodeRefusal(frame)));
        return;
      }
      if (frame.kind !== "welcome") throw malformed("unexpected");
      const introduction = decodeIntroduction(frame);
      const refusal = checkResponder(introduction, self(), undefined);
      if (refusal !== undefined) {
        fail(refusalFault(refusal));
        return;
      }
      hello = introduction.hello;
      connection.completeHandshake();
      if (request === undefined) finish(undefined);
    };
    const connection = new PeerConnection({
      socket: dialSocket(dial, address),
      queue,
      onFrame: (frame) => {
        if (hello === undefined) receiveIntroduction(frame);
        else if (frame.kind === "response") requester.receiveResponse(frame);
        else throw malformed("unexpected");
      },
      onClosed: (fault) => {
        timer.cancel();
        requester.connectionLost(fault);
        reject(withAddress(fault, address));
      },
    });
    const requester = new Requester({
      clock,
      requestsMax: 1,
      reachable: () => !connection.closed,
      send: (frame) => connection.send(frame),
    });
    // What has arrived is read before the probe fails. After the welcome, the deadline of the request applies.
    const timer = clock.after(Math.max(0, deadlineMs - clock.monotonicMs()), () =>
      clock.soon(() => {
        if (hello === undefined)
          fail(new Fault("unavailable", { message: `${address} did not respond in time` }));
      }),
    );
    connection.sendFirst(encodeIntroduction("hello", "probe", self()));
    if (request !== undefined)
      requester.ask(request, deadlineMs).then(finish, (reason) => fail(Fault.from(reason)));
  });
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
