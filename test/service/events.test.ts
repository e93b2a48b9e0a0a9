import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { request as httpsRequest, type RequestOptions } from "node:https";
import { type AddressInfo, connect } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { createEventStreams, type EventStreamsOptions } from "../../src/service/event-streams.ts";
import { rotateKey } from "../../src/service/policies.ts";
import type { Permission, Registration } from "../../src/service/records.ts";
import type { RunningService } from "../../src/service/service.ts";
import { openStore, type Store } from "../../src/service/store.ts";
import { eventually } from "../support/eventually.ts";
import { startServiceHere } from "../support/service-in-process.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { openDesk, sasToken } from "./desk.ts";

interface Heard {
  readonly event: string;
  readonly data: Record<string, unknown>;
}

/** Reads server-sent events as the standard says, one after the other; undefined when the stream is over. */
function eventsIn(response: IncomingMessage): () => Promise<Heard | undefined> {
  const chunks = response.setEncoding("utf8")[Symbol.asyncIterator]();
  let text = "";
  return async () => {
    for (;;) {
      const end = text.indexOf("\n\n");
      if (end < 0) {
        const chunk = await chunks.next().catch(() => ({ done: true, value: "" }));
        if (chunk.done) return undefined;
        text += chunk.value;
        continue;
      }
      const lines = text.slice(0, end).split("\n");
      text = text.slice(end + 2);
      const field = (name: string): string | undefined =>
        lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      const [event, data] = [field("event"), field("data")];
      if (event !== undefined && data !== undefined) return { event, data: JSON.parse(data) };
    }
  };
}

const everything: readonly Permission[] = ["EnrollmentRead", "RegistrationStatusRead"];

