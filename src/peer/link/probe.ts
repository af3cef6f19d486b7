/**
 * A short call on a node that need not be a member: who is there, and perhaps one question.
 *
 * Never: stays longer than it was given, comes back by itself.
 */
import { Fault } from "../../fault.ts";
import { PeerConnection } from "../connection/peer-connection.ts";
import {
  checkResponder,
  decodeIntroduction,
  decodeRefusal,
  encodeIntroduction,
  type PeerHello,
  refusalFault,
} from "../handshake/handshake.ts";
import { malformed } from "../wire/peer-frame.ts";
import type { PeerRequest } from "../wire/request-codec.ts";
import type { DialOptions } from "./channel.ts";
import { Requester } from "./requester.ts";

export interface Visit {
  readonly hello: PeerHello;
  /** Undefined where nothing was asked. */
  readonly answer: unknown;
}

type VisitPorts = Pick<DialOptions, "clock" | "self" | "dial">;

const bounds = { countMax: 4, bytesMax: 8 * 1024 * 1024 };

/** Rejects with the reason of who refused, the fault of who answered, or "unavailable". */
export function visit(
  ports: VisitPorts,
  address: string,
  question: PeerRequest | undefined,
  deadlineMs: number,
): Promise<Visit> {
  const { clock, dial, self } = ports;
  return new Promise((resolve, reject) => {
    let hello: PeerHello | undefined;
    const end = (fault: Fault): void => {
      reject(fault);
      connection.close(fault);
    };
    const connection = new PeerConnection({
      socket: dialled(dial, address),
      bounds,
      onFrame: (frame) => {
        if (hello !== undefined) {
          if (frame.kind !== "answer") throw malformed("unexpected");
          requester.answered(frame);
          return;
        }
        if (frame.kind === "refusal") {
          end(refusalFault(decodeRefusal(frame)));
          return;
        }
        if (frame.kind !== "welcome") throw malformed("unexpected");
        const introduction = decodeIntroduction(frame);
        const refusal = checkResponder(introduction, self(), undefined);
        if (refusal !== undefined) end(refusalFault(refusal));
        else {
          hello = introduction.hello;
          connection.release();
          if (question === undefined) done(undefined);
        }
      },
      onClosed: (fault) => {
        timer.cancel();
        requester.lost(fault);
        reject(named(fault, address));
      },
    });
    const requester = new Requester({
      clock,
      requestsMax: 1,
      reachable: () => !connection.closed,
      send: (item) => connection.send(item),
    });
    const timer = clock.after(Math.max(0, deadlineMs - clock.monotonicMs()), () =>
      // What has come meanwhile is read first. A question has a deadline of its own, and knows how far it came.
      clock.soon(() => {
        if (hello === undefined)
          end(new Fault("unavailable", { message: `${address} did not answer in time` }));
      }),
    );
    const done = (answer: unknown): void => {
      if (hello === undefined) return;
      resolve({ hello, answer });
      connection.close(new Fault("canceled", { message: "the visit is over" }));
    };
    connection.sendUrgently(encodeIntroduction("hello", "visit", self()));
    if (question !== undefined)
      requester.ask(question, deadlineMs).then(done, (reason) => end(Fault.from(reason)));
  });
}

/** An address that nobody can have is no bug: nothing was asked yet. */
function dialled(dial: VisitPorts["dial"], address: string): ReturnType<VisitPorts["dial"]> {
  try {
    return dial(address, undefined);
  } catch (cause) {
    if (cause instanceof Fault) throw cause;
    throw new Fault("unavailable", { message: `${address} cannot be dialled`, cause });
  }
}

/** "unavailable" says who is. */
function named(fault: Fault, address: string): Fault {
  if (fault.kind !== "unavailable") return fault;
  return new Fault("unavailable", {
    message: `${address} cannot be reached`,
    facts: { ...fault.facts, address },
    written: fault.written,
    cause: fault,
  });
}
