import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { MooringError } from "../../src/errors.ts";
import { wrappedKeyName } from "../../src/tpm/public-area.ts";
import { type Swtpm, startSwtpm } from "../support/swtpm.ts";
import { thrownBy } from "../support/thrown.ts";
import { authenticationKeyFor, hmacSha256, leftInTpm, withTpm, wrappedIn } from "../support/tpm.ts";
import { commandCode, startTpmProxy, type TpmProxy, type Trouble } from "../support/tpm-proxy.ts";

const [key, data] = [randomBytes(32), Buffer.from("data")];
const stopped = new MooringError("ERR_CANCELLED", "stopped by SIGTERM");

let swtpm: Swtpm;
let proxy: TpmProxy;
let wrapped: Buffer;
beforeEach(async () => {
  swtpm = await startSwtpm();
  wrapped = await withTpm({ tcti: swtpm.tcti }, (tpm) => wrappedIn(tpm, key));
  proxy = await startTpmProxy(swtpm);
});
afterEach(async () => {
  await proxy[Symbol.asyncDispose]();
  await swtpm.stop();
});

/** How often the program sent a command. */
const sent = (code: number): number =>
  proxy.commands.filter((command) => command.readUInt32BE(6) === code).length;

/** Milliseconds that `act` takes. */
async function timed(act: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await act();
  return performance.now() - startedAt;
}

describe("a TPM that does not answer", () => {
  it("is given up after the limit, with the command named, and is not asked again", async () => {
    const elapsed = await timed(() =>
      withTpm({ tcti: proxy.tcti, timeoutMs: 400 }, async (tpm) => {
        await tpm.describe();
        proxy.inject({ command: commandCode.load, trouble: "silence" });
        const error = await thrownBy(() => tpm.sign(wrapped, data));
        expect(error.code).toBe("ERR_TPM_TIMEOUT");
        expect(error.message).toContain("did not answer command 0x157 within 0.4 s");
        const sent = proxy.commands.length;
        expect((await thrownBy(() => tpm.describe())).code).toBe("ERR_TPM_TIMEOUT");
        expect(proxy.commands.length).toBe(sent);
      }),
    );
    expect(elapsed).toBeLessThan(15_000);
  });

  it("is given up when it stops in the middle of an answer", async () => {
    await withTpm({ tcti: proxy.tcti, timeoutMs: 400 }, async (tpm) => {
      proxy.inject({ command: commandCode.load, trouble: { cutTo: 7, andThen: "silence" } });
      expect((await thrownBy(() => tpm.sign(wrapped, data))).code).toBe("ERR_TPM_TIMEOUT");
    });
  });

  it("is given up for that reason also when it was only told to clean up", async () => {
    await withTpm({ tcti: proxy.tcti, timeoutMs: 400 }, async (tpm) => {
      const blob = await authenticationKeyFor(tpm, key);
      proxy.inject({ command: commandCode.flushContext, to: 1, trouble: "silence" });
      const error = await thrownBy(() => tpm.activate(blob)); // the policy session ends before the import
      expect(error.code).toBe("ERR_TPM_TIMEOUT");
      expect(error.message).toContain("did not answer command 0x165 within 0.4 s");
      expect((await thrownBy(() => tpm.describe())).code).toBe("ERR_TPM_TIMEOUT");
    });
  });

  it("does not keep others from closing it", async () => {
    const elapsed = await timed(() =>
      withTpm({ tcti: proxy.tcti }, async (tpm) => {
        await tpm.sign(wrapped, data);
        proxy.inject({ trouble: "silence" }); // closing ends the session, which takes a command
      }),
    );
    expect(elapsed).toBeLessThan(15_000); // its timeout is 30 s
  });
});

describe("a TPM that is slow", () => {
  it("is waited for within the limit", async () => {
    await withTpm({ tcti: proxy.tcti, timeoutMs: 1_500 }, async (tpm) => {
      proxy.inject({ command: commandCode.load, trouble: { delayMs: 700 } });
      expect(await tpm.sign(wrapped, data)).toEqual(hmacSha256(key, data));
    });
  });

  it("has six times as long to make a key", async () => {
    await swtpm.tool("tpm2_evictcontrol", "-C", "o", "-c", "0x81010001");
    await withTpm({ tcti: proxy.tcti, timeoutMs: 500 }, async (tpm) => {
      proxy.inject({ command: commandCode.createPrimary, trouble: { delayMs: 1_000 } });
      expect((await tpm.endorsementKey()).length).toBe(316);
    });
  });
});

