// A service that breaks off, talks nonsense or lies. The gateway believes what it can check, names what it cannot, and
// keeps what it has.

import { randomBytes } from "node:crypto";
import { existsSync, writeFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { join } from "node:path";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { ErrorCode } from "../../src/errors.ts";
import { silentLog } from "../../src/system/log.ts";
import { openTpm } from "../../src/tpm/tpm.ts";
import { makeAuthenticationKey } from "../support/authentication-key.ts";
import { createGateway, type Gateway, publicPart } from "../support/gateway.ts";
import { startService } from "../support/local-service.ts";
import { refuse, succeed, usableIn } from "../support/mooring.ts";
import { issue, tpmIdentity, x509Identity } from "../support/pki.ts";
import {
  answerJson,
  type ScriptedRequest,
  type ScriptedService,
  scriptedService,
} from "../support/scripted-service.ts";
import { type Swtpm, startSwtpm } from "../support/swtpm.ts";
import { listen } from "../support/tls-server.ts";

const operationId = "5.316aac5bdc130deb.b1e02da8-c3a0-4ff2-a121-7ea7a6b7f550";

let service: ScriptedService;
let gateway: Gateway;

beforeAll(async () => {
  service = await scriptedService();
});
afterAll(() => service[Symbol.asyncDispose]());

beforeEach(() => {
  gateway = createGateway();
  writeFileSync(gateway.file("service-ca.pem"), service.certificate);
});
afterEach(() => gateway[Symbol.dispose]());

/** With two seconds there is no time to ask again after a broken line. */
const configure = (identity: string, deadline = "2s"): void =>
  gateway.configure(
    { ...service, caFile: gateway.file("service-ca.pem") },
    { identity, provisioning: `transport = "https"\ndeadline = "${deadline}"` },
  );

const assigned = (state: object): object => ({
  operationId,
  status: "assigned",
  registrationState: { status: "assigned", assignedHub: "hub.example", deviceId: "gw", ...state },
});

const keepsNothing = (): void => {
  expect(existsSync(join(gateway.stateDirectory, "current"))).toBe(false);
  expect(existsSync(join(gateway.stateDirectory, "hub.env"))).toBe(false);
};

describe("a gateway with a certificate", () => {
  beforeEach(() => {
    const { certificateFile, keyFile, key } = issue(gateway.directory, "gw");
    gateway.keepSecret(key);
    configure(x509Identity(certificateFile, keyFile));
  });

  it("is assigned by an honest answer, which is the control of all that follows", async () => {
    service.answer = (response) => answerJson(response, 200, assigned({}));
    expect(await succeed(gateway.run("provision"))).toMatchObject({ assignedHub: "hub.example" });
  });

  it("keeps the assignment that it has when an output cannot hold the new one, and has one all the same", async () => {
    const { certificateFile, keyFile } = issue(gateway.directory, "gw");
    const configure = (policy = ""): void =>
      gateway.configure(
        { ...service, caFile: gateway.file("service-ca.pem") },
        {
          identity: x509Identity(certificateFile, keyFile),
          provisioning: 'transport = "https"\ndeadline = "2s"',
          outputs: `[[outputs]]\npath = "${gateway.file("hub.env")}"\nformat = "env"\n${policy}`,
        },
      );
    configure();
    const answer = (assignedHub: string, payload: string): void => {
      service.answer = (response) => answerJson(response, 200, assigned({ assignedHub, payload }));
    };
    const hub = (): string => gateway.assignment()["assignedHub"] as string;
    answer("first.example", "a\u0007b");
    await gateway.run("provision");
    expect(hub()).toBe("first.example");
    answer("second.example", "fine");
    expect(await gateway.run("reprovision")).toMatchObject({ code: 0 });
    answer("third.example", "a\u0007b");
    expect(await refuse(gateway.run("reprovision"), "ERR_OUTPUT")).toMatchObject({
      message: expect.stringContaining("control character"),
    });
    expect(hub()).toBe("second.example");

    // One that was withdrawn is no better than one that cannot be published.
    configure('[reprovision]\non_disenrolled = "withdraw"\n');
    service.answer = (response) => answerJson(response, 404, { errorCode: 404201, message: "Not found." });
    await refuse(gateway.run("reprovision"), "ERR_NOT_ENROLLED");
    await gateway.run("provision");
    expect(existsSync(gateway.file("hub.env"))).toBe(false);
    answer("third.example", "a\u0007b");
    await gateway.run("reprovision");
    expect(hub()).toBe("third.example");
  });

  const raw =
    (text: string) =>
    (_: ServerResponse, { socket }: ScriptedRequest): void =>
      void socket.end(text);
  const body =
    (text: string | Buffer, status = 200) =>
    (response: ServerResponse): void =>
      void response.writeHead(status, { "content-type": "application/json" }).end(text);
  const json =
    (value: unknown, status = 200) =>
    (response: ServerResponse): void =>
      answerJson(response, status, value);

  it.each<[string, ScriptedService["answer"], ErrorCode]>([
    ["malformed JSON", body('{"operationId":'), "ERR_PROTOCOL"],
    ["JSON of another kind", json([1, 2, 3]), "ERR_PROTOCOL"],
    ["bytes that are no text", body(randomBytes(512)), "ERR_PROTOCOL"],
    ["an empty answer", body(""), "ERR_PROTOCOL"],
    ["a megabyte and more", body(Buffer.alloc(1_100_000, 0x20)), "ERR_PROTOCOL"],
    ["an HTML page", body("<html>Sign in to the plant's network</html>"), "ERR_PROTOCOL"],
    [
      "a redirect",
      (r) => void r.writeHead(302, { location: "https://elsewhere.invalid/" }).end(),
      "ERR_PROTOCOL",
    ],
    ["an answer that is not HTTP", raw("220 smtp.example ESMTP\r\n"), "ERR_CONNECTION_LOST"],
    ["a status and nothing else", raw("HTTP/1.1 200 OK\r\n"), "ERR_CONNECTION_LOST"],
    [
      "half of an answer",
      raw('HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{"operationId":"5.3","status":"assi'),
      "ERR_CONNECTION_LOST",
    ],
    ["an abrupt end", (_, { socket }) => void socket.destroy(), "ERR_CONNECTION_LOST"],
    [
      "a hub with a line break",
      json(assigned({ assignedHub: "hub.example\nLD_PRELOAD=/tmp/x" })),
      "ERR_PROTOCOL",
    ],
    ["a hub with a shell's words", json(assigned({ assignedHub: "$(reboot).example" })), "ERR_PROTOCOL"],
    ["a hub that is a path", json(assigned({ assignedHub: "../../etc/passwd" })), "ERR_PROTOCOL"],
    ["a hub that is an object", json(assigned({ assignedHub: { toString: "x" } })), "ERR_PROTOCOL"],
    ["a hub without an end", json(assigned({ assignedHub: "a".repeat(70_000) })), "ERR_PROTOCOL"],
    ["a device id with a quote", json(assigned({ deviceId: 'x"\nEVIL="1' })), "ERR_PROTOCOL"],
    [
      "an operation of control characters",
      json({ operationId: "\u001b[2J", status: "pondering" }),
      "ERR_PROTOCOL",
    ],
    [
      "a failed allocation",
      json({
        operationId,
        status: "failed",
        registrationState: {
          errorCode: 400207,
          errorMessage: "Custom allocation failed with status code: 400",
        },
      }),
      "ERR_REGISTRATION_FAILED",
    ],
    [
      "an error that tries to paint the terminal",
      json({ errorCode: 400000, message: "\u001b[31mowned\u0007" }, 400),
      "ERR_REQUEST_REFUSED",
    ],
  ])(
    "names %s, and keeps nothing of it",
    async (_what, answer, code) => {
      service.answer = answer;
      const run = gateway.run("provision");
      const error = await refuse(run, code);
      expect((await run).stderr.replaceAll("\n", "")).not.toMatch(/\p{Cc}/u);
      expect(String(error["message"]).length).toBeLessThan(1000);
      keepsNothing();
    },
    30_000,
  );

  it("survives a service that hangs up in the middle and is honest afterwards", async () => {
    let asked = 0;
    service.answer = (response, { socket }) => {
      if (++asked === 1) socket.destroy();
      else answerJson(response, 200, assigned({}));
    };
    configure(x509Identity(gateway.file("gw.pem"), gateway.file("gw.key")), "30s");
    const run = await gateway.run("provision");
    expect(run.code, run.stderr).toBe(0);
    expect(run.stderr).toContain("ERR_CONNECTION_LOST; trying again in");
  });

  it.each(["https", "mqtt", "mqtt-ws"])(
    "leaves a server that says nothing over %s when the deadline is over, and ends",
    async (transport) => {
      const held = new Set<TLSSocket>();
      const silent = createTlsServer({ cert: service.certificate, key: service.privateKey }, (socket) => {
        held.add(socket.on("error", () => {}));
      });
      const port = await listen(silent);
      gateway.configure(
        { idScope: service.idScope, httpsPort: port, mqttPort: port, caFile: gateway.file("service-ca.pem") },
        {
          identity: x509Identity(gateway.file("gw.pem"), gateway.file("gw.key")),
          provisioning: `transport = "${transport}"\ndeadline = "2s"`,
        },
      );
      const run = gateway.run("provision");
      await refuse(run, "ERR_DEADLINE");
      expect((await run).elapsedMs).toBeLessThan(5000);
      expect(held.size).toBe(1);
      for (const socket of held) socket.destroy();
      silent.close();
      keepsNothing();
    },
  );

  it("asks again after the time that a busy service names", async () => {
    const askedAt: number[] = [];
    service.answer = (response) => {
      askedAt.push(performance.now());
      if (askedAt.length > 1) answerJson(response, 200, assigned({}));
      else response.writeHead(429, { "retry-after": "3" }).end('{"errorCode":429001}');
    };
    configure(x509Identity(gateway.file("gw.pem"), gateway.file("gw.key")), "30s");
    const run = await gateway.run("provision");
    expect(run.code, run.stderr).toBe(0);
    expect(Number(askedAt[1]) - Number(askedAt[0])).toBeGreaterThanOrEqual(3000);
  });

  it("keeps and serves its assignment when a later answer is a lie", async () => {
    service.answer = json(assigned({}));
    const first = await succeed(gateway.run("provision"));
    service.answer = json(assigned({ assignedHub: "hub\nevil" }));
    await refuse(gateway.run("reprovision"), "ERR_PROTOCOL");
    expect(publicPart(await usableIn(gateway.run("status")))).toEqual(publicPart(first));
    expect(await succeed(gateway.run("provision"))).toMatchObject({ outcome: "kept" });
  });
});

describe("a gateway with a TPM", () => {
  let swtpm: Swtpm;
  let endorsementKey: Buffer;
  let storageRootKey: Buffer;

  beforeAll(async () => {
    swtpm = await startSwtpm();
  });
  afterAll(() => swtpm.stop());

  beforeEach(async () => {
    configure(tpmIdentity(swtpm.tcti), "30s");
    const shown = await succeed(gateway.run("identity show"));
    endorsementKey = Buffer.from(String(shown["endorsementKey"]), "base64");
    storageRootKey = Buffer.from(String(shown["storageRootKey"]), "base64");
  });

  const blob = (): Buffer => makeAuthenticationKey({ key: randomBytes(32), endorsementKey, storageRootKey });

  /** Challenges with the first blob, and hands over the second as the hub's key. */
  const lie =
    (challenge: Buffer, hubKey: Buffer): ScriptedService["answer"] =>
    (response, { headers }) => {
      if (headers.authorization === undefined) {
        const authenticationKey = challenge.toString("base64");
        answerJson(response, 401, {
          message: "Authorization required",
          authenticationKey,
          keyName: "registration",
        });
      } else {
        answerJson(response, 200, assigned({ tpm: { authenticationKey: hubKey.toString("base64") } }));
      }
    };

  const leavesNothing = async (persistent: boolean): Promise<void> => {
    const handles = await swtpm.tool("tpm2_getcap", "handles-persistent");
    if (!persistent) expect(handles).not.toMatch(/81000100/);
    expect(await swtpm.tool("tpm2_getcap", "handles-transient")).toBe("");
    expect(await swtpm.tool("tpm2_getcap", "handles-loaded-session")).toBe("");
  };

  const mutations = 20;
  it.each(Array.from({ length: mutations }, (_, number) => number))(
    "says what is wrong with a broken authentication key, whatever is broken (%i)",
    async (number) => {
      const good = blob();
      const broken = mutate(good, number / mutations);
      service.answer = number % 2 === 0 ? lie(broken, good) : lie(good, broken);
      await refuse(gateway.run("provision"), "ERR_TPM_KEY_REJECTED");
      keepsNothing();
      await leavesNothing(false);
    },
  );

  it("is not harmed by hundreds of broken ones in one process", async () => {
    const tpm = await openTpm({ tcti: swtpm.tcti, log: silentLog });
    try {
      const codes = new Map<unknown, number>();
      for (let number = 0; number < 300; number++) {
        const code = await tpm.activate(mutate(blob(), number / 300)).then(
          () => "activated",
          (error) => error.code,
        );
        codes.set(code, (codes.get(code) ?? 0) + 1);
      }
      expect([...codes.keys()]).toEqual(["ERR_TPM_KEY_REJECTED"]);
      const key = randomBytes(32);
      await tpm.sign(await tpm.activate(makeAuthenticationKey({ key, endorsementKey, storageRootKey })), key);
    } finally {
      await tpm.close();
    }
    await leavesNothing(false);
  });

  it("takes an honest key after all that, which is the control of it", async () => {
    const good = blob();
    service.answer = lie(good, blob());
    expect(await succeed(gateway.run("provision"))).toMatchObject({ attestation: "tpm" });
    await leavesNothing(true);
  });

  it("answers no challenge that was made for another TPM", async () => {
    await using other = await startSwtpm();
    await using honest = await startService();
    using stranger = createGateway(honest, { identity: tpmIdentity(other.tcti) });
    const shown = await succeed(stranger.run("identity show"));
    const foreign = makeAuthenticationKey({
      key: randomBytes(32),
      endorsementKey: Buffer.from(String(shown["endorsementKey"]), "base64"),
      storageRootKey: Buffer.from(String(shown["storageRootKey"]), "base64"),
    });
    service.answer = lie(foreign, blob());
    await refuse(gateway.run("provision"), "ERR_TPM_KEY_REJECTED");
  });
});

/** Flips a bit, cuts off the end, or changes a size; `where` (0 to 1) says at which part of the 766 bytes that count. */
function mutate(blob: Buffer, where: number): Buffer {
  const broken = Buffer.from(blob);
  // What follows the fifth field is never read; and the top bit of an RSA ciphertext may not matter.
  const at = 1 + Math.floor(where * 763);
  switch (at % 3) {
    case 0:
      return broken.subarray(0, at);
    case 1:
      broken.writeUInt8(broken.readUInt8(at) ^ (1 << (at % 8)), at);
      return broken;
    default:
      broken.writeUInt8((broken.readUInt8(at) + 0x55) & 0xff, at);
      return broken;
  }
}
