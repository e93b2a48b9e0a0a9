import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseConnectionString } from "../../src/enrollment/connection-string.ts";
import type { RunningService } from "../../src/service/service.ts";
import { directoryOfFile } from "../service/sockets.ts";
import { commandLine, type Said } from "../support/command-line.ts";
import { answerJson, scriptedService } from "../support/scripted-service.ts";
import { startServiceHere } from "../support/service-in-process.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const directory = directoryOfFile();
let service: RunningService;

beforeAll(async () => {
  service = await startServiceHere(directory, { hubs: ["a.example", "c.example"] });
});
afterAll(() => service.stop());

const mooring = (...args: string[]): Promise<Said> =>
  commandLine(
    "service",
    ...args,
    "--service-file",
    service.connectionStringFile,
    "--ca-file",
    service.caFile,
  );

describe("mooring service hub", () => {
  const hosts = async (): Promise<string[]> =>
    ((await mooring("hub", "list", "--json")).json() as { hostName: string }[]).map(
      ({ hostName }) => hostName,
    );

  it("links, changes, lists and unlinks hubs", async () => {
    expect(await mooring("hub", "add", "b.example", "--weight", "3", "--latency", "20")).toMatchObject({
      code: 0,
      out: "hub b.example linked\n",
    });
    expect((await mooring("hub", "list")).out).toMatch(/^b\.example +3 +20 ms +0$/m);
    expect((await mooring("hub", "update", "b.example", "--weight", "7", "--json")).json()).toMatchObject({
      allocationWeight: 7,
      latencyMs: 20,
    });
    expect((await mooring("hub", "remove", "b.example")).out).toBe("hub b.example unlinked\n");
    expect(await hosts()).not.toContain("b.example");
  });

  it.each([
    ["a hub that is linked already", 75, ["add", "a.example"]],
    ["a hub that is not linked", 66, ["update", "x.example", "--weight", "2"]],
    ["nothing to change", 64, ["update", "a.example"]],
    ["a weight that is none", 64, ["add", "x.example", "--weight", "0"]],
    ["a name that is none", 65, ["add", "x_y"]],
    ["unlinking what is not linked", 66, ["remove", "x.example"]],
  ])("ends with the right exit code for %s", async (_, code, args) => {
    expect((await mooring("hub", ...args)).code).toBe(code);
  });

  it("unlinks a hub that enrollments name only by force", async () => {
    await mooring("hub", "add", "named.example");
    const enroll = ["create", "--registration-id", "gw-1", "--symmetric-key", "--hub", "named.example"];
    await commandLine(
      "enrollment",
      ...enroll,
      "--service-file",
      service.connectionStringFile,
      "--ca-file",
      service.caFile,
    );
    expect(await mooring("hub", "remove", "named.example")).toMatchObject({
      code: 75,
      err: expect.stringContaining("--force"),
    });
    expect((await mooring("hub", "remove", "named.example", "--force")).code).toBe(0);
  });
});

describe("mooring service policy", () => {
  it("lists policies, and their keys only when asked", async () => {
    const { key } = parseConnectionString(service.connectionString);
    const secret = key.reveal().toString("base64");
    for (const options of [[], ["--json"]]) {
      const { out } = await mooring("policy", "list", ...options);
      expect(out).toContain("registrationstatusread");
      expect(out).not.toContain(secret);
      expect((await mooring("policy", "list", "--keys", ...options)).out).toContain(secret);
    }
  });

  it("rotates one key of a policy and leaves the other", async () => {
    const keys = async (): Promise<{ primaryKey: string; secondaryKey: string }> => {
      const all = (await mooring("policy", "list", "--keys", "--json")).json() as {
        name: string;
        primaryKey: string;
        secondaryKey: string;
      }[];
      return all.find(({ name }) => name === "enrollmentread") ?? expect.fail("no such policy");
    };
    const before = await keys();
    expect((await mooring("policy", "rotate", "enrollmentread", "--key", "secondary")).code).toBe(64);
    const { code, out } = await mooring("policy", "rotate", "enrollmentread", "--key", "secondary", "--yes");
    const after = await keys();
    expect(code).toBe(0);
    expect(out).not.toContain(after.secondaryKey);
    expect(after.primaryKey).toBe(before.primaryKey);
    expect(after.secondaryKey).not.toBe(before.secondaryKey);
  });

  it.each([
    ["a policy that is not there", 66, ["rotate", "nobody", "--key", "primary", "--yes"]],
    ["no key named", 64, ["rotate", "enrollmentread", "--yes"]],
    ["a key that is none", 64, ["rotate", "enrollmentread", "--key", "third", "--yes"]],
  ])("ends with the right exit code for %s", async (_, code, args) => {
    expect((await mooring("policy", ...args)).code).toBe(code);
  });
});

