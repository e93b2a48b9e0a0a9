// What only happens on a terminal: script(1) gives the program one.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { groupOfKeys, register } from "../support/fleet-of-keys.ts";
import { createGateway } from "../support/gateway.ts";
import { type LocalService, startService } from "../support/local-service.ts";
import { environment, program, succeed } from "../support/mooring.ts";

let service: LocalService;

beforeAll(async () => {
  service = await startService("--hub", "hub.example");
});
afterAll(() => service[Symbol.asyncDispose]());

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

const columns = 60;

/** Runs the program on a terminal of 60 columns, and types `answer` as soon as `prompt` is to be seen. */
async function typed(
  answer: string,
  prompt: string,
  ...args: string[]
): Promise<{ code: number; screen: string }> {
  const command = [process.execPath, program, ...args].map(quoted).join(" ");
  const child = spawn("script", ["-qec", `stty cols ${columns} rows 40; exec ${command}`, "/dev/null"], {
    env: environment({
      ...{ MOORING_SERVICE: service.connectionString, MOORING_SERVICE_CA: service.caFile },
      ...{ TERM: "xterm", SHELL: "/bin/sh" },
    }),
    stdio: ["pipe", "pipe", "inherit"],
    timeout: 30_000,
    killSignal: "SIGKILL",
  });
  let screen = "";
  let asked = false;
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    screen += text;
    if (asked || !screen.includes(prompt)) return;
    asked = true;
    child.stdin.write(answer);
  });
  const [code] = await once(child, "close");
  return { code, screen };
}

const create = (id: string): Promise<unknown> =>
  succeed(service.operator("enrollment", "create", "--registration-id", id, "--symmetric-key", "--json"));

describe("deleting on a terminal", () => {
  it("says what will happen, and does it when the answer is yes", async () => {
    await create("gw-1");
    const { code, screen } = await typed("y\n", "[y/N]", "enrollment", "delete", "gw-1");
    expect(screen).toContain("No device has registered with it.");
    expect(screen).toContain("Delete enrollment gw-1? [y/N]");
    expect(screen).toContain("enrollment gw-1 deleted");
    expect(code).toBe(0);
  });

  it("names the hub that an assigned device stays connected to", async () => {
    const key = Buffer.alloc(32, 1).toString("base64");
    await service.enroll("/enrollments/gw-2", {
      registrationId: "gw-2",
      attestation: { type: "symmetricKey", symmetricKey: { primaryKey: key, secondaryKey: key } },
    });
    using gateway = createGateway();
    writeFileSync(gateway.file("key"), key, { mode: 0o600 });
    gateway.configure(service, {
      identity:
        '[identity]\nsource = "symmetric-key"\nregistration_id = "gw-2"\n[identity.symmetric_key]\nkey_file = "key"\n',
    });
    await succeed(gateway.run("provision"));
    const { screen } = await typed("n\n", "[y/N]", "enrollment", "delete", "gw-2");
    expect(screen).toContain(
      "assigned to hub.example as gw-2, and stays connected there until it registers again.",
    );
    expect(screen).toContain("Its registration record goes with the enrollment.");
  });

  it("says of a device that came through a group that this may let it in again", async () => {
    await service.enroll("/enrollmentGroups/presses", groupOfKeys("presses"));
    expect(await register(service, "presses", "press-1")).toBeLessThan(300);
    await create("press-1");
    const { screen } = await typed("y\n", "[y/N]", "enrollment", "delete", "press-1");
    expect(screen).toContain("It registered through the group presses, which may let it in again.");
    const { json } = await service.operator("registration", "show", "press-1", "--json");
    expect(json).toMatchObject({ enrollmentGroupId: "presses" });
  });

  it.each([
    ["no", "n\n"],
    ["nothing", "\n"],
    ["the end", "\u0004"],
    ["Ctrl-C", "\u0003"],
  ])("leaves everything as it was when the answer is %s", async (_, answer) => {
    const id = `gw-${answer.charCodeAt(0)}`;
    await create(id);
    const { code, screen } = await typed(answer, "[y/N]", "enrollment", "delete", id);
    expect(code).toBe(75);
    expect(screen).toContain("nothing was changed");
    expect((await service.operator("enrollment", "show", id, "--json")).code).toBe(0);
  });
});

describe("a list on a terminal", () => {
  it("fits it, and ends when Ctrl-C ends the watching", async () => {
    await create("gw-with-a-long-name-".repeat(6).slice(0, -1));
    const { code, screen } = await typed("\u0003", "Ctrl-C ends", "enrollment", "list", "--watch", "60");
    expect(code).toBe(0);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what a terminal swallows
    const lines = screen.replaceAll(/\u001b\[[0-9;]*[A-Za-z]/g, "").split(/\r?\n/);
    expect(lines.find((line) => line.startsWith("gw-with"))).toMatch(/…/);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(columns);
  });
});
