// What our client sends over HTTPS, byte for byte, recorded by a bare TLS server; it answers with responses that were
// captured from DPS or printed in Azure's documents.

import { createHmac } from "node:crypto";
import { createServer, type TLSSocket } from "node:tls";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Credential, type Registration, register } from "../../src/registration/handshake.ts";
import { openHttps } from "../../src/registration/https.ts";
import type { Transport } from "../../src/registration/transport.ts";
import { silentLog } from "../../src/system/log.ts";
import vectors from "../fixtures/dps-vectors.json" with { type: "json" };
import { type KeyPair, listen, selfSigned } from "../support/tls-server.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const now = Date.UTC(2026, 0, 1);
const idScope = "0ne00000A0A";

let pair: KeyPair;
const open: (() => unknown)[] = [];

beforeAll(() => {
  pair = selfSigned("localhost");
});
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

interface Recorder {
  readonly port: number;
  /** Whole requests, as they came. */
  readonly requests: string[];
  readonly sockets: TLSSocket[];
}

/** Answers each request with the next of `answers`, which are bytes of HTTP. */
async function record(...answers: readonly string[]): Promise<Recorder> {
  const requests: string[] = [];
  const sockets: TLSSocket[] = [];
  const script = [...answers];
  const server = createServer(
    { cert: pair.certificate, key: pair.privateKey, requestCert: true, rejectUnauthorized: false },
    (socket) => {
      sockets.push(socket);
      let text = "";
      socket.on("error", () => {});
      socket.on("data", (bytes) => {
        text += bytes.toString("latin1");
        const end = text.indexOf("\r\n\r\n");
        const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
        if (end < 0 || text.length < end + 4 + length) return;
        requests.push(text);
        text = "";
        socket.write(script.shift() ?? "HTTP/1.1 500 Nobody expected this\r\ncontent-length: 0\r\n\r\n");
      });
    },
  );
  const port = await listen(server);
  open.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port, requests, sockets };
}

function registration(
  { port }: Recorder,
  registrationId: string,
  credential: Credential,
  more: Partial<Registration> = {},
): Registration {
  const transport: Transport = openHttps(
    { host: "localhost", port, idScope, registrationId, ca: pair.certificate },
    { userAgent: "mooring/0.0.0" },
  );
  open.push(() => transport.close());
  return {
    ...{ idScope, registrationId, credential, transport, random: () => 0, log: silentLog },
    clock: virtualClock(now),
    signal: AbortSignal.timeout(10_000),
    remainingMs: () => 60_000,
    ...more,
  };
}

/** The headers of "Azure DPS over HTTPS with symmetric keys", with its body in one chunk. */
const documented = (status: string, body: object, ...headers: readonly string[]): string => {
  const text = JSON.stringify(body);
  return [
    `HTTP/1.1 ${status}`,
    "Date: Wed, 31 Aug 2022 22:02:49 GMT",
    "Content-Type: application/json; charset=utf-8",
    "Transfer-Encoding: chunked",
    ...headers,
    "x-ms-request-id: a021814f-0cf6-4ce9-a1e9-ead7eb5118d9",
    "Strict-Transport-Security: max-age=31536000; includeSubDomains",
    "",
    `${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`,
  ].join("\r\n");
};

const bodyOf = (via: string): object =>
  vectors.deviceResponses.find((response) => response.via === via)?.json as object;
const accepted = documented(
  "202 Accepted",
  bodyOf("https 202"),
  "Location: https://global.azure-devices-provisioning.net/0ne00000A0A/registrations/sym-key/register",
  "Retry-After: 3",
);
const operationId = "5.316aac5bdc130deb.b1e02da8-c3a0-4ff2-a121-7ea7a6b7f550";
const assigned = documented("200 OK", {
  operationId,
  status: "assigned",
  registrationState: {
    assignedHub: "contoso.azure-devices.net",
    deviceId: "dev",
    status: "assigned",
    tpm: { authenticationKey: "AAAA" },
  },
});

/** A request from literal lines. */
const request = (port: number, lines: readonly string[], body = ""): string =>
  `${[lines[0], `host: localhost:${port}`, "accept: application/json", "user-agent: mooring/0.0.0", ...lines.slice(1), "Connection: keep-alive"].join("\r\n")}\r\n\r\n${body}`;

