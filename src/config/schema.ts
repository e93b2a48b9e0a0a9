// What a configuration may say: TOML tables in snake_case come in, the Config that the rest of Mooring reads goes
// out. Pure: no files, no clock. Every default lives here; rules that span several keys live in rules.ts.

import { array, exactOptional, optional, pipe, transform } from "valibot";
import { type RootKeyHandles, usualHubKeyHandle, usualRootKeyHandles } from "../tpm/handles.ts";
import {
  account,
  command,
  duration,
  durationOrOff,
  durationOrZero,
  endpoint,
  idScope,
  mode,
  oneOf,
  path,
  payload,
  periodOrOff,
  persistentHandle,
  port,
  proxy,
  registrationId,
  socketPath,
  table,
  tcti,
} from "./values.ts";

/** Paths are absolute after loading; durations are milliseconds. */
export interface Config {
  readonly provisioning: {
    /** Host of the device API, without scheme or port. */
    readonly endpoint: string;
    readonly idScope: string;
    readonly transport: "auto" | "mqtt" | "mqtt-ws" | "https";
    readonly ports: { readonly https: number; readonly mqtt: number; readonly mqttWs: number };
    /** PEM trust anchors, beside the system's. */
    readonly caFile?: string;
    /** `http://[user:password@]host:port`, or `https://…`. */
    readonly proxy?: string;
    /** A file with one line, `user:password`. */
    readonly proxyCredentialsFile?: string;
    /** Custom payload of the registration: a TOML table. */
    readonly payload?: Readonly<Record<string, unknown>>;
    /** Custom payload of the registration: a JSON file. */
    readonly payloadFile?: string;
    readonly deadlineMs: number;
  };
  readonly identity: {
    readonly source: "auto" | "tpm" | "x509" | "symmetric-key";
    readonly registrationId?: string;
    readonly tpm: {
      readonly tcti: string;
      readonly hubKeyHandle: number;
      readonly rootKeyHandles: RootKeyHandles;
      /** `unique` of the EK and SRK templates when they have to be created. */
      readonly template: "zeros" | "empty";
      readonly ownerAuthFile?: string;
      readonly endorsementAuthFile?: string;
      /** For one command; making a key may take six times as long. */
      readonly timeoutMs: number;
    };
    readonly x509?: {
      readonly certificate?: string;
      readonly privateKey?: string;
      readonly pkcs12?: string;
      readonly passwordFile?: string;
    };
    readonly symmetricKey?: { readonly keyFile?: string; readonly groupKeyFile?: string };
  };
  readonly state: { readonly directory: string };
  readonly outputs: readonly Output[];
  /** When and how a gateway that has an assignment asks for another. */
  readonly reprovision: {
    /** Absent: never of its own accord. */
    readonly everyMs?: number;
    /** What happens when configuration or identity are no longer those of the assignment. */
    readonly onChange: "auto" | "ask";
    /** What happens to the assignment when the service says that the device is disabled or removed. */
    readonly onDisenrolled: "keep" | "withdraw";
    /** A fleet that is told the same thing at the same time asks within this window, not at once. */
    readonly splayMs: number;
    readonly firstBootSplayMs: number;
  };
  readonly daemon: {
    /** Absent: it stays. */
    readonly idleExitMs?: number;
    /** How long to wait for a clock that cannot be right. */
    readonly clockWaitMs: number;
    readonly controlSocket: string;
    readonly controlGroup?: string;
  };
}

export interface Output {
  readonly path: string;
  readonly format: "env" | "json" | "toml" | "template";
  /** The template's file, with `format = "template"`. */
  readonly template?: string;
  /** Permission bits, such as 0o640. */
  readonly mode: number;
  readonly owner?: string;
  readonly group?: string;
  /** Program and arguments, run without a shell after the file changed. */
  readonly onChange?: readonly string[];
}

const portTable = table({
  https: optional(port, 443),
  mqtt: optional(port, 8883),
  mqtt_ws: optional(port, 443),
});

