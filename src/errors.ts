// Every failure of Mooring is one MooringError. Its code is the stable name that scripts, logs and the
// README use; the table below is the only place that says how to retry it, what a process exits with,
// and what a person does next.

/** When asking again can help: `soon` (back-off), `later` (minutes), `after` (a condition named in the hint), `never`. */
export type RetryClass = "soon" | "later" | "after" | "never";

interface ErrorRow {
  readonly retry: RetryClass;
  /** sysexits(3). */
  readonly exitCode: 64 | 65 | 66 | 69 | 70 | 73 | 74 | 75 | 77 | 78;
  /** The next command or act for a human, one sentence. */
  readonly hint: string;
}

const row = (retry: RetryClass, exitCode: ErrorRow["exitCode"], hint: string): ErrorRow => ({
  retry,
  exitCode,
  hint,
});

export const errorTable = {
  ERR_USAGE: row("never", 64, "run `mooring --help`, or `mooring COMMAND --help`"),
  ERR_INPUT: row(
    "never",
    66,
    "check path and mode of the file that the command line or the environment names",
  ),
  ERR_CONFIG_NOT_FOUND: row(
    "never",
    78,
    "write one with `mooring config example > /etc/mooring/config.toml`, or name it with --config",
  ),
  ERR_CONFIG_INVALID: row("never", 78, "mend the file, then run `mooring config check`"),
  ERR_PERMISSION: row(
    "never",
    77,
    "run it as root, or as the user that the agent runs as; or let this one read the file named",
  ),

  ERR_IDENTITY_NOT_FOUND: row("never", 78, "configure [identity], then run `mooring identity show`"),
  ERR_IDENTITY_UNREADABLE: row(
    "later",
    77,
    "check owner and mode of the file named, then run `mooring identity show`",
  ),
  ERR_IDENTITY_INVALID: row("never", 78, "replace the file named, then run `mooring identity show`"),
  ERR_CERTIFICATE_EXPIRED: row(
    "never",
    78,
    "install a renewed certificate, then run `mooring reprovision`; or set the clock, if that is wrong (`timedatectl`)",
  ),
  ERR_CERTIFICATE_NOT_YET_VALID: row(
    "after",
    75,
    "check the clock with `timedatectl`; the certificate is not valid yet",
  ),
  ERR_KEY_MISMATCH: row(
    "never",
    78,
    "install the private key that belongs to the certificate, then run `mooring identity show`",
  ),
  ERR_KEY_PASSWORD: row("never", 78, "check the password file named in [identity.x509] password_file"),
  ERR_REGISTRATION_ID_INVALID: row(
    "never",
    78,
    "set [identity] registration_id to 1-128 of A-Z a-z 0-9 - . _ : ending in a letter, digit or -",
  ),
  ERR_FACT_MISSING: row(
    "later",
    69,
    "see what this machine has with `mooring identity facts`, and name it by that in the configuration",
  ),

  ERR_TPM_UNAVAILABLE: row(
    "later",
    69,
    "check that the TPM is there (`ls -l /dev/tpmrm0`) and [identity.tpm] tcti names it",
  ),
  ERR_TPM_PERMISSION: row("later", 77, "let this user open the TPM: `usermod -aG tss USER`"),
  ERR_TPM_LIBRARY: row(
    "never",
    69,
    "install libtss2-esys-3.0.2-0, libtss2-tctildr0 and libtss2-rc0, then `npm run build`",
  ),
  ERR_TPM_TIMEOUT: row(
    "later",
    75,
    "the TPM hangs: see `dmesg | grep -i tpm`, and switch the machine off and on; for a slow one raise [identity.tpm] timeout",
  ),
  ERR_TPM_CHANGED: row(
    "never",
    77,
    "if it is meant to be another TPM, or was cleared on purpose: compare `mooring identity show` with the enrollment, then run `mooring reprovision`",
  ),
  ERR_TPM_AUTHORIZATION: row(
    "never",
    77,
    "check owner_auth_file and endorsement_auth_file in [identity.tpm]; a wrong one is not retried",
  ),
  ERR_TPM_LOCKOUT: row(
    "later",
    75,
    "the TPM is in dictionary-attack lockout: wait, or run `tpm2_dictionarylockout --clear-lockout`",
  ),
  ERR_TPM_BUSY: row(
    "soon",
    75,
    "the TPM has no free slot or is busy: stop other TPM users, or use /dev/tpmrm0",
  ),
  ERR_TPM_HANDLE_OCCUPIED: row(
    "later",
    73,
    "name a free handle as [identity.tpm] hub_key_handle; only what is at that one, and nobody needs, may be removed: `tpm2_evictcontrol -C o -c HANDLE`",
  ),
  ERR_TPM_KEY_REJECTED: row(
    "later",
    65,
    "this TPM cannot use the key that the service sent: compare `mooring identity show` with the enrollment",
  ),
  ERR_TPM_COMMAND: row(
    "later",
    69,
    "see the response code; `tpm2_getcap properties-variable` shows the TPM's state",
  ),

  ERR_DNS: row("soon", 69, "check [provisioning] endpoint and the resolver: `getent hosts HOST`"),
  ERR_CONNECT: row(
    "soon",
    69,
    'check the network and that the port is open from here; `transport = "auto"` tries others',
  ),
  ERR_PROXY: row(
    "soon",
    69,
    "check [provisioning] proxy, or HTTPS_PROXY and NO_PROXY, and the proxy's credentials",
  ),
  ERR_PROXY_AUTHORIZATION: row(
    "later",
    77,
    "give the proxy's user:password in the file that [provisioning] proxy_credentials_file names, or in HTTPS_PROXY",
  ),
  ERR_TLS_SERVER: row(
    "later",
    69,
    "the server's certificate is not trusted: set [provisioning] ca_file, or look for a TLS-intercepting proxy",
  ),
  ERR_TLS_CLIENT: row(
    "later",
    77,
    "the server refused this device's certificate: run `mooring identity show`",
  ),
  ERR_CONNECTION_LOST: row("soon", 69, "the service closed the connection before it answered; try again"),
  ERR_DEADLINE: row(
    "soon",
    75,
    "the attempt took longer than [provisioning] deadline; try again, or raise it",
  ),
  ERR_CANCELLED: row("soon", 75, "it was stopped; nothing was changed"),

  ERR_CLOCK_IMPLAUSIBLE: row(
    "after",
    75,
    "set the clock or let it be synchronised: `timedatectl status`; no attempt is counted meanwhile",
  ),
  ERR_UNAUTHORIZED: row(
    "later",
    77,
    "compare `mooring identity show` with the enrollment: same registration id, same key or certificate; check the clock",
  ),
  ERR_NOT_ENROLLED: row("later", 77, "create the enrollment: `mooring identity show` prints what it needs"),
  ERR_DISABLED: row(
    "later",
    77,
    "the enrollment is disabled: enable it with `mooring enrollment update ID --status enabled`",
  ),
  ERR_REQUEST_REFUSED: row(
    "later",
    65,
    "the service refuses the request itself: check id_scope and registration_id",
  ),
  ERR_THROTTLED: row("soon", 75, "the service asks to slow down; try again after the time it names"),
  ERR_TOO_MANY_ATTEMPTS: row(
    "soon",
    75,
    "this gateway has asked too often of late: find out why with `mooring status`; `mooring reprovision` asks at once",
  ),
  ERR_SERVICE_UNAVAILABLE: row("soon", 75, "the service has trouble of its own; try again later"),
  ERR_REGISTRATION_FAILED: row(
    "later",
    69,
    "the service could not assign a hub: see errorCode and message, and the enrollment's hubs",
  ),
  ERR_HUB_MISSING: row(
    "later",
    69,
    "no hub is linked or named for this enrollment: link one, or set iotHubHostName",
  ),
  ERR_PROTOCOL: row("later", 69, "the answer is not DPS: check endpoint, ports and proxies"),

  ERR_NOT_PROVISIONED: row("never", 66, "run `mooring provision`"),
  ERR_NO_PREVIOUS: row(
    "never",
    66,
    "there is nothing to go back to; `mooring reprovision` asks for a new assignment",
  ),
  ERR_STATE_DIRECTORY: row(
    "later",
    73,
    "check owner, mode, free space and read-only mounts of the directory named",
  ),
  ERR_STATE_FULL: row("later", 74, "free some space on the file system named, then try again"),
  ERR_STATE_CORRUPT: row(
    "later",
    65,
    "the damaged state was set aside, not deleted; run `mooring provision`",
  ),
  ERR_LOCKED: row("soon", 75, "another mooring process is provisioning; wait for it to end"),
  ERR_OUTPUT: row("later", 73, "check the path, owner and mode of the output named in [[outputs]]"),

  ERR_CONTROL_PERMISSION: row(
    "never",
    77,
    "run it as root, or as the user that the daemon runs as; its group may ask for `status` and `wait` only",
  ),
  ERR_CONTROL_SOCKET: row(
    "never",
    73,
    "check [daemon] control_socket and control_group, and owner and mode of the socket's directory",
  ),
  ERR_CONTROL_BUSY: row("soon", 75, "many programs are asking the daemon already; try again"),
  ERR_CONTROL_PROTOCOL: row(
    "never",
    65,
    "daemon and command are of different versions: run `systemctl restart mooring`",
  ),
  ERR_DAEMON_RUNNING: row("never", 75, "a daemon runs already: see `mooring status`"),
  ERR_DAEMON_LOST: row(
    "soon",
    75,
    "see `systemctl status mooring`; the assignment on disk is as good as before: `mooring status`",
  ),

  ERR_SERVICE_START: row("never", 69, "check the port and the data directory of `mooring service run`"),
  ERR_BACKUP: row("never", 73, "name a file that does not exist yet, in a directory that has room for it"),
  ERR_CONNECTION_STRING: row(
    "never",
    78,
    "give HostName=…;SharedAccessKeyName=…;SharedAccessKey=… in a file or MOORING_SERVICE",
  ),
  ERR_ENROLLMENT_NOT_FOUND: row("never", 66, "list them with `mooring enrollment list`"),
  ERR_ENROLLMENT_CONFLICT: row(
    "never",
    75,
    "somebody changed it meanwhile: read it again with `mooring enrollment show ID`, then repeat",
  ),
  ERR_ENROLLMENT_REFUSED: row("never", 65, "mend what the message names, then repeat"),
  ERR_LOCAL_ONLY: row(
    "never",
    69,
    "name a `mooring service run` with --service-file; in Azure this is done with `az iot dps`",
  ),
  ERR_IMPORT_INVALID: row("never", 65, "mend the lines named, then repeat; nothing was sent"),
  ERR_IMPORT_PARTIAL: row(
    "never",
    73,
    "mend the rows named (`--report FILE` lists them), then import the file again; what is there already stays",
  ),

  ERR_INTERNAL: row(
    "later",
    70,
    "this is a bug in Mooring: run again with --verbose and report what it prints",
  ),
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof errorTable;

/** Facts that go along with an error: printed by `--json`, logged under the same names. Never a secret. */
export interface ErrorDetails {
  readonly cause?: unknown;
  /** TSS response code, as the library returned it. */
  readonly rc?: number;
  /** DPS `errorCode`, its status × 1000 + detail. */
  readonly serviceErrorCode?: number;
  readonly trackingId?: string;
  /** The message of the service, as sent. */
  readonly serviceMessage?: string;
  /** HTTP or topic status. */
  readonly status?: number;
  readonly retryAfterMs?: number;
  readonly operationId?: string;
  /** Server clock minus ours, when an answer carried a date. */
  readonly clockSkewMs?: number;
  /** What a server that is not trusted presents. */
  readonly serverCertificate?: {
    readonly subject: string;
    readonly issuer: string;
    /** ISO 8601, UTC. */
    readonly notBefore: string;
    readonly notAfter: string;
  };
  readonly path?: string;
  /** Several findings of one kind, such as all problems of a configuration. */
  readonly problems?: readonly string[];
  /** Overrides the table's hint when the place of the failure knows better. */
  readonly hint?: string;
}

/** The one error class. `message` says what was attempted on what; `hint` the next command for a human. */
export class MooringError extends Error {
  readonly code: ErrorCode;
  readonly details: Omit<ErrorDetails, "cause">;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    const { cause, ...rest } = details;
    super(message, cause === undefined ? undefined : { cause });
    this.name = "MooringError";
    this.code = code;
    this.details = rest;
  }

  get retry(): RetryClass {
    return errorTable[this.code].retry;
  }

  get exitCode(): number {
    return errorTable[this.code].exitCode;
  }

  get hint(): string {
    return this.details.hint ?? errorTable[this.code].hint;
  }
}