describe("a device with a certificate sends", () => {
  it("a registration and polls with no credential in them, on one connection", async () => {
    const server = await record(accepted, accepted, assigned);
    const answer = await register(registration(server, "dev", { attestation: "x509" }));
    expect(answer).toMatchObject({ assignedHub: "contoso.azure-devices.net", deviceId: "dev", operationId });
    const poll = request(server.port, [
      `GET /0ne00000A0A/registrations/dev/operations/${operationId}?api-version=2021-06-01 HTTP/1.1`,
    ]);
    expect(server.requests).toEqual([
      request(
        server.port,
        [
          "PUT /0ne00000A0A/registrations/dev/register?api-version=2021-06-01 HTTP/1.1",
          "content-type: application/json; charset=utf-8",
          "content-length: 24",
        ],
        '{"registrationId":"dev"}',
      ),
      poll,
      poll,
    ]);
    expect(server.sockets).toHaveLength(1);
  });

  it("its id percent-encoded in the path and as it is in the body, with the payload beside it", async () => {
    const server = await record(assigned);
    await register(registration(server, "site:7", { attestation: "x509" }, { payload: { a: [1, null] } }));
    const body = '{"registrationId":"site:7","payload":{"a":[1,null]}}';
    expect(server.requests).toEqual([
      request(
        server.port,
        [
          "PUT /0ne00000A0A/registrations/site%3A7/register?api-version=2021-06-01 HTTP/1.1",
          "content-type: application/json; charset=utf-8",
          `content-length: ${body.length}`,
        ],
        body,
      ),
    ]);
  });

  it("the name of the server in TLS", async () => {
    const server = await record(assigned);
    await register(registration(server, "dev", { attestation: "x509" }));
    expect(server.sockets[0]?.servername).toBe("localhost");
  });
});

/** The token that these bytes have to be, computed here from the published description of SAS. */
function expectedToken(registrationId: string, key: Buffer): string {
  const resource = `0ne00000A0A%2Fregistrations%2F${encodeURIComponent(registrationId)}`;
  const expiry = now / 1000 + 3600;
  const signature = createHmac("sha256", key).update(`${resource}\n${expiry}`).digest("base64");
  const encoded = signature.replaceAll("+", "%2B").replaceAll("/", "%2F").replaceAll("=", "%3D");
  return `SharedAccessSignature sr=${resource}&sig=${encoded}&se=${expiry}&skn=registration`;
}

describe("a device with a symmetric key sends", () => {
  it("a token with the registration and with every poll, made with the derived key of Azure's document", async () => {
    const [vector] = vectors.symmetricKeyGroup;
    const registrationId = String(vector?.registrationId);
    const key = Buffer.from(String(vector?.derivedKeyB64), "base64");
    const server = await record(accepted, assigned);
    const sign = async (data: Uint8Array): Promise<Uint8Array> =>
      createHmac("sha256", key).update(data).digest();
    await register(registration(server, registrationId, { attestation: "symmetricKey", sign }));
    const tokens = server.requests.map((text) => /^authorization: (.*)\r$/m.exec(text)?.[1]);
    expect(tokens[0]).toBe(expectedToken(registrationId, key));
    // The second is newer by the three seconds that the service asked to wait.
    expect(tokens[1]).toMatch(
      /^SharedAccessSignature sr=0ne00000A0A%2Fregistrations%2Fsn-007.*&se=\d+&skn=registration$/,
    );
    expect(tokens[1]).not.toBe(tokens[0]);
  });
});

describe("a device with a TPM", () => {
  const challenge = vectors.challengeResponses401[1];

  it("opens the challenge that Azure once sent in two chunks, and repeats its request with a token", async () => {
    const text = JSON.stringify(challenge?.json);
    const head = `HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n`;
    const inTwo = `${head}400\r\n${text.slice(0, 0x400)}\r\n${(text.length - 0x400).toString(16)}\r\n${text.slice(0x400)}\r\n0\r\n\r\n`;
    const server = await record(inTwo, accepted, assigned);
    const activated: Uint8Array[] = [];
    const key = Buffer.alloc(32, 7);
    const vector = vectors.registrationIdFromEk[0];
    const registrationId = String(vector?.registrationId);
    await register(
      registration(server, registrationId, {
        attestation: "tpm",
        endorsementKey: Buffer.from(String(vector?.endorsementKey), "base64"),
        storageRootKey: Buffer.from("AAAB", "base64"),
        activate: async (blob) => {
          activated.push(blob);
          return { wrapped: blob, sign: async (data) => createHmac("sha256", key).update(data).digest() };
        },
      }),
    );
    expect(activated[0]?.length).toBe(956);
    expect(Buffer.from(activated[0] ?? []).toString("base64")).toBe(challenge?.json.authenticationKey);

    const body = `{"registrationId":"${registrationId}","tpm":{"endorsementKey":"${vector?.endorsementKey}","storageRootKey":"AAAB"}}`;
    const lines = [
      `PUT /0ne00000A0A/registrations/${registrationId}/register?api-version=2021-06-01 HTTP/1.1`,
      "content-type: application/json; charset=utf-8",
      `content-length: ${body.length}`,
    ];
    expect(server.requests.slice(0, 2)).toEqual([
      request(server.port, lines, body),
      request(server.port, [...lines, `authorization: ${expectedToken(registrationId, key)}`], body),
    ]);
    expect(server.requests[2]).toMatch(/^GET .*\r\nauthorization: SharedAccessSignature sr=/s);
    expect(server.requests[2]?.endsWith("\r\n\r\n")).toBe(true);
  });
});
