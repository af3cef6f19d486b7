/** Calls on raw connections, which are opened when they are needed, and opened again when they were lost. */
import { faultOf } from "../../client/mod.ts";
import type { Fault } from "../../fault.ts";
import { RawConnection, type RawTarget } from "./raw-connection.ts";

/** Calls in flight on one connection. A node allows 1,024. */
const callsPerConnection = 512;

export class RawCalls {
  readonly target: RawTarget;
  readonly #opened: RawConnection[] = [];
  readonly #opening: (Promise<RawConnection> | undefined)[] = [];

  constructor(target: RawTarget) {
    this.target = target;
  }

  /** Makes a call with one request, on the connection of the worker. @throws the Fault of the call */
  async call(worker: number, headers: Buffer, body: Uint8Array): Promise<void> {
    const number = Math.floor(worker / callsPerConnection);
    const opened = this.#opened[number];
    const connection = opened?.isOpen ? opened : await this.connection(number);
    const fault = await new Promise<Fault | undefined>((onEnd) => connection.start(headers, body, { onEnd }));
    if (fault !== undefined) throw fault;
  }

  /** Returns the connection with this number, open. @throws Fault "unavailable" */
  async connection(number: number): Promise<RawConnection> {
    const opened = this.#opened[number];
    if (opened?.isOpen) return opened;
    this.#opening[number] ??= this.#open(number);
    return this.#opening[number];
  }

  /** Ends all calls. */
  close(): void {
    for (const connection of this.#opened) connection?.close();
  }

  async #open(number: number): Promise<RawConnection> {
    try {
      const opened = await RawConnection.open(this.target);
      this.#opened[number] = opened;
      return opened;
    } catch (reason) {
      throw faultOf(reason);
    } finally {
      this.#opening[number] = undefined;
    }
  }
}