/** Wraps whatever was thrown, so that every boundary above sees one class. */
export function asMooringError(thrown: unknown): MooringError {
  if (thrown instanceof MooringError) return thrown;
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return new MooringError("ERR_INTERNAL", text, { cause: thrown });
}

/** What `--json` prints of a failure, and the daemon tells its clients. */
export const errorJson = (error: MooringError) => ({
  code: error.code,
  message: causeText(error),
  ...error.details,
  hint: error.hint,
  retry: error.retry,
  exitCode: error.exitCode,
});

/** The cause chain in one line: `outer: inner: innermost`, without repeating what the outer text already says. */
export function causeText(error: unknown): string {
  const parts: string[] = [];
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    const text = textOf(at);
    if (!parts.some((said) => said.includes(text))) parts.push(text);
  }
  return parts.join(": ");
}

/**
 * What an error says. OpenSSL's messages are addresses and source lines; its reason is what they mean. Node's about
 * certificates end in advice for who starts Node by hand.
 */
export function textOf(error: Error): string {
  const { code, library, reason } = error as { code?: unknown; library?: unknown; reason?: unknown };
  if (typeof library === "string" && typeof reason === "string") return reason;
  const within = code === "EPROTO" && /:error:[^:]*:[^:]*:[^:]*:([^:]+):/.exec(error.message);
  if (within) return String(within[1]);
  return aboutCertificates[String(code)] ?? error.message;
}

const aboutCertificates: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: "the server's certificate is self-signed, and not trusted",
  SELF_SIGNED_CERT_IN_CHAIN: "the chain of the server's certificate ends in a root that is not trusted",
  UNABLE_TO_GET_ISSUER_CERT: "nobody that is trusted vouches for the server's certificate",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "nobody that is trusted vouches for the server's certificate",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "nobody that is trusted vouches for the server's certificate",
  CERT_HAS_EXPIRED: "the server's certificate has expired",
  CERT_NOT_YET_VALID: "the server's certificate is not valid yet",
};

/** The `code` of a Node system error (`ENOENT`, `ECONNREFUSED`, …), if it is one. */
export function systemCode(error: unknown): string | undefined {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : undefined;
}
