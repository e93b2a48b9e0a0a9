// Opens the one kind of line that every transport needs: TCP, or a proxy's CONNECT, then TLS ≥ 1.2 with the server
// always verified and the device's certificate offered when it has one.

import type { Socket } from "node:net";
import { connect as connectTcp, isIP } from "node:net";
import { connect as connectTls, getCACertificates, type TLSSocket } from "node:tls";
import { MooringError } from "../errors.ts";
import { isBadCertificate, isUntrustedIssuer, networkError } from "../system/network-error.ts";
import type { Endpoint } from "./transport.ts";

/** A blocked port usually swallows packets, so a line that is not up by then counts as unreachable. */
const connectTimeoutMs = 10_000;

/**
 * Connects and verifies. With extra trust anchors the server is first checked against those alone: reading the
 * system's store costs more than the whole handshake, and what they vouch for is trusted either way.
 * @throws MooringError ERR_DNS, ERR_CONNECT, ERR_PROXY*, ERR_TLS_SERVER, ERR_TLS_CLIENT; or the signal's reason
 */
export async function openTlsSocket(
  endpoint: Endpoint,
  options: { signal: AbortSignal },
): Promise<TLSSocket> {
  const attempted = `connect to ${endpoint.host}:${endpoint.port}`;
  const attempt = async (ca: string[]): Promise<TLSSocket> =>
    secure(await openSocket(endpoint, options), endpoint, ca, options);
  try {
    if (endpoint.ca === undefined) return await attempt(systemAnchors());
    try {
      return await attempt([endpoint.ca]);
    } catch (error) {
      if (!isUntrustedIssuer(error)) throw error;
      return await attempt([endpoint.ca, ...systemAnchors()]);
    }
  } catch (error) {
    options.signal.throwIfAborted();
    const failure = networkError(error, attempted);
    if (isBadCertificate(error)) {
      const { withPresented } = await import("./presented-certificate.ts");
      const openAgain = (): Promise<Socket> => openSocket(endpoint, options);
      const explained = await withPresented(failure, endpoint, { openSocket: openAgain, ...options });
      options.signal.throwIfAborted();
      throw explained;
    }
    // A line that breaks while it is being set up is no line: firewalls reset as often as they swallow.
    if (failure.code !== "ERR_CONNECTION_LOST") throw failure;
    throw new MooringError("ERR_CONNECT", failure.message, { cause: error });
  }
}

/** The system's store; a root file system without one falls back to the roots that Node carries. */
function systemAnchors(): string[] {
  const system = getCACertificates("system");
  return system.length > 0 ? system : getCACertificates("bundled");
}

async function openSocket(endpoint: Endpoint, { signal }: { signal: AbortSignal }): Promise<Socket> {
  if (endpoint.proxy !== undefined) {
    const { connectThroughProxy } = await import("../system/proxy.ts");
    return connectThroughProxy(endpoint.proxy, endpoint, {
      signal,
      timeoutMs: connectTimeoutMs,
      anchors: () => [...(endpoint.ca === undefined ? [] : [endpoint.ca]), ...systemAnchors()],
    });
  }
  const { host, port } = endpoint;
  return connected(connectTcp({ host, port, noDelay: true }), "connect", signal);
}

function secure(
  socket: Socket,
  { host, clientCertificate }: Endpoint,
  ca: string[],
  { signal }: { signal: AbortSignal },
): Promise<TLSSocket> {
  try {
    const line = connectTls({
      socket,
      ca,
      minVersion: "TLSv1.2",
      rejectUnauthorized: true, // whatever NODE_TLS_REJECT_UNAUTHORIZED says
      host,
      ...(isIP(host) === 0 && { servername: host }),
      ...(clientCertificate && { cert: clientCertificate.certificate, key: clientCertificate.privateKey }),
    });
    return connected(line, "secureConnect", signal);
  } catch (error) {
    // What TLS cannot use, such as a damaged ca_file, it throws at once; an open line would keep the process alive.
    socket.destroy();
    throw error;
  }
}

/** Waits for `event`, and destroys the line on error, timeout or abort. */
function connected<S extends Socket>(line: S, event: string, signal: AbortSignal): Promise<S> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void) => (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      line.off("error", onError).off("close", onClose).off(event, onEvent);
      act();
    };
    const fail = (error: unknown): void =>
      settle(() => {
        line.on("error", () => {});
        line.destroy();
        reject(error);
      })();
    const onError = (error: Error): void => fail(error);
    const onClose = (): void =>
      fail(
        new MooringError(
          "ERR_CONNECTION_LOST",
          "the other side closed the connection while it was being set up",
        ),
      );
    const onAbort = (): void => fail(signal.reason);
    const onEvent = settle(() => resolve(line));
    const timer = setTimeout(
      () => fail(new MooringError("ERR_CONNECT", `no answer within ${connectTimeoutMs / 1000} s`)),
      connectTimeoutMs,
    );
    line.once("error", onError).once("close", onClose).once(event, onEvent);
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}
