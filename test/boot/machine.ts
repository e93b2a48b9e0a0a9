// A gateway as a whole: a disk and a TPM that outlive its boots, and QEMU for as long as it is switched on. Its only
// cable leads to the local service, or nowhere.

import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inject } from "vitest";
import { type Swtpm, startSwtpm } from "../support/swtpm.ts";
import { writeDisk } from "./disks.ts";
import { openForgetfulDisk } from "./forgetful-disk.ts";
import { say } from "./image.ts";
import { type Boot, type Guest, switchOn } from "./power.ts";

export interface Machine extends AsyncDisposable {
  /** TPM2B_PUBLIC in base64, as tpm2-tools make it of the TPM that is built in. */
  readonly endorsementKey: string;
  /** Files for the next boot: path in the guest → content. */
  deliver(files: Readonly<Record<string, string | Buffer>>): void;
  /** Builds in an empty disk with a file system of that label. */
  addDisk(label: string): void;
  /** Switches it on, after the power went if it was on; resolves when the system takes orders. */
  boot(options?: Boot): Promise<Guest>;
  /** Builds in another TPM, factory-new. */
  replaceTpm(): Promise<void>;
}

export async function buildMachine(name: string): Promise<Machine> {
  const { disk, kernel, initrd } = inject("image");
  const directory = mkdtempSync(join(tmpdir(), `mooring-boot-${name}-`));
  const root = openForgetfulDisk(disk, join(directory, "disk.img"));
  let { tpm, endorsementKey } = await newTpm();
  const disks: string[] = [];
  let delivery: string[] = [];
  let boots = 0;
  let guest: Guest | undefined;

  return {
    get endorsementKey() {
      return endorsementKey;
    },
    deliver: (files) => {
      delivery = [join(directory, "delivery.img")];
      writeDisk(join(directory, "delivery.img"), "delivery", files);
    },
    addDisk: (label) => {
      disks.push(join(directory, `${label}.img`));
      writeDisk(join(directory, `${label}.img`), label);
    },
    boot: async (options = {}) => {
      await guest?.cut();
      const home = join(directory, `boot-${++boots}`);
      mkdirSync(home);
      say(`${name}: switched on${options.network ? "" : ", without a network"}`);
      const otherDisks = [...delivery, ...disks];
      guest = await switchOn(home, { disk: root, kernel, initrd, otherDisks, tpm, ...options });
      delivery = [];
      return guest;
    },
    replaceTpm: async () => {
      await tpm.stop();
      ({ tpm, endorsementKey } = await newTpm());
    },
    [Symbol.asyncDispose]: async () => {
      await guest?.cut();
      await tpm.stop();
      root[Symbol.dispose]();
      rmSync(directory, { recursive: true });
    },
  };
}

/** Its key is looked at on the way and not kept in it: the gateway finds the TPM as the factory made it. */
async function newTpm(): Promise<{ tpm: Swtpm; endorsementKey: string }> {
  const tpm = await startSwtpm();
  await tpm.tool("tpm2_createek", "-c", "ek.ctx", "-G", "rsa", "-u", "ek.pub");
  await tpm.kill();
  return { tpm, endorsementKey: readFileSync(join(tpm.directory, "ek.pub")).toString("base64") };
}
