// The units as systemd's own tools judge them, without a machine that runs them: test/boot has that.

import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { lastingEnvironment } from "../../src/assignment/published.ts";
import { anAssignment } from "../support/assignments.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const unitFiles = readdirSync("systemd").filter((name) => /\.(service|socket|timer|path|target)$/.test(name));

/** Copies of the units, whose program is one that is there. `change` spoils them for a control. */
function units(change: (text: string, name: string) => string = (text) => text): string {
  const directory = temporaryDirectory();
  for (const name of unitFiles) {
    const text = readFileSync(join("systemd", name), "utf8").replaceAll(
      /\/usr\/(bin\/mooring|lib\/mooring\/[a-z-]+)/g,
      "/bin/true",
    );
    writeFileSync(join(directory, name), change(text, name));
  }
  return directory;
}

function analyze(directory: string, ...args: readonly string[]): { code: number | null; said: string } {
  const env = { ...process.env, SYSTEMD_UNIT_PATH: `${directory}:` };
  const { status, stdout, stderr } = spawnSync("systemd-analyze", args, { env, encoding: "utf8" });
  return { code: status, said: `${stdout}${stderr}` };
}

const verify = (directory: string): { code: number | null; said: string } =>
  analyze(directory, "verify", "--man=no", ...unitFiles.map((name) => join(directory, name)));

/** Fails above a tenth of `threshold`, on systemd's scale from 0 to 10. */
const judge = (directory: string, unit: string, threshold: number): number | null =>
  analyze(directory, "security", "--offline=true", `--threshold=${threshold}`, join(directory, unit)).code;

describe("the units", () => {
  it("are understood by systemd to the last word", () => {
    expect(verify(units())).toEqual({ code: 0, said: "" });
    const misspelt = units((text) => text.replace("ProtectHome=", "ProtectHomes="));
    expect(verify(misspelt).said).toContain("ProtectHomes"); // negative control
  });

  const services = unitFiles.filter((name) => name.endsWith(".service"));
  it.each(services)("leave %s little to break out of", (unit) => {
    expect(judge(units(), unit, 15)).toBe(0);
    const open = units((text) => text.replace(/^(CapabilityBoundingSet|SystemCallFilter)=.*$/gm, ""));
    expect(judge(open, unit, 15)).not.toBe(0); // negative control
  });

  it("watch no file that may not be there", () => {
    const lines = readFileSync("systemd/mooring.path", "utf8").match(/^PathChanged=.*$/gm) ?? [];
    expect(lines.length).toBeGreaterThan(1);
    // It would have systemd forget what happens to the others: test/e2e/package-scripts.test.ts shows it.
    for (const line of lines) expect(line).toMatch(/^PathChanged=\/etc\/mooring(\/[a-z.]+\.d|\/identity)?$/);
  });

  it("let all into a program's environment that an assignment says of a hub, and nothing else", () => {
    const script = readFileSync("systemd/follow-assignment.sh", "utf8");
    const names = new RegExp(`^(${/^variable='(.*)'$/m.exec(script)?.[1]})$`);
    const hubKey = { handle: 0x81000100, name: "000b" };
    const said = Object.keys(lastingEnvironment(anAssignment({ hubKey, payload: {} })));
    expect(said.length).toBeGreaterThan(8);
    for (const name of said) expect(name).toMatch(names);
    for (const name of ["LD_PRELOAD", "IOTHUB_DEVICE_CONNECTION_STRING", "DPS_TRANSPORT"])
      expect(name).not.toMatch(names); // negative control
  });

  it("run nothing of the agent as root", () => {
    const services = unitFiles.map((name) => readFileSync(join("systemd", name), "utf8"));
    const ours = services.filter((text) => /^ExecStart=.*\/usr\/bin\/mooring /m.test(text));
    expect(ours.length).toBeGreaterThan(1);
    for (const text of ours) expect(text).toMatch(/^User=mooring$/m);
  });
});

describe("the agent's user", () => {
  it("is made without a shell, may use the TPM, and has a directory in /run", () => {
    const root = temporaryDirectory();
    mkdirSync(join(root, "etc"));
    execFileSync("systemd-sysusers", [`--root=${root}`, resolve("systemd/sysusers.conf")], { stdio: "pipe" });
    expect(readFileSync(join(root, "etc/passwd"), "utf8")).toMatch(/^mooring:.*:\/usr\/sbin\/nologin$/m);
    expect(readFileSync(join(root, "etc/group"), "utf8")).toMatch(/^tss:x:\d+:mooring$/m);

    execFileSync("systemd-tmpfiles", [`--root=${root}`, "--create", resolve("systemd/tmpfiles.conf")]);
    expect(readdirSync(join(root, "run"))).toEqual(["mooring"]);
  });
});