describe("a signal", () => {
  it("that has aborted already keeps the TPM from being asked, or even opened", async () => {
    const signal = AbortSignal.abort(stopped);
    expect(await thrownBy(() => withTpm({ tcti: proxy.tcti, signal }, (tpm) => tpm.describe()))).toBe(
      stopped,
    );
    await withTpm({ tcti: proxy.tcti }, async (tpm) => {
      const sent = proxy.commands.length;
      expect(await thrownBy(() => tpm.sign(wrapped, data, { signal }))).toBe(stopped);
      expect(proxy.commands.length).toBe(sent);
      expect(await tpm.sign(wrapped, data)).toEqual(hmacSha256(key, data)); // it was that call's alone
    });
  });

  it.each(["of the connection", "of the call"])(
    "%s ends the wait for a TPM that is silent",
    async (whose) => {
      const stop = new AbortController();
      const { signal } = stop;
      const options = whose === "of the connection" ? { signal } : {};
      const elapsed = await timed(() =>
        withTpm({ tcti: proxy.tcti, ...options }, async (tpm) => {
          proxy.inject({ command: commandCode.load, trouble: "silence" }).then(() => stop.abort(stopped));
          expect(await thrownBy(() => tpm.sign(wrapped, data, { signal }))).toBe(stopped);
        }),
      );
      expect(elapsed).toBeLessThan(2_000);
    },
  );

  it("ends the wait for a TPM that is busy", async () => {
    const stop = new AbortController();
    const elapsed = await timed(() =>
      withTpm({ tcti: proxy.tcti, signal: stop.signal }, async (tpm) => {
        proxy
          .inject({ command: commandCode.load, from: 3, trouble: { answer: 0x922 } })
          .then(() => stop.abort(stopped));
        proxy.inject({ command: commandCode.load, to: 2, trouble: { answer: 0x922 } });
        expect(await thrownBy(() => tpm.sign(wrapped, data))).toBe(stopped);
      }),
    );
    expect(elapsed).toBeLessThan(2_000);
    expect(await leftInTpm(swtpm)).toBe("");
  });

  it.each([
    ["load", commandCode.load],
    ["HMAC", commandCode.hmac],
    ["session", commandCode.startAuthSession],
  ])("lets the TPM finish its %s command, and leaves nothing behind in it", async (_name, command) => {
    const stop = new AbortController();
    await withTpm({ tcti: proxy.tcti, signal: stop.signal }, async (tpm) => {
      proxy.inject({ command, trouble: { delayMs: 300 } }).then(() => stop.abort(stopped));
      // The last command's result is there: then it is given.
      const outcome = await tpm.sign(wrapped, data).catch((error: unknown) => error);
      if (command === commandCode.hmac) expect(outcome).toEqual(hmacSha256(key, data));
      else expect(outcome).toBe(stopped);
    });
    expect(await leftInTpm(swtpm)).toBe("");
  });
});

describe("a signal while our key replaces another", () => {
  const handle = 0x8100_0100;
  let next: Buffer;
  let stop: AbortController;
  beforeEach(async () => {
    stop = new AbortController();
    next = await withTpm({ tcti: swtpm.tcti }, async (tpm) => {
      await tpm.persist(wrapped, handle, { ours: [] });
      return wrappedIn(tpm, key);
    });
  });

  const replace = (): Promise<void> =>
    withTpm({ tcti: proxy.tcti, signal: stop.signal }, (tpm) =>
      tpm.persist(next, handle, { ours: [wrapped] }),
    );

  it("comes between evicting and persisting: the TPM is not left without a key", async () => {
    proxy.inject({ command: commandCode.evictControl, to: 1, trouble: { delayMs: 50 } }).then(() => {
      stop.abort(stopped);
    });
    await replace();
    const occupant = await withTpm({ tcti: swtpm.tcti }, (tpm) => tpm.occupant(handle));
    expect(occupant?.name).toEqual(wrappedKeyName(next));
    expect(sent(commandCode.evictControl)).toBe(2);
  });

  it("is obeyed within two seconds when the TPM does not answer", async () => {
    let toldAt = Number.POSITIVE_INFINITY;
    proxy.inject({ command: commandCode.evictControl, trouble: "silence" }).then(() => {
      toldAt = performance.now();
      stop.abort(stopped);
    });
    expect(await thrownBy(replace)).toBe(stopped);
    const elapsed = performance.now() - toldAt;
    expect(elapsed).toBeLessThan(2_000);
    expect(elapsed).toBeGreaterThan(0);
  });
});

