// Every failure that has a code is one that can happen: here, or in the test file that is named, the program as it is
// shipped is brought to it. A code that nobody reaches does not compile, and a file that does not do what is said of it
// fails.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { type ErrorCode, errorTable } from "../../src/errors.ts";
import { takeFileLock } from "../../src/system/file-lock.ts";
import { daemonTable, startDaemon } from "../support/daemon.ts";
import { createGateway, type Gateway, type ServiceAddress } from "../support/gateway.ts";
import { type LocalService, startService } from "../support/local-service.ts";
import { mooring, type Run, succeed } from "../support/mooring.ts";
import { issue, tpmIdentity, x509Identity } from "../support/pki.ts";
import { withoutPrivilege } from "../support/private-mounts.ts";
import { answerJson, type ScriptedService, scriptedService } from "../support/scripted-service.ts";
import { type Swtpm, startSwtpm } from "../support/swtpm.ts";
import { selfSigned } from "../support/tls-server.ts";
import { startTpmProxy, type TpmProxy } from "../support/tpm-proxy.ts";

let service: LocalService;
/** Answers what a test wants. */
let scripted: ScriptedService;
let swtpm: Swtpm;
let proxy: TpmProxy;

beforeAll(async () => {
  [service, scripted, swtpm] = await Promise.all([startService(), scriptedService(), startSwtpm()]);
  proxy = await startTpmProxy(swtpm);
});
afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  await Promise.all([swtpm.stop(), scripted[Symbol.asyncDispose](), service[Symbol.asyncDispose]()]);
});

/** The test file here in which the program is brought to it. */
const within = (file: string): string => file;

type Way = string | (() => Promise<Run>);

