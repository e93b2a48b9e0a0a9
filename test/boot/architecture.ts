// Which processor the gateway has: everything that is different between the two. MOORING_BOOT_ARCH chooses.

import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";

interface Architecture {
  readonly name: string;
  /** What QEMU and the kernel call it. */
  readonly processor: string;
  /** Debian's package of a kernel with drivers for this board, and for its TPM. */
  readonly kernel: string;
  /** The board, as QEMU's options. */
  readonly board: readonly string[];
  /** What its DMI table says, where it has one. */
  readonly dmiSerial?: string;
  readonly console: string;
  /** QEMU's device for the TPM that this board can have. */
  readonly tpm: string;
}

const architectures: readonly Architecture[] = [
  {
    name: "amd64",
    processor: "x86_64",
    kernel: "linux-image-amd64",
    board: ["-cpu", "max", "-smbios", "type=1,serial=PF3ABCDE"],
    dmiSerial: "PF3ABCDE",
    console: "ttyS0",
    tpm: "tpm-crb",
  },
  {
    name: "arm64",
    processor: "aarch64",
    // The usual one, linux-image-arm64, has no driver for a TPM that is not behind SPI or I2C (CONFIG_TCG_TIS).
    kernel: "linux-image-cloud-arm64",
    // Pointers signed with the architecture's own cipher would take the emulator much of its time.
    board: ["-M", "virt", "-cpu", "max,pauth-impdef=on"],
    console: "ttyAMA0",
    tpm: "tpm-tis-device",
  },
];

const names = architectures.map(({ name }) => name).join(", ");
const { MOORING_BOOT_ARCH: asked = "amd64" } = process.env;
const found = architectures.find(({ name }) => name === asked);
if (!found) throw new Error(`MOORING_BOOT_ARCH=${asked}: there are gateways of ${names}`);

export const architecture = found;

/** Debian's packages run programs of their own while they are installed; QEMU lets those of another processor run here. */
export function letProgramsRun(): void {
  const { processor } = architecture;
  const formats = "/proc/sys/fs/binfmt_misc";
  if (processor === hostProcessor || existsSync(`${formats}/qemu-${processor}`)) return;
  // Where systemd runs, installing QEMU did this; in a container nobody has.
  try {
    if (!existsSync(`${formats}/register`)) execFileSync("mount", ["-t", "binfmt_misc", "none", formats]);
    execFileSync("/lib/systemd/systemd-binfmt", [`qemu-${processor}.conf`]);
  } catch (cause) {
    throw new Error(`programs of ${architecture.name} do not run here: ${formats} cannot be set up`, {
      cause,
    });
  }
}

const hostProcessor = process.arch === "x64" ? "x86_64" : "aarch64";
