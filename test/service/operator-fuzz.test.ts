// Operators that say anything at all: the service API and the management API answer, never fail, do nothing for whom
// they do not know, and nothing beyond what a policy permits.

import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { Server as HttpServer } from "node:http";
import { Agent, request } from "node:https";
import type { Server as TlsServer } from "node:tls";
import fc from "fast-check";
import { describe, expect, it, onTestFinished } from "vitest";
import { createEventStreams } from "../../src/service/event-streams.ts";
import { createHttpsServer } from "../../src/service/https-server.ts";
import { managementApi } from "../../src/service/management-api.ts";
import type { OperatorApiOptions } from "../../src/service/operator-api.ts";
import { createPortal } from "../../src/service/portal/portal.ts";
import { serviceApi } from "../../src/service/service-api.ts";
import { certificateWorkshop } from "./certificates.ts";
import { type Desk, openDesk, sasToken } from "./desk.ts";
import {
  type Bytes,
  body,
  bufferOf,
  effort,
  failuresIn,
  faultOf,
  fuzzTimeoutMs,
  headerText,
  segment,
  text,
} from "./fuzzing.ts";
import { directoryOfFile, listening, recordingDeviceApi, serverCredential } from "./sockets.ts";
import { softTpm } from "./soft-tpm.ts";

const credential = serverCredential(directoryOfFile());
const ca = readFileSync(credential.caFile);
const canary = "canary";

const { endorsementKey } = softTpm();
using workshop = certificateWorkshop();
const root = workshop.issue("/CN=root", { ca: true }).pem;
const leaf = workshop.issue("/CN=gw-1").pem;

const settings = {
  deviceId: "device-1",
  provisioningStatus: "enabled",
  allocationPolicy: "hashed",
  iotHubs: ["hub.mooring.internal"],
  initialTwin: { tags: { site: "north" }, properties: { desired: { interval: 5 } } },
  capabilities: { iotEdge: true },
  reprovisionPolicy: { updateHubAssignment: true, migrateDeviceData: false },
  optionalDeviceInformation: { a: 1 },
};
const enrollments: object[] = [
  { attestation: { type: "tpm", tpm: { endorsementKey } }, ...settings },
  { attestation: { type: "symmetricKey" }, ...settings },
  { attestation: { type: "x509", x509: { clientCertificates: { primary: { certificate: leaf } } } } },
  {
    attestation: { type: "symmetricKey" },
    allocationPolicy: "custom",
    customAllocationDefinition: { webhookUrl: "https://x.example/", apiVersion: "2019-03-31" },
  },
];
const groups: object[] = [
  { attestation: { type: "symmetricKey" } },
  { attestation: { type: "x509", x509: { signingCertificates: { primary: { certificate: root } } } } },
];
const bulk = (plural: string, idMember: string, rows: object[]) => ({
  mode: "create",
  [plural]: rows.map((row, at) => ({ [idMember]: `bulk-${at}`, ...row })),
});

/** Method, path and the bodies that belong there. `:id` is somebody's. */
const routes: readonly [string, string, readonly unknown[]][] = [
  ["PUT", "/enrollments/:id", enrollments],
  ["GET", "/enrollments/:id", []],
  ["DELETE", "/enrollments/:id", []],
  ["POST", "/enrollments/:id/attestationmechanism", []],
  ["POST", "/enrollments/query", [{ query: "SELECT * FROM enrollments" }]],
  ["POST", "/enrollments", [bulk("enrollments", "registrationId", enrollments)]],
  ["PUT", "/enrollmentGroups/:id", groups],
  ["GET", "/enrollmentGroups/:id", []],
  ["DELETE", "/enrollmentGroups/:id", []],
  ["POST", "/enrollmentGroups/:id/attestationmechanism", []],
  ["POST", "/enrollmentGroups/query", [{ query: "*" }]],
  ["POST", "/enrollmentGroups", [bulk("enrollmentGroups", "enrollmentGroupId", groups)]],
  ["GET", "/registrations/:id", []],
  ["DELETE", "/registrations/:id", []],
  ["POST", "/registrations/:id/query", [{ query: "SELECT * FROM registrations" }]],
  ["GET", "/mooring/overview", []],
  ["GET", "/mooring/hubs", []],
  ["PUT", "/mooring/hubs/:id", [{ allocationWeight: 5, latencyMs: 20 }]],
  ["DELETE", "/mooring/hubs/:id", []],
  ["GET", "/mooring/policies", []],
  ["POST", "/mooring/policies/:id/rotate", [{ key: "primary" }]],
  ["GET", "/mooring/quotas", []],
  ["PUT", "/mooring/quotas", [{ registrationsPerMinute: null, serviceCallsPerMinute: null }]],
  ["GET", "/mooring/registrations", []],
  ["GET", "/mooring/registrations/:id", []],
  ["GET", "/mooring/enrollments", []],
  ["GET", "/mooring/enrollmentGroups", []],
  ["GET", "/mooring/statistics", []],
  ["GET", "/mooring/events", []],
  ["POST", "/mooring/certificate", [leaf]],
  ["GET", "/mooring/scenarios", []],
  ["PUT", "/mooring/scenarios/service", [{ kind: "throttle", retryAfterSeconds: 3 }]],
  ["PUT", "/mooring/scenarios/enrollments/:id", [{ kind: "late", delayMs: 5, times: 2 }]],
  ["DELETE", "/mooring/scenarios/enrollmentGroups/:id", []],
  ["POST", "/mooring/portal-links", []],
  ["POST", "/portal/session", [{ policy: "provisioningserviceowner", key: "AAAA" }, { token: "AAAA" }]],
  ["GET", "/portal/session", []],
  ["DELETE", "/portal/session", []],
];