describe("those who watch", () => {
  let server: Server;
  let watch: (
    permissions?: readonly Permission[],
    isIn?: () => boolean,
  ) => Promise<{ next: () => Promise<Heard | undefined>; response: IncomingMessage }>;

  /** The streams on a plain server, which asks nobody for a credential. */
  async function open(options: Partial<EventStreamsOptions> = {}) {
    const desk = openDesk();
    const streams = createEventStreams({ store: desk.store, ...options });
    let who: Parameters<typeof streams.open>[1];
    server = createServer((_request, response) => {
      response.writeHead(200);
      streams.open(response, who);
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => {
      streams.close();
      server.closeAllConnections();
      server.close();
    });
    const { port } = server.address() as AddressInfo;
    watch = async (permissions = everything, isIn = () => true) => {
      who = { permissions, isIn, onEnd: () => () => {} };
      const { get } = await import("node:http");
      const [response] = (await once(get({ port, agent: false }), "response")) as [IncomingMessage];
      return { next: eventsIn(response), response };
    };
    return { ...desk, streams, port };
  }

  beforeEach(() => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] }));
  afterEach(() => void vi.useRealTimers());

  it("are told of every write, in order, and of no secret", async () => {
    const { store, enroll, enrollGroup, ask, token } = await open();
    const { next } = await watch();
    const row = enroll("Gw-1", { attestation: { type: "symmetricKey" } });
    const group = enrollGroup("plant", { attestation: { type: "symmetricKey" } });
    const { primaryKey } =
      row.attestation.type === "symmetricKey" ? row.attestation.symmetricKey : expect.fail();
    await ask({
      registrationId: "gw-1",
      authorization: token("gw-1", primaryKey),
      body: { payload: { pin: "1234" } },
    });
    store.hubs.put({ hostName: "one.example", allocationWeight: 1 });
    store.enrollments.delete("GW-1");
    const heard = [await next(), await next(), await next(), await next(), await next()];
    const { registrationId, assignedHub } = store.registrations.get("gw-1") ?? expect.fail();
    expect(heard).toEqual([
      { event: "enrollment", data: { registrationId: "Gw-1", etag: row.etag } },
      { event: "enrollment", data: { enrollmentGroupId: "plant", etag: group.etag } },
      {
        event: "registration",
        data: {
          registrationId,
          attestation: "symmetricKey",
          status: "assigned",
          substatus: "initialAssignment",
          assignedHub,
          deviceId: "Gw-1",
          lastUpdatedDateTimeUtc: expect.any(String),
        },
      },
      { event: "hub", data: { hostName: "one.example" } },
      { event: "enrollment", data: { registrationId: "GW-1", deleted: true } },
    ]);
  });

  it("are told nothing that they may not read", async () => {
    const { store, enroll } = await open();
    const { next } = await watch(["RegistrationStatusRead"]);
    enroll("gw-1", { attestation: { type: "symmetricKey" } });
    store.hubs.put({ hostName: "one.example", allocationWeight: 1 });
    store.registrations.put({
      registrationId: "gw-1",
      attestation: "tpm",
      createdDateTimeUtc: "2026-01-01T00:00:00.0000000Z",
      lastUpdatedDateTimeUtc: "2026-01-01T00:00:00.0000000Z",
      status: "failed",
      errorCode: 400208,
      etag: '"1"',
    });
    expect(await next()).toMatchObject({
      event: "registration",
      data: { registrationId: "gw-1", status: "failed", errorCode: 400208 },
    });
  });

  it("feel a heartbeat every fifteen seconds, for an hour, and then have to come back", async () => {
    await open();
    const { next } = await watch();
    for (let beat = 0; beat < 240; beat++) {
      vi.advanceTimersByTime(15_000);
      expect(await next()).toEqual({ event: "heartbeat", data: {} });
    }
    vi.advanceTimersByTime(15_000);
    expect(await next()).toBeUndefined();
  });

  it("are let go at the next heartbeat when their session is over, or when a key is rotated", async () => {
    const { store } = await open();
    let isIn = true;
    const [one, other] = [await watch(everything, () => isIn), await watch()];
    isIn = false;
    vi.advanceTimersByTime(15_000);
    expect(await one.next()).toBeUndefined();
    expect(await other.next()).toMatchObject({ event: "heartbeat" });
    const third = await watch(everything, () => isIn);
    rotateKey(store, "enrollmentread", { key: "primary" });
    expect(await third.next()).toBeUndefined();
  });

  it("are so many and no more", async () => {
    const { streams } = await open({ mostWatchers: 2 });
    const first = await watch();
    expect(() => streams.verifyRoom()).not.toThrow();
    await watch();
    expect(() => streams.verifyRoom()).toThrow(expect.objectContaining({ errorCode: 429001 }));
    first.response.destroy();
    await eventually(() => streams.verifyRoom());
  });

  it("are cut off when they read too slowly, and hold nobody up", async () => {
    const { store, port } = await open({ mostBuffered: 10_000 });
    const quick = await watch();
    const slow = connect(port, "127.0.0.1").pause();
    slow.on("error", () => {});
    slow.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    const [stuck] = (await once(server, "connection")) as [import("node:net").Socket];
    const cutOff = once(stuck, "close");
    const loud: Registration = {
      registrationId: "gw-1",
      attestation: "x509",
      createdDateTimeUtc: "2026-01-01T00:00:00.0000000Z",
      lastUpdatedDateTimeUtc: "2026-01-01T00:00:00.0000000Z",
      status: "failed",
      errorMessage: "no ".repeat(30_000),
      etag: '"1"',
    };
    // Into the void, until the kernel takes no more of it either.
    let told = 0;
    const isCut = cutOff.then(() => true);
    while (!(await Promise.race([isCut, new Promise((resolve) => setImmediate(resolve, false))]))) {
      store.registrations.put(loud);
      told++;
      expect(await quick.next()).toMatchObject({ event: "registration" });
    }
    expect(told).toBeGreaterThan(1);
    store.registrations.delete("gw-1");
    expect(await quick.next()).toMatchObject({ data: { deleted: true } });
    slow.destroy();
  });
});

