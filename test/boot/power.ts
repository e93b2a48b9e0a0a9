// One time that the gateway is switched on: QEMU with its parts, until the power goes. The guest is spoken to over a
// virtual serial line.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Swtpm } from "../support/swtpm.ts";
import { architecture } from "./architecture.ts";
import { type Packet, packetsIn } from "./capture.ts";
import type { ForgetfulDisk, Loss } from "./forgetful-disk.ts";
import { serveDisk } from "./nbd.ts";
import { type Answer, takeOrders } from "./orders.ts";

export interface Boot {
  /** Ports that the guest finds at dps.mooring.test → ports of this machine. Absent: the cable leads nowhere. */
  readonly network?: Readonly<Record<number, number>>;
  readonly hasTpm?: boolean;
  /** The root file system cannot be written, and /var is in memory. */
  readonly isReadOnly?: boolean;
  /** What the battery-backed clock says: RFC 3339 without zone, in UTC. */
  readonly clock?: string;
}

export interface Guest {
  /** Runs a shell script as root; what it printed. Throws when it fails. */
  sh(script: string): Promise<string>;
  /** Until the shell command succeeds: looks again every half second, and throws after `seconds`. */
  until(command: string, seconds?: number): Promise<void>;
  /** Shuts down as a person would. */
  powerOff(): Promise<void>;
  /** Takes the power away; what that leaves of the disk's cache is up to chance. */
  cut(): Promise<Loss>;
  /** IP packets that it has sent since it was switched on. */
  sent(): Packet[];
}

export interface Parts extends Boot {
  readonly disk: ForgetfulDisk;
  readonly kernel: string;
  readonly initrd: string;
  /** More disks, raw. */
  readonly otherDisks: readonly string[];
  readonly tpm: Swtpm;
}

/** `home`: an empty directory for sockets and records of this boot. */
export async function switchOn(home: string, parts: Parts): Promise<Guest> {
  const tpm = (parts.hasTpm ?? true) ? await parts.tpm.restartForMachine() : undefined;
  const [consoleFile, capture] = [join(home, "console.log"), join(home, "network.pcap")];
  const orders = await takeOrders(join(home, "orders.sock"));
  const plug = join(home, "disk.sock");
  const served = await serveDisk(parts.disk, plug);
  const output = openSync(consoleFile, "a");
  const options = [...hardware(parts, plug, orders.socket, capture), ...tpmDevice(tpm)];
  const qemu = spawn(`qemu-system-${architecture.processor}`, options, {
    stdio: ["ignore", output, output],
  });
  closeSync(output);
  const off = once(qemu, "exit").then(async () => {
    orders.close();
    if (tpm !== undefined) await parts.tpm.kill();
    await served[Symbol.asyncDispose]();
    return parts.disk.lose();
  });
  const cut = (): Promise<Loss> => {
    qemu.kill("SIGKILL");
    return off;
  };
  const ask = async (script: string): Promise<Answer> => {
    const answer = await Promise.race([orders.ask(script), off.then(() => undefined)]);
    if (answer) return answer;
    throw new Error(`the guest went off:\n${script}\n${readFileSync(consoleFile, "utf8").slice(-3000)}`);
  };
  const sh = async (script: string): Promise<string> => {
    const { code, text } = await ask(script);
    if (code !== 0) throw new Error(`the guest's shell ended with ${code}:\n${script}\n${text}`);
    return text.trim();
  };

  const patience = setTimeout(() => qemu.kill("SIGKILL"), bootLimitMs);
  await sh("true").finally(() => clearTimeout(patience));
  return {
    sh,
    until: async (command, seconds = 180) => {
      const look = `until { ${command}; } >/dev/null 2>&1; do sleep 0.5; done`;
      const { code } = await ask(`timeout ${seconds} sh -c ${quoted(look)}`);
      if (code === 0) return;
      const account = await ask("systemctl --failed; journalctl --no-pager -b -u 'mooring*' | tail -40");
      throw new Error(`not within ${seconds} s: ${command}\n${account.text}`);
    },
    powerOff: async () => {
      // It may be off before it has answered.
      void orders.ask("systemctl --no-block poweroff");
      await off;
    },
    cut,
    sent: () => packetsIn(readFileSync(capture)),
  };
}

/** An emulated processor on a busy machine takes its time. */
const bootLimitMs = 400_000;

function hardware(parts: Parts, plug: string, orders: string, capture: string): string[] {
  const { kernel, initrd, otherDisks, network = {}, clock = "utc" } = parts;
  const root = parts.isReadOnly ? "ro systemd.volatile=state" : "rw";
  const forward = `${process.execPath} --no-warnings ${resolve("test/boot/forward.ts")}`;
  const cables = Object.entries(network).map(
    ([inside, outside]) => `,guestfwd=tcp:10.0.2.100:${inside}-cmd:${forward} ${outside}`,
  );
  return [
    ...architecture.board,
    ...["-accel", "tcg,thread=multi", "-m", "1024", "-smp", "2", "-nographic", "-no-reboot"],
    ...["-kernel", kernel, "-initrd", initrd],
    ...["-append", `root=/dev/vda ${root} console=${architecture.console} panic=-1 net.ifnames=0 quiet`],
    ...["-rtc", `base=${clock}`],
    ...["-drive", `driver=nbd,server.type=unix,server.path=${plug},if=virtio`],
    ...otherDisks.flatMap((file) => ["-drive", `file=${file},format=raw,if=virtio`]),
    ...["-netdev", `user,id=n,restrict=on${cables.join("")}`, "-device", "virtio-net-pci,netdev=n,romfile="],
    ...["-object", `filter-dump,id=f,netdev=n,file=${capture}`],
    ...["-device", "virtio-serial", "-chardev", `socket,id=o,path=${orders}`],
    ...["-device", "virtserialport,chardev=o,name=orders"],
  ];
}

function tpmDevice(socket: string | undefined): string[] {
  if (socket === undefined) return [];
  const line = ["-chardev", `socket,id=t,path=${socket}`, "-tpmdev", "emulator,id=t,chardev=t"];
  return [...line, "-device", `${architecture.tpm},tpmdev=t`];
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
