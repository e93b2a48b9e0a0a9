// The lines of the service client where a proxy stands in between: a tunnel, and TLS to the service inside it.

import { Agent, type AgentOptions, type RequestOptions } from "node:https";
import type { Duplex } from "node:stream";
import { connect, getCACertificates } from "node:tls";
import { MooringError } from "../errors.ts";
import { connectThroughProxy } from "../system/proxy.ts";

const tunnelTimeoutMs = 10_000;

export class ProxiedAgent extends Agent {
  readonly #proxy: string;
  readonly #closed = new AbortController();

  /** `proxy`: an `http://` or `https://` address, with user and password if it wants them. */
  constructor(proxy: string, options: AgentOptions) {
    super(options);
    this.#proxy = proxy;
  }

  override createConnection(
    { host, port, servername, ca }: RequestOptions,
    callback?: (error: Error | null, line: Duplex) => void,
  ): undefined {
    const target = { host: host ?? "", port: Number(port) };
    const anchors = (): string[] => [
      ...(typeof ca === "string" ? [ca] : []),
      ...getCACertificates("default"),
    ];
    connectThroughProxy(this.#proxy, target, {
      signal: this.#closed.signal,
      timeoutMs: tunnelTimeoutMs,
      anchors,
    }).then(
      (socket) =>
        callback?.(
          null,
          connect({
            socket,
            host: target.host,
            servername,
            ca,
            minVersion: "TLSv1.2",
            rejectUnauthorized: true,
          }),
        ),
      (error: Error) => callback?.(error, undefined as never),
    );
  }

  override destroy(): void {
    this.#closed.abort(new MooringError("ERR_CANCELLED", "the client was closed"));
    super.destroy();
  }
}