const provisioningTable = pipe(
  table({
    endpoint: optional(endpoint, "global.azure-devices-provisioning.net"),
    id_scope: idScope,
    transport: optional(oneOf(["auto", "mqtt", "mqtt-ws", "https"]), "auto"),
    ports: optional(portTable, {}),
    ca_file: exactOptional(path),
    proxy: exactOptional(proxy),
    proxy_credentials_file: exactOptional(path),
    payload: exactOptional(payload),
    payload_file: exactOptional(path),
    deadline: optional(duration, "2min"),
  }),
  transform(({ deadline, ...rest }) => ({ ...rest, deadlineMs: deadline })),
);

const tpmTable = pipe(
  table({
    tcti: optional(tcti, "device:/dev/tpmrm0"),
    hub_key_handle: optional(persistentHandle, usualHubKeyHandle),
    endorsement_key_handle: optional(persistentHandle, usualRootKeyHandles.endorsement),
    storage_root_key_handle: optional(persistentHandle, usualRootKeyHandles.storage),
    template: optional(oneOf(["zeros", "empty"]), "zeros"),
    owner_auth_file: exactOptional(path),
    endorsement_auth_file: exactOptional(path),
    timeout: optional(duration, "30s"),
  }),
  transform(({ timeout, endorsementKeyHandle, storageRootKeyHandle, ...rest }) => ({
    ...rest,
    rootKeyHandles: { endorsement: endorsementKeyHandle, storage: storageRootKeyHandle },
    timeoutMs: timeout,
  })),
);

const identityTable = table({
  source: optional(oneOf(["auto", "tpm", "x509", "symmetric-key"]), "auto"),
  registration_id: exactOptional(registrationId),
  tpm: optional(tpmTable, {}),
  x509: exactOptional(
    table({
      certificate: exactOptional(path),
      private_key: exactOptional(path),
      pkcs12: exactOptional(path),
      password_file: exactOptional(path),
    }),
  ),
  symmetric_key: exactOptional(table({ key_file: exactOptional(path), group_key_file: exactOptional(path) })),
});

const outputTable = table({
  path,
  format: optional(oneOf(["env", "json", "toml", "template"]), "env"),
  template: exactOptional(path),
  mode: optional(mode, 0o640),
  owner: exactOptional(account),
  group: exactOptional(account),
  on_change: exactOptional(command),
});

const reprovisionTable = pipe(
  table({
    every: optional(periodOrOff, "off"),
    on_change: optional(oneOf(["auto", "ask"]), "auto"),
    on_disenrolled: optional(oneOf(["keep", "withdraw"]), "keep"),
    splay: optional(durationOrZero, "15min"),
    first_boot_splay: optional(durationOrZero, "0s"),
  }),
  transform(({ every, splay, firstBootSplay, ...rest }) => ({
    ...rest,
    ...(every !== undefined && { everyMs: every }),
    splayMs: splay,
    firstBootSplayMs: firstBootSplay,
  })),
);

const daemonTable = pipe(
  table({
    idle_exit: optional(durationOrOff, "off"),
    clock_wait: optional(durationOrZero, "5min"),
    control_socket: optional(socketPath, "/run/mooring/control.sock"),
    control_group: exactOptional(account),
  }),
  transform(({ idleExit, clockWait, ...rest }) => ({
    ...rest,
    ...(idleExit !== undefined && { idleExitMs: idleExit }),
    clockWaitMs: clockWait,
  })),
);

/** The whole of config.toml. Unknown keys are left to problems.ts, which knows what was meant. */
export const configTable = pipe(
  table({
    provisioning: provisioningTable,
    identity: optional(identityTable, {}),
    state: optional(table({ directory: optional(path, "/var/lib/mooring") }), {}),
    outputs: exactOptional(array(outputTable, "must be a list of tables: [[outputs]]")),
    reprovision: optional(reprovisionTable, {}),
    daemon: optional(daemonTable, {}),
  }),
  transform(
    (config): Config => ({
      ...config,
      outputs: config.outputs ?? [{ path: `${config.state.directory}/hub.env`, format: "env", mode: 0o640 }],
    }),
  ),
);