type Who = "owner" | "registrationstatuswrite" | "liar" | "nobody";

interface Question {
  readonly who: Who;
  readonly method: string;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: Bytes;
}

const ids = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom("gw-1", "GW-1", "gw-2", "site", "secret", "hub.mooring.internal") },
  { weight: 1, arbitrary: segment("gw-1") },
);

const question = (who: fc.Arbitrary<Who>): fc.Arbitrary<Question> =>
  fc.tuple(who, fc.constantFrom(...routes), ids).chain(([asker, [method, path, bodies], id]) =>
    fc.record({
      who: fc.constant(asker),
      method: fc.oneof(
        { weight: 12, arbitrary: fc.constant(method) },
        { weight: 1, arbitrary: fc.constantFrom("GET", "PUT", "POST", "DELETE", "PATCH", "HEAD") },
      ),
      path: fc
        .tuple(
          fc.oneof(
            { weight: 12, arbitrary: fc.constant(path) },
            {
              weight: 1,
              arbitrary: fc.constantFrom(path.toUpperCase(), `${path}/`, `/${path}`, `${path}/x`),
            },
          ),
          fc.oneof(
            { weight: 8, arbitrary: fc.constant("api-version=2021-10-01") },
            { weight: 1, arbitrary: segment("2018-04-01").map((version) => `api-version=${version}`) },
            {
              weight: 3,
              arbitrary: fc
                .tuple(
                  fc.constantFrom("search", "after", "limit", "status", "minutes", "force"),
                  segment("1"),
                )
                .map(([name, value]) => `api-version=2021-10-01&${name}=${value}`),
            },
          ),
        )
        .map(([where, query]) => `${where.replace(":id", id)}?${query}`),
      headers: fc
        .record(
          {
            "if-match": fc.oneof(fc.constant("*"), text.map(headerText)),
            "x-ms-max-item-count": fc.oneof(fc.constant("2"), text.map(headerText)),
            "x-ms-continuation": text.map(headerText),
            "content-type": fc.oneof(fc.constant("application/json"), text.map(headerText)),
            cookie: text.map(headerText),
          },
          { requiredKeys: [] },
        )
        .map((each) => each as Record<string, string>),
      body:
        bodies.length === 0
          ? fc.oneof({ weight: 5, arbitrary: fc.constant("") }, { weight: 1, arbitrary: body({}) })
          : fc.constantFrom(...bodies).chain(body),
    }),
  );

/** The device API takes `/mooring/registrations/x` for an id scope of that name. */
const notHere = {
  status: 404,
  body: { errorCode: 404000, message: "ID scope not found.", trackingId: "r" },
  requestId: "r",
};

interface Range {
  readonly desk: Desk;
  send(question: Question): Promise<{ status: number; text: string }>;
}

