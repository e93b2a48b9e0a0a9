// HTTP proxies: which one applies, and the CONNECT through it. HTTPS and WebSockets only; plain MQTT goes direct.

import type { Socket } from "node:net";
import { type ErrorCode, MooringError, textOf } from "../errors.ts";
import { decodeLeniently } from "./percent-encoding.ts";

interface Target {
  readonly host: string;
  readonly port: number;
}

/** In the order in which they count. */
const proxyVariables = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];

/** The proxy of the usual environment variables (HTTPS_PROXY, ALL_PROXY, NO_PROXY, either case), if one applies. */
export async function proxyFromEnvironment({ host, port }: Target): Promise<string | undefined> {
  if (!proxyVariables.some((name) => process.env[name])) return undefined;
  const { getProxyForUrl } = await import("proxy-from-env");
  const found = getProxyForUrl(`https://${host}:${port}`);
  if (found === "") return undefined;
  // Without a scheme it is http:// everywhere else; this library takes that of the target.
  const asNamed = proxyVariables.map((name) => process.env[name]).find(Boolean) ?? "";
  return asNamed.includes("://") ? found : `http://${asNamed}`;
}

/**
 * A tunnel to the target through an `http://` or `https://` proxy, with Basic credentials from its URL. `anchors` says
 * whom to trust about the certificate of an `https://` one.
 * @throws MooringError ERR_PROXY, ERR_PROXY_AUTHORIZATION; or the signal's reason
 */
export async function connectThroughProxy(
  proxyUrl: string,
  { host, port }: Target,
  { signal, timeoutMs, anchors }: { signal: AbortSignal; timeoutMs: number; anchors: () => string[] },
): Promise<Socket> {
  const proxy = parseProxyUrl(proxyUrl);
  const shown = `${proxy.hostname}:${proxy.port || defaultPort(proxy)}`;
  const isSecure = proxy.protocol === "https:";
  // Not imported above: most have no proxy, and only want to know that. Nor by import(), which would load all of their
  // members, and with them HTTP/2 and fetch, for everybody who speaks HTTP.
  const { request } = process.getBuiltinModule(isSecure ? "node:https" : "node:http");
  const credentials = `${decodeLeniently(proxy.username)}:${decodeLeniently(proxy.password)}`;
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const fail = (why: string, cause?: unknown, code: ErrorCode = "ERR_PROXY"): void =>
      reject(
        new MooringError(code, `cannot reach ${host}:${port} through the proxy ${shown}: ${why}`, { cause }),
      );
    const tunnel = request({
      host: proxy.hostname.replace(/^\[|\]$/g, ""),
      port: Number(proxy.port || defaultPort(proxy)),
      method: "CONNECT",
      path: `${host}:${port}`,
      headers: {
        host: `${host}:${port}`,
        ...(proxy.username && {
          "proxy-authorization": `Basic ${Buffer.from(credentials).toString("base64")}`,
        }),
      },
      ...(isSecure && { ca: anchors(), minVersion: "TLSv1.2" as const, rejectUnauthorized: true }),
      agent: false,
      timeout: timeoutMs,
    });
    // Only until the tunnel is up: who owns the line then ends it, and TLS inside must not lose it underneath.
    const onAbort = (): void => void tunnel.destroy();
    signal.addEventListener("abort", onAbort, { once: true });
    tunnel.once("close", () => signal.removeEventListener("abort", onAbort));
    tunnel.once("connect", (answer, socket, head) => {
      signal.removeEventListener("abort", onAbort);
      if (answer.statusCode === 200) {
        socket.unshift(head);
        resolve(socket as Socket);
        return;
      }
      socket.destroy();
      if (answer.statusCode === 407)
        fail("it wants other credentials (407)", undefined, "ERR_PROXY_AUTHORIZATION");
      else fail(`it answered ${answer.statusCode}`);
    });
    tunnel.once("timeout", () => tunnel.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)));
    tunnel.once("error", (error) => (signal.aborted ? reject(signal.reason) : fail(textOf(error), error)));
    tunnel.end();
  });
}

const defaultPort = (proxy: URL): number => (proxy.protocol === "https:" ? 443 : 80);

function parseProxyUrl(proxyUrl: string): URL {
  const proxy = URL.parse(proxyUrl.includes("://") ? proxyUrl : `http://${proxyUrl}`);
  if (proxy && (proxy.protocol === "http:" || proxy.protocol === "https:")) return proxy;
  throw new MooringError("ERR_PROXY", "the configured proxy is not an http:// or https:// address");
}
