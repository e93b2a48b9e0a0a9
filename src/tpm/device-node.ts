// Why a TPM could not be opened, when it is a device node: the library only says "I/O error"; the kernel knows.

import { constants, type Stats, statSync } from "node:fs";
import { open, stat } from "node:fs/promises";
import { MooringError, systemCode } from "../errors.ts";
import { groupName, userName } from "../system/accounts.ts";

/** Path of the device node that a TCTI names, if it names one; a bare `device` tries the resource manager first. */
export function deviceNode(tcti: string): string | undefined {
  if (tcti === "device") return "/dev/tpmrm0";
  return tcti.startsWith("device:") ? tcti.slice("device:".length) : undefined;
}

/** By stat(2): access(2), and so `existsSync`, fails with EPERM below a unit's DevicePolicy=, for a node that is there. */
export function nodeIsThere(path: string): boolean {
  try {
    statSync(path);
    return true;
  } catch (error) {
    return systemCode(error) !== "ENOENT";
  }
}

/** The error to throw instead of `general`, after asking the kernel for its reason. */
export async function openFailure(tcti: string, general: MooringError): Promise<MooringError> {
  const path = deviceNode(tcti);
  if (path === undefined) return general;
  const reason = await reasonNotToOpen(path);
  const details = {
    cause: general,
    path,
    ...(general.details.rc !== undefined && { rc: general.details.rc }),
  };
  switch (reason) {
    case "ENOENT":
    case "ENXIO":
    case "ENODEV":
      return new MooringError("ERR_TPM_UNAVAILABLE", `there is no TPM at ${path}`, {
        ...details,
        hint: "enable the TPM (fTPM, PTT) in the firmware's setup, and see `dmesg | grep -i tpm`; a unit with PrivateDevices=yes sees none; without a TPM, configure another [identity]",
      });
    case "EACCES":
      return permissionError(path, await stat(path), processUser(), details);
    case "EPERM":
      return policyError(path, processUser(), details);
    case "EBUSY":
      return new MooringError("ERR_TPM_BUSY", `another program holds ${path}, which serves one at a time`, {
        ...details,
        hint: 'use the kernel\'s resource manager: [identity.tpm] tcti = "device:/dev/tpmrm0"',
      });
    default:
      return general;
  }
}

async function reasonNotToOpen(path: string): Promise<string | undefined> {
  try {
    await (await open(path, constants.O_RDWR | constants.O_NONBLOCK)).close();
    return undefined;
  } catch (error) {
    return systemCode(error);
  }
}

const processUser = (): string => userName(process.geteuid?.() ?? 0);

/** The kernel's device controller forbids what owner and mode of the node permit. */
export const policyError = (
  path: string,
  user: string,
  details: { cause?: unknown; path?: string; rc?: number } = {},
): MooringError =>
  new MooringError("ERR_TPM_PERMISSION", `a device policy keeps ${user} from ${path}`, {
    ...details,
    hint: `for a service, set DeviceAllow=${path} rw in its unit; for a container, pass the device in`,
  });

/** Says who may open the node, and the one command that lets `user` do so. */
export function permissionError(
  path: string,
  node: Pick<Stats, "uid" | "gid" | "mode">,
  user: string,
  details: { cause?: unknown; path?: string; rc?: number } = {},
): MooringError {
  const owner = userName(node.uid);
  const group = groupName(node.gid);
  const mode = (node.mode & 0o777).toString(8).padStart(4, "0");
  const groupMayUse = (node.mode & 0o060) === 0o060 && node.gid !== 0;
  const hint = groupMayUse
    ? `run \`usermod -aG ${group} ${user}\` and log in again; for a service, set SupplementaryGroups=${group} in its unit`
    : `give the node to a group, such as with the udev rules of tpm-udev: \`apt install tpm-udev && udevadm trigger\`; or run as ${owner}`;
  return new MooringError(
    "ERR_TPM_PERMISSION",
    `${user} may not open ${path}, which is ${owner}:${group} with mode ${mode}`,
    { ...details, hint },
  );
}