describe("the events of a service", () => {
  let dataDirectory: string;

  beforeEach(() => {
    dataDirectory = join(temporaryDirectory(), "dps");
  });

  async function start(): Promise<RunningService> {
    const service = await startServiceHere(dataDirectory, { hubs: ["lab.example"] });
    onTestFinished(service.stop);
    return service;
  }

  async function ask(
    { httpsPort, caFile }: RunningService,
    method: string,
    path: string,
    { headers = {}, body }: { headers?: RequestOptions["headers"]; body?: unknown } = {},
  ): Promise<IncomingMessage> {
    const sent = httpsRequest({
      host: "localhost",
      port: httpsPort,
      ca: readFileSync(caFile),
      agent: false,
      method,
      path,
      headers: { "content-type": "application/json", ...headers },
    });
    sent.end(body === undefined ? undefined : JSON.stringify(body));
    const [response] = (await once(sent, "response")) as [IncomingMessage];
    return response;
  }

  async function signIn(service: RunningService) {
    const origin = `https://localhost:${service.httpsPort}`;
    const [, token] = service.newPortalLink().split("#token=");
    const answer = await ask(service, "POST", "/portal/session", { headers: { origin }, body: { token } });
    const cookie = String(answer.headers["set-cookie"]).split(";", 1)[0] ?? "";
    let text = "";
    for await (const chunk of answer) text += chunk;
    return { cookie, origin, "x-mooring-csrf": JSON.parse(text).csrf as string };
  }

  const ownerToken = ({ connectionString }: RunningService): string => {
    const [, host = "", keyName = "", key = ""] =
      /^HostName=([^;]+);SharedAccessKeyName=([^;]+);SharedAccessKey=(.+)$/.exec(connectionString) ?? [];
    return sasToken({ resource: encodeURIComponent(host), key, keyName, expiry: "4102444800" });
  };

  it("reach a browser that is signed in, until it signs out", async () => {
    const service = await start();
    const headers = await signIn(service);
    const response = await ask(service, "GET", "/mooring/events", { headers: { cookie: headers.cookie } });
    expect(response.headers).toMatchObject({
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
    });
    const next = eventsIn(response);
    const saved = await ask(service, "PUT", "/enrollments/gw-1?api-version=2021-10-01", {
      headers,
      body: { attestation: { type: "symmetricKey" } },
    });
    saved.resume();
    expect(saved.statusCode).toBe(200);
    expect(await next()).toMatchObject({ event: "enrollment", data: { registrationId: "gw-1" } });
    (await ask(service, "DELETE", "/portal/session", { headers })).resume();
    expect(await next()).toBeUndefined();
  });

  it("reach a program with a key, until the service stops", async () => {
    const service = await start();
    const headers = { authorization: ownerToken(service) };
    const next = eventsIn(await ask(service, "GET", "/mooring/events", { headers }));
    (await ask(service, "PUT", "/mooring/hubs/two.example", { headers, body: {} })).resume();
    expect(await next()).toMatchObject({ event: "hub", data: { hostName: "two.example" } });
    const stopped = service.stop();
    expect(await next()).toBeUndefined();
    await stopped;
  });

  it("are for nobody else", async () => {
    const service = await start();
    const response = await ask(service, "GET", "/mooring/events");
    response.resume();
    expect(response.statusCode).toBe(401);
  });

  it("tell of what is on disk already", async () => {
    const service = await start();
    const headers = { authorization: ownerToken(service) };
    const next = eventsIn(await ask(service, "GET", "/mooring/events", { headers }));
    const file = join(dataDirectory, "service.db");
    (await ask(service, "PUT", "/mooring/hubs/two.example", { headers, body: {} })).resume();
    await next();
    const beside: Store = openStore(file);
    onTestFinished(() => beside.close());
    expect(beside.hubs.get("two.example")).toBeDefined();
  });
});