describe("answers that are no answers", () => {
  const hangUp = "hang up" as const;
  it.each<[string, Trouble]>([
    ["nothing at all", "hang up"],
    ["less than a header", { cutTo: 9, andThen: hangUp }],
    ["a header alone", { cutTo: 10, andThen: hangUp }],
    ["part of a body", { cutTo: 15, andThen: hangUp }],
    ["zeros", { garble: (response) => Buffer.alloc(response.length) }],
    ["ones", { garble: (response) => Buffer.alloc(response.length, 0xff) }],
    ["a size of 1", { garble: (response) => sized(response, 1) }],
    ["a size beyond every limit", { garble: (response) => sized(response, 0x7fffffff) }],
  ])("such as %s end in an error of the TPM, and the next connection works", async (_what, trouble) => {
    await withTpm({ tcti: proxy.tcti, timeoutMs: 500 }, async (tpm) => {
      proxy.inject({ command: commandCode.load, trouble });
      const error = await thrownBy(() => tpm.sign(wrapped, data));
      expect(error.code).toMatch(/^ERR_TPM_(?:UNAVAILABLE|COMMAND|TIMEOUT)$/);
    });
    proxy.heal();
    expect(await withTpm({ tcti: proxy.tcti }, (tpm) => tpm.sign(wrapped, data))).toEqual(
      hmacSha256(key, data),
    );
  });

  it("such as noise in any place never give a wrong signature, and never end the process", async () => {
    const codes = new Set<string>();
    for (let round = 0; round < 30; round++) {
      const noise = (response: Buffer): Buffer => {
        const copy = Buffer.from(response);
        copy[(round * 7) % copy.length] = (copy[(round * 7) % copy.length] ?? 0) ^ (1 << (round % 8));
        return copy;
      };
      proxy.inject({ from: 2 + (round % 6), to: 2 + (round % 6), trouble: { garble: noise } });
      await withTpm({ tcti: proxy.tcti, timeoutMs: 300 }, (tpm) => tpm.sign(wrapped, data)).then(
        (signature) => expect(signature).toEqual(hmacSha256(key, data)),
        (error: unknown) => codes.add((error as MooringError).code),
      );
      proxy.heal();
    }
    for (const code of codes) expect(code).toMatch(/^ERR_TPM_/);
    expect(codes.size).toBeGreaterThan(1);
  });
});

describe("a TPM in lockout", () => {
  beforeEach(async () => {
    // Two tries, and a wrong value for a key that dictionary-attack protection guards.
    await swtpm.tool("tpm2_dictionarylockout", "-s", "-n", "2", "-t", "600", "-l", "900");
    await swtpm.tool("tpm2_createprimary", "-C", "o", "-G", "ecc", "-p", "right", "-c", "guarded.ctx");
    const attempt = ["-c", "guarded.ctx", "-p", "wrong", "-o", "signature", "-g", "sha256", "message"];
    await swtpm.tool("tpm2_getrandom", "-o", "message", "32");
    for (let tries = 0; tries < 3; tries++) await swtpm.tool("tpm2_sign", ...attempt).catch(() => "");
    await swtpm.tool("tpm2_flushcontext", "-t");
  });

  it("is described as such, and still serves keys that lockout does not guard", async () => {
    await withTpm({ tcti: swtpm.tcti }, async (tpm) => {
      expect(await tpm.describe()).toMatchObject({ inLockout: true, lockoutCounter: 2, lockoutLimit: 2 });
      expect(await tpm.sign(wrapped, data)).toEqual(hmacSha256(key, data));
    });
  });

  it("says how it came about and when it ends, when it refuses", async () => {
    const error = await withTpm({ tcti: proxy.tcti }, (tpm) => {
      proxy.inject({ command: commandCode.load, trouble: { answer: 0x921 } });
      return thrownBy(() => tpm.sign(wrapped, data));
    });
    expect(error.code).toBe("ERR_TPM_LOCKOUT");
    expect(error.message).toContain(
      "2 authorization failures of at most 2, and one is forgotten every 600 s",
    );
    expect(error.hint).toContain("tpm2_dictionarylockout --clear-lockout");
  });
});

function sized(response: Buffer, size: number): Buffer {
  const copy = Buffer.from(response);
  copy.writeUInt32BE(size, 2);
  return copy;
}
