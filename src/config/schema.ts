// What a configuration may say: TOML tables in snake_case come in, the Config that the rest of Mooring reads goes
// out. Pure: no files, no clock. Every default lives here; rules that span several keys live in rules.ts.

import * as v from "valibot";

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
    /** `http://[user:password@]host:port`. */
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
      /** `unique` of the EK and SRK templates when they have to be created. */
      readonly template: "zeros" | "empty";
      readonly ownerAuthFile?: string;
      readonly endorsementAuthFile?: string;
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
