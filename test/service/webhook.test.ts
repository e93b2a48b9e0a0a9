// Webhooks are called over real TLS: against a server that is trusted, one that is not, and ones that misbehave.

import { once } from "node:events";
import type { RequestListener } from "node:http";
import { createServer } from "node:https";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { createWebhook, type WebhookOptions } from "../../src/service/webhook.ts";
import { systemClock } from "../../src/system/clock.ts";
import { thrownBy } from "../support/thrown.ts";
import { listen, selfSigned } from "../support/tls-server.ts";

const { certificate, privateKey } = selfSigned("webhook");
const never = new AbortController().signal;

async function serve(handler: RequestListener): Promise<string> {
  const server = createServer({ cert: certificate, key: privateKey }, handler);
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `https://localhost:${await listen(server)}/allocate?code=secret`;
}

function open(options: Partial<WebhookOptions> = {}) {
  const webhook = createWebhook({ clock: systemClock, ca: certificate, ...options });
  onTestFinished(() => webhook[Symbol.dispose]());
  return webhook;
}

describe("a webhook", () => {
  it("is asked by POST with JSON, and heard whatever its status", async () => {
    const url = await serve(async (request, response) => {
      let text = "";
      for await (const chunk of request) text += chunk;
      const { method, headers } = request;
      response
        .writeHead(418)
        .end(JSON.stringify({ method, url: request.url, type: headers["content-type"], text }));
    });
    const { status, text } = await open()(url, { a: "ü" }, { signal: never });
    expect(status).toBe(418);
    expect(JSON.parse(text)).toEqual({
      ...{ method: "POST", url: "/allocate?code=secret", type: "application/json; charset=utf-8" },
      text: '{"a":"ü"}',
    });
  });

  it.each(["", "0"])("is not called at a server that nobody vouches for (%j)", async (rejectUnauthorized) => {
    vi.stubEnv("NODE_TLS_REJECT_UNAUTHORIZED", rejectUnauthorized);
    onTestFinished(() => void vi.unstubAllEnvs());
    let called = false;
    const url = await serve((_request, response) => {
      called = true;
      response.end("{}");
    });
    const error = await thrownBy(() => createWebhook({ clock: systemClock })(url, {}, { signal: never }));
    expect(error.code).toBe("ERR_TLS_SERVER");
    expect(error.message).not.toContain("secret");
    expect(called).toBe(false);
  });

  it("that says nothing is given up", async () => {
    const url = await serve(() => {});
    const error = await thrownBy(() => open({ timeoutMs: 50 })(url, {}, { signal: never }));
    expect(error.code).toBe("ERR_DEADLINE");
  });

  it("that never comes to its end is given up", async () => {
    const url = await serve((_request, response) => void response.write("{"));
    expect((await thrownBy(() => open({ timeoutMs: 50 })(url, {}, { signal: never }))).code).toBe(
      "ERR_DEADLINE",
    );
  });

  it("that breaks off in the middle has not answered", async () => {
    const url = await serve((_request, response) => {
      response.writeHead(200, { "content-length": "100" });
      response.write("{", () => response.destroy());
    });
    expect((await thrownBy(() => open()(url, {}, { signal: never }))).code).toBe("ERR_CONNECTION_LOST");
  });

  it("that talks without end is cut off", async () => {
    const url = await serve((_request, response) => {
      const more = (): void => void response.write("x".repeat(64 * 1024), more);
      response.on("error", () => {});
      more();
    });
    expect((await thrownBy(() => open()(url, {}, { signal: never }))).code).toBe("ERR_PROTOCOL");
  });

  it("is left alone when the service stops", async () => {
    const stop = new AbortController();
    const asked = Promise.withResolvers<void>();
    const url = await serve(() => asked.resolve());
    const call = open()(url, {}, { signal: stop.signal });
    await asked.promise;
    stop.abort(new DOMException("stopping", "AbortError"));
    await expect(call).rejects.toBe(stop.signal.reason);
  });

  it("where nobody listens cannot be reached", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    await new Promise((resolve) => server.close(resolve));
    const error = await thrownBy(() => open()(`https://127.0.0.1:${port}/`, {}, { signal: never }));
    expect(error.code).toBe("ERR_CONNECT");
  });
});