const ways: Record<ErrorCode, Way> = {
  ERR_USAGE: within("configuration.test.ts"),
  ERR_INPUT: () => service.operator("enrollment", "import", "/nonexistent.csv"),
  ERR_CONFIG_NOT_FOUND: within("configuration.test.ts"),
  ERR_CONFIG_INVALID: within("configuration.test.ts"),
  ERR_PERMISSION: within("disk.test.ts"),

  ERR_IDENTITY_NOT_FOUND: async () => {
    const gateway = await enrolledTpm();
    await succeed(gateway.run("provision"));
    await succeed(gateway.run("reprovision"));
    const { certificateFile, keyFile } = issue(gateway.directory, "gw");
    gateway.configure(service, { identity: x509Identity(certificateFile, keyFile) });
    return gateway.run("rollback");
  },
  ERR_IDENTITY_UNREADABLE: within("disk.test.ts"),
  ERR_IDENTITY_INVALID: () => {
    const gateway = aGateway();
    writeFileSync(gateway.file("gw.pem"), "no certificate\n");
    return gateway.run("provision");
  },
  ERR_CERTIFICATE_EXPIRED: within("refusal.test.ts"),
  ERR_CERTIFICATE_NOT_YET_VALID: () => aGateway({ madeAt: "+10d" }).run("provision"),
  ERR_KEY_MISMATCH: within("refusal.test.ts"),
  ERR_KEY_PASSWORD: within("attestation.test.ts"),
  ERR_REGISTRATION_ID_INVALID: () =>
    aGateway({ more: "[identity]\nregistration_id = 'another'" }).run("provision"),
  ERR_FACT_MISSING: () =>
    aGateway({ more: `[identity]\nregistration_id = "gw-\${mac:none0}"` }).run("provision"),

  ERR_TPM_UNAVAILABLE: within("tpm-trouble.test.ts"),
  ERR_TPM_PERMISSION: within("tpm-trouble.test.ts"),
  ERR_TPM_LIBRARY: () =>
    tpmGateway(swtpm.tcti).run("identity show", {
      env: { MOORING_TPM_LIBRARY: "/nowhere/libmooring-tpm.so" },
    }),
  ERR_TPM_TIMEOUT: within("tpm-trouble.test.ts"),
  ERR_TPM_CHANGED: within("tpm-trouble.test.ts"),
  ERR_TPM_AUTHORIZATION: () => tpmAnswers(0x9a2),
  ERR_TPM_LOCKOUT: () => tpmAnswers(0x921),
  ERR_TPM_BUSY: within("tpm-trouble.test.ts"),
  ERR_TPM_HANDLE_OCCUPIED: within("tpm.test.ts"),
  ERR_TPM_KEY_REJECTED: within("hostile-service.test.ts"),
  ERR_TPM_COMMAND: () => tpmAnswers(0x101),

  ERR_DNS: within("refusal.test.ts"),
  ERR_CONNECT: within("transport-choice.test.ts"),
  ERR_PROXY: within("transport-choice.test.ts"),
  ERR_PROXY_AUTHORIZATION: within("transport-choice.test.ts"),
  ERR_TLS_SERVER: within("refusal.test.ts"),
  ERR_TLS_CLIENT: async () => {
    const gateway = aGateway();
    const { port, caFile } = await serverThatRefusesOurCertificate(gateway);
    const address = { idScope: "0ne00ABCDEF", httpsPort: port, mqttPort: port, caFile };
    return configured(gateway, address).run("provision");
  },
  ERR_CONNECTION_LOST: () => whenAnswered((response) => void response.destroy()),
  ERR_DEADLINE: within("refusal.test.ts"),
  ERR_CANCELLED: within("crash.test.ts"),
  ERR_CLOCK_IMPLAUSIBLE: within("clock.test.ts"),

  ERR_UNAUTHORIZED: within("refusal.test.ts"),
  ERR_NOT_ENROLLED: within("refusal.test.ts"),
  ERR_DISABLED: within("refusal.test.ts"),
  ERR_REQUEST_REFUSED: () => whenAnswered((response) => answerJson(response, 400, { errorCode: 400004 })),
  ERR_TOO_MANY_ATTEMPTS: within("manners.test.ts"),
  ERR_THROTTLED: () => whenAnswered((response) => answerJson(response, 429, { errorCode: 429001 })),
  ERR_SERVICE_UNAVAILABLE: () =>
    whenAnswered((response) => answerJson(response, 500, { errorCode: 500000, trackingId: "t-1" })),
  ERR_REGISTRATION_FAILED: () => whenFailed(400207),
  ERR_HUB_MISSING: () => whenFailed(400208),
  ERR_PROTOCOL: within("hostile-service.test.ts"),

  ERR_NOT_PROVISIONED: within("rollback.test.ts"),
  ERR_NO_PREVIOUS: within("rollback.test.ts"),
  ERR_STATE_DIRECTORY: within("disk.test.ts"),
  ERR_STATE_FULL: within("disk.test.ts"),
  ERR_STATE_CORRUPT: async () => {
    const gateway = await provisioned();
    writeFileSync(join(gateway.stateDirectory, "current/assignment.json"), "{}");
    holdLock(gateway);
    return gateway.run("provision");
  },
  ERR_LOCKED: async () => {
    const gateway = await provisioned();
    holdLock(gateway);
    return gateway.run("reprovision");
  },
  ERR_OUTPUT: async () => {
    const gateway = await enrolled({ outputs: "[[outputs]]\npath = 'sub/hub.env'\n" });
    writeFileSync(gateway.file("sub"), "no directory");
    return gateway.run("provision");
  },

  ERR_CONTROL_PERMISSION: async () => {
    const gateway = withSocket();
    await listenOn(gateway, () => {});
    chmodSync(gateway.file("control.sock"), 0);
    return gateway.run("reprovision", { under: withoutPrivilege });
  },
  ERR_CONTROL_SOCKET: within("control.test.ts"),
  ERR_CONTROL_BUSY: async () => {
    const gateway = withSocket();
    const daemon = startDaemon(gateway);
    onTestFinished(() => daemon[Symbol.asyncDispose]());
    await daemon.answers();
    const clients = Array.from({ length: 256 }, () => connect(gateway.file("control.sock")));
    onTestFinished(() => {
      for (const client of clients) client.destroy();
    });
    await Promise.all(clients.map((client) => once(client, "data")));
    return gateway.run("reprovision");
  },
  ERR_CONTROL_PROTOCOL: async () => {
    const gateway = withSocket();
    await listenOn(gateway, (socket) => socket.write("220 smtp.example ESMTP\n"));
    return gateway.run("reprovision");
  },
  ERR_DAEMON_RUNNING: async () => {
    const gateway = withSocket();
    const daemon = startDaemon(gateway);
    onTestFinished(() => daemon[Symbol.asyncDispose]());
    await daemon.answers();
    return gateway.run("run");
  },
  ERR_DAEMON_LOST: async () => {
    const gateway = withSocket();
    await listenOn(gateway, (socket) => socket.end());
    return gateway.run("reprovision");
  },

  ERR_BACKUP: () => mooring(["service", "backup", "--json", "--data", service.dataDirectory, "/dev/null"]),
  ERR_SERVICE_START: () => {
    const file = newGateway().file("data");
    writeFileSync(file, "no directory");
    return mooring(["service", "run", "--data", file]);
  },
  ERR_CONNECTION_STRING: () => mooring(["enrollment", "list"], { env: { MOORING_SERVICE: "HostName=x" } }),
  ERR_ENROLLMENT_NOT_FOUND: () => service.operator("enrollment", "show", "nobody"),
  ERR_ENROLLMENT_CONFLICT: async () => {
    await succeed(
      service.operator("enrollment", "create", "--registration-id", "a", "--symmetric-key", "--json"),
    );
    return service.operator("enrollment", "create", "--registration-id", "a", "--symmetric-key");
  },
  ERR_ENROLLMENT_REFUSED: () =>
    service.operator(
      "enrollment",
      "create",
      "--registration-id",
      "b",
      "--symmetric-key",
      "--device-id",
      "a/b",
    ),
  ERR_LOCAL_ONLY: () =>
    mooring(["service", "hub", "list"], {
      env: {
        MOORING_SERVICE:
          "HostName=x.azure-devices-provisioning.net;SharedAccessKeyName=a;SharedAccessKey=QUJD",
      },
    }),
  ERR_IMPORT_INVALID: () => imports("registration_id,primary_key\nc,no base64\n"),
  ERR_IMPORT_PARTIAL: async () => {
    await succeed(
      service.operator("enrollment", "create", "--registration-id", "d", "--symmetric-key", "--json"),
    );
    return imports(`registration_id,primary_key\nd,${Buffer.alloc(32, 7).toString("base64")}\n`);
  },

  // A bug, planted: what has no name must not take one of the others.
  ERR_INTERNAL: async () =>
    (await enrolled()).run("provision", {
      env: {
        NODE_OPTIONS: `--import data:text/javascript,Date.prototype.toISOString=()=>{throw(new(TypeError)(42))}`,
      },
    }),
};

