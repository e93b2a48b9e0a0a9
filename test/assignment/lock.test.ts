import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { holdsLock, lockState } from "../../src/assignment/lock.ts";
import { ended, finished, nodeCommand, source, started } from "../support/children.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { thrownBy } from "../support/thrown.ts";

const holder = (directory: string): string => `
  import { lockState } from ${source("assignment/lock.ts")};
  globalThis.lock = lockState(${JSON.stringify(directory)});
  console.log("held");
  setInterval(() => {}, 1000);`;

/** What another process gets when it asks for the lock. */
async function askedFromOutside(directory: string): Promise<string> {
  const program = `
    import { lockState } from ${source("assignment/lock.ts")};
    try { lockState(${JSON.stringify(directory)}); console.log("free"); } catch (error) { console.log(error.code); }`;
  return (await finished(nodeCommand(program))).stdout.trim();
}

describe("lockState", () => {
  it("lets one caller in at a time, and the next when it is done", async () => {
    const directory = temporaryDirectory();
    {
      using _lock = lockState(directory);
      expect(holdsLock(directory)).toBe(true);
      expect((await thrownBy(() => lockState(directory))).code).toBe("ERR_LOCKED");
    }
    expect(holdsLock(directory)).toBe(false);
    lockState(directory)[Symbol.dispose]();
    expect(statSync(join(directory, "lock")).mode & 0o777).toBe(0o600);
  });

  it("still holds against other processes after a refused second attempt of its own", async () => {
    const directory = temporaryDirectory();
    {
      using _lock = lockState(directory);
      await thrownBy(() => lockState(directory));
      expect(await askedFromOutside(directory)).toBe("ERR_LOCKED");
    }
    expect(await askedFromOutside(directory)).toBe("free");
  });

  it("names the process that holds it", async () => {
    const directory = temporaryDirectory();
    const child = await started(holder(directory));
    const error = await thrownBy(() => lockState(directory));
    expect(error.code).toBe("ERR_LOCKED");
    expect(error.message).toContain(`process ${child.pid}`);
  });

  it("is free again as soon as its holder is killed", async () => {
    const directory = temporaryDirectory();
    const child = await started(holder(directory));
    child.kill("SIGKILL");
    await ended(child);
    lockState(directory)[Symbol.dispose]();
  });

  it("says which file is wrong when it cannot lock", async () => {
    const directory = temporaryDirectory();
    const missing = await thrownBy(() => lockState(join(directory, "missing")));
    expect(missing).toMatchObject({
      code: "ERR_STATE_DIRECTORY",
      message: expect.stringContaining("missing/lock"),
    });
    writeFileSync(
      join(directory, "lock"),
      "this is no lock of ours, and longer than a header of SQLite's".repeat(20),
    );
    expect((await thrownBy(() => lockState(directory))).code).toBe("ERR_STATE_DIRECTORY");
  });
});
