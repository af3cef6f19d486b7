/** Serves HTTP/1.1, directly or with Node's parser, and HTTP/2 on sockets that the listener passes to it. */
import type { Socket } from "node:net";
import type { ClientConnection, Router } from "../../api/mod.ts";
import { defaultH2Limits, H2Session } from "../../http2/mod.ts";
import type { Logger } from "../../lib/telemetry.ts";
import { systemClock } from "../../lib/time/clock.ts";
import { TurnCounter } from "../../lib/time/turn-counter.ts";
import type { MemoryBudget } from "../../memory/mod.ts";
import type { HttpVersion } from "../connections/refusal.ts";
import { HeadEnds } from "./direct/head-ends.ts";
import { Http1Connection } from "./direct/http1-connection.ts";
import { type Activity, defaultHttpLimits, type HttpLimits } from "./http-limits.ts";
import { Http1Server } from "./http1-server.ts";

export interface HttpServersOptions {
  readonly router: Router;
  readonly log: Logger;
  /** Default defaultHttpLimits. */
  readonly limits?: HttpLimits | undefined;
  /** Counts what connections hold. Default: it is not counted. */
  readonly memory?: MemoryBudget | undefined;
}

export class HttpServers {
  readonly #options: HttpServersOptions;
  readonly #limits: HttpLimits;
  readonly #http1: Http1Server;
  readonly #sessions = new Set<H2Session>();
  /** Connections that Node's parser does not serve. */
  readonly #direct = new Set<Http1Connection>();
  readonly #ends: HeadEnds;
  readonly #turns = new TurnCounter(systemClock);
  #isDraining = false;

  constructor(options: HttpServersOptions) {
    const { router, log, limits = defaultHttpLimits, memory } = options;
    this.#options = options;
    this.#limits = limits;
    this.#ends = new HeadEnds(systemClock, limits.idleMs);
    this.#http1 = new Http1Server({ router, log, limits, memory });
  }

  /** Serves a connection. Returns how to end it while it has no request. */
  serve(version: HttpVersion, socket: Socket, client: ClientConnection, activity: Activity): () => void {
    return version === "http1"
      ? this.#serveHttp1(socket, client, activity)
      : this.#serveHttp2(socket, client, activity);
  }

  #serveHttp1(socket: Socket, client: ClientConnection, activity: Activity): () => void {
    const { router, log, memory } = this.#options;
    const connection: Http1Connection = new Http1Connection(socket, {
      router,
      client,
      activity,
      clock: systemClock,
      log,
      limits: this.#limits,
      memory,
      ends: this.#ends,
      handOver: () => this.#http1.serve(socket, client, activity),
      onDone: () => this.#direct.delete(connection),
    });
    this.#direct.add(connection);
    if (this.#isDraining) connection.drain();
    return () => socket.destroy();
  }

  #serveHttp2(socket: Socket, client: ClientConnection, activity: Activity): () => void {
    const { router, log, memory } = this.#options;
    const session: H2Session = new H2Session(socket, {
      clock: systemClock,
      turns: this.#turns,
      log,
      limits: { ...defaultH2Limits, times: this.#limits },
      memory,
      secure: client.secure,
      serve: (stream, headers) => router.stream(stream, headers, client),
      onBusy: (busy) => (busy ? activity.busy() : activity.idle()),
      onClose: () => this.#sessions.delete(session),
    });
    this.#sessions.add(session);
    if (this.#isDraining) session.drain();
    return () => {
      session.drain();
      // In a later turn, so that GOAWAY leaves first.
      systemClock.soon(() => socket.destroy());
    };
  }

  /** Takes no new requests. Idle connections end, others end with their last response. */
  drain(): void {
    this.#isDraining = true;
    this.#http1.drain();
    for (const connection of this.#direct) connection.drain();
    for (const session of this.#sessions) session.drain();
  }
}