describe("the program", () => {
  const here = Object.entries(ways).filter(([, way]) => typeof way !== "string") as [
    ErrorCode,
    () => Promise<Run>,
  ][];

  it.each(here)("can fail with %s, and says what, why and what next", async (code, way) => {
    const { code: exitCode, stderr } = await way();
    expect(stderr).toMatch(new RegExp(`^mooring: ${code}: \\S`, "m"));
    expect(stderr).toMatch(/^ {2}next: \S/m);
    expect(stderr).not.toMatch(/^\s+at .+[:(]/m);
    expect(exitCode).toBe(errorTable[code].exitCode);
  });
});

describe("another test file", () => {
  /** It runs the program and expects this code of it, in tests that none leaves out. */
  const reaches = (text: string, code: string): boolean =>
    (new RegExp(`(?:refuse|isRefused)\\((?:[^;]*?, )?"${code}"\\)`, "s").test(text) ||
      text.includes(`.toMatchObject({ code: "${code}" })`)) &&
    !/\b(?:it|describe)\.(?:skip|todo|only|fails)\b/.test(text);

  const elsewhere = Object.entries(ways).filter(([, way]) => typeof way === "string") as [
    ErrorCode,
    string,
  ][];

  it.each(elsewhere)("brings it to %s: %s", (code, file) => {
    expect(reaches(readFileSync(join(import.meta.dirname, file), "utf8"), code)).toBe(true);
  });

  it.each([
    ["nowhere", ""],
    ["in a comment", "// refused with ERR_DNS"],
    ["as another code", 'await refuse(gateway.run("provision"), "ERR_DNS_FAILED");'],
    ["in a test that is left out", 'it.skip("x", () => refuse(gateway.run("provision"), "ERR_DNS"));'],
  ])("is seen when it brings it to a code %s", (_where, text) => {
    expect(reaches(text, "ERR_DNS")).toBe(false);
    expect(reaches('await refuse(gateway.run("provision"), "ERR_DNS");', "ERR_DNS")).toBe(true);
  });
});

interface Wanted {
  readonly madeAt?: string;
  /** TOML at the end. */
  readonly outputs?: string;
  /** TOML of a registration id, in place of none. */
  readonly more?: string;
}

function newGateway(): Gateway {
  const gateway = createGateway();
  onTestFinished(() => gateway[Symbol.dispose]());
  return gateway;
}

function aGateway({ madeAt = "+0d", outputs, more }: Wanted = {}): Gateway {
  const gateway = newGateway();
  issue(gateway.directory, "gw", { madeAt });
  return configured(gateway, service, { ...(outputs && { outputs }), ...(more && { more }) });
}

function configured(
  gateway: Gateway,
  address: ServiceAddress,
  { outputs, more = "[identity]" }: Wanted = {},
): Gateway {
  const identity = x509Identity(gateway.file("gw.pem"), gateway.file("gw.key")).replace("[identity]", more);
  gateway.configure(address, {
    identity,
    provisioning: 'transport = "https"\ndeadline = "2s"',
    ...(outputs && { outputs }),
  });
  return gateway;
}

async function enrolled(wanted?: Wanted): Promise<Gateway> {
  const gateway = aGateway(wanted);
  const certificate = readFileSync(gateway.file("gw.pem"), "utf8");
  await service.enroll("/enrollments/gw", {
    registrationId: "gw",
    attestation: { type: "x509", x509: { clientCertificates: { primary: { certificate } } } },
  });
  return gateway;
}

async function provisioned(): Promise<Gateway> {
  const gateway = await enrolled();
  await succeed(gateway.run("provision"));
  return gateway;
}

/** As another process that is provisioning does. */
function holdLock({ stateDirectory }: Gateway): void {
  const lock = takeFileLock(join(stateDirectory, "lock"));
  expect(lock).toBeDefined();
  onTestFinished(() => lock?.release());
}

function tpmGateway(tcti: string): Gateway {
  const gateway = newGateway();
  gateway.configure(service, { identity: tpmIdentity(tcti) });
  return gateway;
}

async function enrolledTpm(): Promise<Gateway> {
  const gateway = tpmGateway(swtpm.tcti);
  const { registrationId, endorsementKey } = await succeed(gateway.run("identity show"));
  await service.enroll(`/enrollments/${registrationId}`, {
    registrationId,
    attestation: { type: "tpm", tpm: { endorsementKey } },
  });
  return gateway;
}

async function tpmAnswers(responseCode: number): Promise<Run> {
  void proxy.inject({ trouble: { answer: responseCode } });
  onTestFinished(() => proxy.heal());
  return tpmGateway(proxy.tcti).run("identity show");
}

function whenAnswered(answer: ScriptedService["answer"]): Promise<Run> {
  scripted.answer = answer;
  const gateway = newGateway();
  issue(gateway.directory, "gw");
  writeFileSync(gateway.file("ca.pem"), scripted.certificate);
  return configured(gateway, { ...scripted, caFile: gateway.file("ca.pem") }).run("provision");
}

const whenFailed = (errorCode: number): Promise<Run> =>
  whenAnswered((response) =>
    answerJson(response, 200, {
      operationId: "5.3.1",
      status: "failed",
      registrationState: { errorCode, errorMessage: "no" },
    }),
  );

/** A TLS 1.2 server by openssl that wants certificates of its own CA, and says so with an alert. */
async function serverThatRefusesOurCertificate(gateway: Gateway): Promise<{ port: number; caFile: string }> {
  const { certificate, privateKey } = selfSigned("localhost");
  const [caFile, keyFile] = [gateway.file("server.pem"), gateway.file("server.key")];
  writeFileSync(caFile, certificate);
  writeFileSync(keyFile, privateKey);
  const args = ["-cert", caFile, "-key", keyFile, "-CAfile", caFile];
  const child = spawn(
    "openssl",
    ["s_server", "-accept", "127.0.0.1:0", ...args, "-Verify", "1", "-verify_return_error", "-tls1_2"],
    { stdio: ["pipe", "pipe", "ignore"] },
  );
  onTestFinished(() => void child.kill("SIGKILL"));
  for await (const line of createInterface({ input: child.stdout })) {
    const [, port] = /^ACCEPT .*:(\d+)$/.exec(line) ?? [];
    if (port !== undefined) return { port: Number(port), caFile };
  }
  throw new Error("openssl s_server ended");
}

/** A gateway whose daemon would be at control.sock. */
function withSocket(): Gateway {
  const gateway = newGateway();
  issue(gateway.directory, "gw");
  return configured(gateway, service, { outputs: daemonTable(gateway) });
}

async function listenOn(gateway: Gateway, greet: (socket: Socket) => void): Promise<void> {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    greet(socket);
  });
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => server.listen(gateway.file("control.sock"), resolve));
}

async function imports(rows: string): Promise<Run> {
  const file = newGateway().file("rows.csv");
  writeFileSync(file, rows);
  return service.operator("enrollment", "import", file);
}