describe("mooring service portal", () => {
  it.each([
    ["the files of the service", () => mooring("portal")],
    ["its data directory", () => commandLine("service", "portal", "--data", directory)],
  ])("prints a link that the service takes once, found by %s", async (_, run) => {
    const { code, out } = await run();
    expect(code).toBe(0);
    const [, origin = "", token = ""] =
      /^(https:\/\/localhost:\d+)\/portal\/#token=([\w-]{43})\n$/.exec(out) ?? [];
    const signIn = async (): Promise<number | undefined> => {
      const ca = readFileSync(service.caFile);
      const headers = { origin, "content-type": "application/json" };
      const asked = request(`${origin}/portal/session`, { method: "POST", ca, headers, agent: false });
      asked.end(JSON.stringify({ token }));
      const [answer] = await once(asked, "response");
      return answer.resume().statusCode;
    };
    expect([await signIn(), await signIn()]).toEqual([200, 401]);
  });

  it("says when it ends to scripts", async () => {
    const link = (await mooring("portal", "--json")).json() as { url: string; expiresAtUtc: string };
    const minutes = (Date.parse(link.expiresAtUtc) - Date.now()) / 60_000;
    expect(minutes).toBeGreaterThan(9);
    expect(minutes).toBeLessThanOrEqual(10);
  });

  it("is not for the key of a lesser policy", async () => {
    const policies = (await mooring("policy", "list", "--keys", "--json")).json() as {
      name: string;
      primaryKey: string;
    }[];
    const { primaryKey } = policies.find(({ name }) => name === "serviceconfig") ?? expect.fail();
    const file = join(temporaryDirectory(), "connection-string");
    const host = `localhost:${service.httpsPort}`;
    writeFileSync(file, `HostName=${host};SharedAccessKeyName=serviceconfig;SharedAccessKey=${primaryKey}`);
    const reach = ["--service-file", file, "--ca-file", service.caFile];
    expect((await commandLine("service", "portal", ...reach)).code).toBe(77);
  });
});

describe("a service that is no local one", () => {
  const local = [
    ["portal"],
    ["hub", "list"],
    ["policy", "list"],
    ["quota", "show"],
    ["hub", "add", "x.example"],
  ];

  it.each(local)("is not asked for %s %s when it is Azure's", async (...args) => {
    const file = join(temporaryDirectory(), "connection-string");
    writeFileSync(
      file,
      "HostName=mine.azure-devices-provisioning.net;SharedAccessKeyName=x;SharedAccessKey=c2VjcmV0",
    );
    const { code, err } = await commandLine("service", ...args, "--service-file", file);
    expect(code).toBe(69);
    expect(err).toContain("ERR_LOCAL_ONLY");
    expect(err).toContain("az iot dps");
  });

  it.each<[string, unknown]>([
    ["as DPS", { errorCode: 404000, trackingId: "x", message: "Resource not found" }],
    ["as a web server", "<h1>404</h1>"],
  ])("is told from a local one by its 404 %s", async (_, body) => {
    await using other = await scriptedService();
    other.answer = (response) => answerJson(response, 404, body);
    const folder = temporaryDirectory();
    const [file, ca] = [join(folder, "connection-string"), join(folder, "ca.pem")];
    writeFileSync(
      file,
      `HostName=localhost:${other.httpsPort};SharedAccessKeyName=x;SharedAccessKey=c2VjcmV0`,
    );
    writeFileSync(ca, other.certificate);
    const reach = ["--service-file", file, "--ca-file", ca];
    expect((await commandLine("service", "hub", "list", ...reach)).err).toContain("ERR_LOCAL_ONLY");
  });
});