async function openRange(
  plant: (options: OperatorApiOptions) => OperatorApiOptions = (real) => real,
): Promise<Range> {
  const desk = openDesk();
  const { store, clock, log } = desk;
  desk.enroll("gw-1", { attestation: { type: "symmetricKey" } });
  desk.enrollGroup("site", { attestation: { type: "symmetricKey" } });
  desk.enroll("secret", { attestation: { type: "symmetricKey" }, deviceId: canary });
  const options = plant({ store, clock, log });
  const eventStreams = createEventStreams({ store });
  const portal = createPortal({ store, clock, log, names: ["localhost"] });
  const server = await createHttpsServer({
    credential,
    deviceApi: recordingDeviceApi(() => notHere).deviceApi,
    operatorApis: [serviceApi(options), managementApi({ ...options, eventStreams }), portal.routes],
    clock,
    log,
  });
  const agent = new Agent({ keepAlive: true, maxSockets: 1, ca });
  const port = await listening(server as unknown as TlsServer);
  onTestFinished(async () => {
    agent.destroy();
    eventStreams.close();
    portal.close();
    const closed = once(server, "close");
    server.close();
    (server as unknown as HttpServer).closeAllConnections();
    await closed;
  });
  const tokenOf = (who: Who): string | undefined => {
    if (who === "nobody") return undefined;
    const name =
      who === "liar" ? "provisioningserviceowner" : who === "owner" ? "provisioningserviceowner" : who;
    const policy = store.policies.all().find((each) => each.name === name);
    const key = who === "liar" ? "AAAAAAAAAAAAAAAAAAAAAA==" : (policy?.primaryKey ?? "");
    return sasToken({ resource: "localhost", key, expiry: "4102444800", keyName: name });
  };
  return {
    desk,
    async send({ who, method, path, headers, body: sent }) {
      const bytes = bufferOf(sent);
      const authorization = tokenOf(who);
      const asked = request({
        host: "localhost",
        port,
        agent,
        method,
        path,
        headers: {
          ...headers,
          "content-length": bytes.length,
          ...(authorization !== undefined && { authorization }),
        },
      });
      asked.end(bytes);
      const [response] = await once(asked, "response");
      // This one never ends by itself.
      if (String(response.headers["content-type"]).startsWith("text/event-stream")) {
        asked.destroy();
        return { status: response.statusCode, text: "" };
      }
      let heard = "";
      for await (const chunk of response) heard += chunk;
      return { status: response.statusCode, text: heard };
    },
  };
}

const attack = (
  range: Range,
  who: fc.Arbitrary<Who>,
  judge: (answer: { status: number; text: string }, asked: Question) => void,
  runs: number,
): Promise<void> =>
  fc.assert(
    fc.asyncProperty(question(who), async (asked) => {
      const answer = await range.send(asked);
      expect(failuresIn(range.desk.log).join()).toBe("");
      expect(answer.status).toBeLessThan(500);
      if (answer.status >= 400 && asked.method !== "HEAD") {
        const { errorCode, message, trackingId } = JSON.parse(answer.text);
        expect(Math.floor(errorCode / 1000)).toBe(answer.status);
        expect([typeof message, typeof trackingId]).toEqual(["string", "string"]);
      }
      judge(answer, asked);
    }),
    effort(runs) as fc.Parameters<[Question]>,
  );

const anything = (): void => {};

/** Who is not signed in to the portal may sign out. */
const signsOut = ({ method, path }: Question): boolean =>
  method === "DELETE" && /^\/portal\/session\W/i.test(path);

describe("the APIs of operators", () => {
  it(
    "answer their owner, whatever he says, and in Azure's shape",
    async () => {
      await attack(await openRange(), fc.constant("owner"), anything, 1500);
    },
    fuzzTimeoutMs,
  );

  it(
    "do nothing for strangers, and tell them nothing",
    async () => {
      const range = await openRange();
      await attack(
        range,
        fc.constantFrom("nobody", "liar"),
        ({ status, text: heard }, asked) => {
          if (!signsOut(asked)) expect(status).toBeGreaterThanOrEqual(400);
          expect(heard).not.toContain(canary);
        },
        500,
      );
      expect(range.desk.store.enrollments.get("secret")?.deviceId).toBe(canary);
    },
    fuzzTimeoutMs,
  );

  it(
    "do for a policy what it permits, and nothing else",
    async () => {
      const range = await openRange();
      await attack(
        range,
        fc.constant("registrationstatuswrite"),
        ({ status, text: heard }, asked) => {
          if (signsOut(asked)) return;
          if (asked.method === "DELETE" && /^\/+registrations\//i.test(asked.path)) return;
          expect(status).toBeGreaterThanOrEqual(400);
          expect(heard).not.toContain(canary);
        },
        500,
      );
    },
    fuzzTimeoutMs,
  );

  it(
    "would be seen to fail, and to let strangers in (the control)",
    async () => {
      const failing = await openRange((options) => {
        const get = (id: string) => {
          if (id === "GW-1") throw new TypeError("planted");
          return options.store.enrollments.get(id);
        };
        return {
          ...options,
          store: { ...options.store, enrollments: { ...options.store.enrollments, get } },
        };
      });
      expect(await faultOf(attack(failing, fc.constant("owner"), anything, 1500))).toMatch(/seed.*planted/s);
      const open = await openRange((options) => ({
        ...options,
        signedIn: () => ({ policy: options.store.policies.all()[0] }) as never,
      }));
      const refused = ({ status }: { status: number }): void => expect(status).toBeGreaterThanOrEqual(400);
      expect(await faultOf(attack(open, fc.constant("nobody"), refused, 500))).toMatch(
        /seed.*expected 20[04] to be/s,
      );
    },
    fuzzTimeoutMs,
  );
});
