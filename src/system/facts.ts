// What this machine says about itself. The kernel's files answer at once, without a network and for any user; what
// only the DMI table of a PC-like machine knows, systeminformation reads, loaded only then.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";

/** A fact, or in words why there is none. */
export type Fact = { readonly value: string } | { readonly missing: string };

/** What firmware says when nobody filled it in, and systeminformation when it guesses: the same on every board. */
const unfilled =
  /^(?:-|0+|x+|0?123456789\d?|none|n\/?a|unknown|not (?:specified|applicable|available)|to be filled.*|default string|system (?:serial number|product name)|computer|virtual machine|docker container)?$/i;

/**
 * One fact by its name: `serial`, `product`, `machine-id`, `hostname`, `mac:INTERFACE`. `root` is where the machine's
 * /etc and /sys are.
 */
export async function machineFact(name: string, { root = "/" } = {}): Promise<Fact> {
  if (name.startsWith("mac:")) return macAddress(name.slice("mac:".length), root);
  switch (name) {
    case "serial":
      return boardFact("serial number", join(root, deviceTree, "serial-number"), "serial");
    case "product":
      return boardFact("product name", join(root, deviceTree, "model"), "model");
    case "machine-id":
      return machineId(join(root, "etc/machine-id"));
    case "hostname":
      return hostName();
    default:
      return { missing: "no machine has such a fact" };
  }
}

/**
 * What tells this machine from others of its kind, and stays: cloned images share their machine id, and interfaces
 * without a device behind them, as containers have, get another address at every start. The host name, which comes
 * and goes with a network, counts only where there is nothing else.
 */
export function machineKey({ root = "/" } = {}): string {
  const hardware = interfaces(root).filter((name) => existsSync(join(root, "sys/class/net", name, "device")));
  const parts = [machineId(join(root, "etc/machine-id")), ...hardware.map((name) => macAddress(name, root))];
  const known = parts.flatMap((part) => ("value" in part ? part.value : []));
  return known.length > 0 ? known.join(" ") : hostname();
}

/** All facts of this machine, by name. */
export async function machineFacts({ root = "/" } = {}): Promise<Record<string, Fact>> {
  const macs = interfaces(root).map((name) => `mac:${name}`);
  const facts: Record<string, Fact> = {};
  for (const name of ["serial", "product", "machine-id", "hostname", ...macs])
    facts[name] = await machineFact(name, { root });
  return facts;
}

const deviceTree = "sys/firmware/devicetree/base";

/** Embedded boards carry a device tree and others a DMI table; hardly any carries both. */
async function boardFact(what: string, path: string, key: "serial" | "model"): Promise<Fact> {
  const inDeviceTree = readText(path)?.split("\0", 1)[0]?.trim() ?? "";
  if (!unfilled.test(inDeviceTree)) return { value: inDeviceTree };
  const handedDown = key === "serial" ? (credential("product_serial") ?? "") : "";
  if (!unfilled.test(handedDown)) return { value: handedDown };
  const inDmi = (await dmi())[key].trim();
  if (!unfilled.test(inDmi)) return { value: inDmi };
  const isRoot = process.geteuid?.() === 0;
  const asRoot =
    key === "serial" && !isRoot
      ? "; DMI tells it to root only, who may hand it down (serial.conf.example)"
      : "";
  return { missing: `neither device tree nor DMI has a ${what}${asRoot}` };
}

/** Of the unit's; what root alone may read, systemd hands down. */
function credential(name: string): string | undefined {
  const directory = process.env["CREDENTIALS_DIRECTORY"];
  return directory === undefined ? undefined : readText(join(directory, name))?.trim();
}

let read: Promise<{ serial: string; model: string }> | undefined;

/** Read once: it starts several programs, and hardware does not change while we run. */
function dmi(): Promise<{ serial: string; model: string }> {
  read ??= import("systeminformation").then(({ system }) => system());
  return read;
}

function machineId(path: string): Fact {
  const id = readText(path)?.trim() ?? "";
  if (/^[0-9a-f]{32}$/.test(id)) return { value: id };
  return { missing: id === "" ? `${path} is empty or not there` : `${path} holds no machine id yet` };
}

/** Every machine is `localhost` until it is named. */
function hostName(): Fact {
  const name = hostname();
  const isNamed = name !== "" && name !== "(none)" && !/^localhost(?:\.|$)/.test(name);
  return isNamed ? { value: name } : { missing: `the host name is "${name}"` };
}

/** From the kernel: it knows interfaces that are down too, which a list of those with an address leaves out. */
function macAddress(name: string, root: string): Fact {
  const address = readText(join(root, "sys/class/net", name, "address"))?.trim() ?? "";
  if (/^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/.test(address) && address !== noAddress) return { value: address };
  const there = interfaces(root).join(", ") || "none";
  return { missing: `there is no interface ${name} with a MAC address; there are: ${there}` };
}

const noAddress = "00:00:00:00:00:00";

function interfaces(root: string): string[] {
  const directory = join(root, "sys/class/net");
  try {
    return readdirSync(directory)
      .filter((name) => {
        const address = readText(join(directory, name, "address"))?.trim();
        return address !== undefined && address !== "" && address !== noAddress;
      })
      .sort();
  } catch {
    return [];
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