describe("mooring service quota", () => {
  it("sets one quota and leaves the other, and takes it away again", async () => {
    expect((await mooring("quota", "show")).out).toBe(
      "registrations a minute  none\nservice calls a minute  none\n",
    );
    expect((await mooring("quota", "set", "--registrations", "1000", "--json")).json()).toEqual({
      registrationsPerMinute: 1000,
      serviceCallsPerMinute: null,
    });
    expect((await mooring("quota", "set", "--service-calls", "500", "--json")).json()).toEqual({
      registrationsPerMinute: 1000,
      serviceCallsPerMinute: 500,
    });
    await mooring("quota", "set", "--registrations", "none", "--service-calls", "none");
    expect((await mooring("quota", "show", "--json")).json()).toEqual({
      registrationsPerMinute: null,
      serviceCallsPerMinute: null,
    });
  });

  it.each([
    ["nothing to change", []],
    ["a number that is none", ["--registrations", "many"]],
  ])("is refused with 64 for %s", async (_, options) => {
    expect((await mooring("quota", "set", ...options)).code).toBe(64);
  });

  it("tells who has to wait, and for how long", async () => {
    await mooring("quota", "set", "--service-calls", "1");
    const show = () =>
      commandLine(
        ...["enrollment", "show", "gw-1", "--json"],
        ...["--service-file", service.connectionStringFile, "--ca-file", service.caFile],
      );
    await show();
    expect((await show()).json()).toMatchObject({
      error: { code: "ERR_THROTTLED", retryAfterMs: expect.any(Number) },
    });
    // The way out is never shut.
    expect((await mooring("quota", "set", "--service-calls", "none")).code).toBe(0);
  });
});

describe("mooring service token", () => {
  const ask = async (token: string, path: string): Promise<number> => {
    const question = request({
      host: "localhost",
      port: service.httpsPort,
      path: `${path}?api-version=2021-10-01`,
      ca: readFileSync(service.caFile),
      headers: { authorization: token },
    });
    question.end();
    const [answer] = await once(question, "response");
    answer.resume();
    return answer.statusCode;
  };

  it("opens the service API, for as long as it says", async () => {
    const { token, expiresAtUtc } = (await mooring("token", "--minutes", "5", "--json")).json() as {
      token: string;
      expiresAtUtc: string;
    };
    expect(await ask(token, "/enrollments/x")).toBe(404);
    expect(Number(/&se=(\d+)&/.exec(token)?.[1]) * 1000).toBe(Date.parse(expiresAtUtc));
    expect((await mooring("token", "--header")).out).toMatch(
      /^Authorization: SharedAccessSignature sr=\S+\n$/,
    );
  });

  it("may be good for a part of it only", async () => {
    const { out } = await commandLine("service", "token", "--data", directory, "--path", "/enrollments/one/");
    expect(await ask(out.trim(), "/enrollments/one")).toBe(404);
    expect(await ask(out.trim(), "/enrollments/other")).toBe(401);
  });
});

it.each(["--service-file", "--ca-file"])("--data stands for %s and not beside it", async (option) => {
  expect((await commandLine("service", "hub", "list", "--data", directory)).code).toBe(0);
  const both = ["service", "hub", "list", "--data", directory, option, service.caFile];
  expect(await commandLine(...both)).toMatchObject({ code: 64, err: expect.stringContaining(option) });
});
