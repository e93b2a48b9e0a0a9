// A software TPM of the test's own: on Unix sockets in a temporary directory, ready when this resolves, stopped by
// its pid. A machine without swtpm fails the test; nothing is skipped.

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { promisify } from "node:util";

const run = promisify(execFile);

export interface Swtpm extends AsyncDisposable {
  /** For us. */
  readonly tcti: string;
  /** For tpm2-tools. */
  readonly env: NodeJS.ProcessEnv;
  /** Socket of the command channel; `${socket}.ctrl` is the control channel. */
  readonly socket: string;
  readonly directory: string;
  readonly pid: number;
  /** Runs a tpm2-tools program in the directory and resolves to its standard output. */
  tool(program: string, ...args: readonly string[]): Promise<string>;
  /** Kills it with SIGKILL, as a power cut would; what is in its NV stays. */
  kill(): Promise<void>;
  /** Starts it again after `kill`: a reset of the TPM. */
  restart(): Promise<void>;
  /** The same for a virtual machine, which does the rest over the control channel: resolves to its socket. */
  restartForMachine(): Promise<string>;
  stop(): Promise<void>;
}

/** `endorsementCertificate`: has swtpm_setup create EK certificates, signed by a CA of its own, before the start. */
export async function startSwtpm(options: { endorsementCertificate?: boolean } = {}): Promise<Swtpm> {
  const directory = await mkdtemp(join(tmpdir(), "mooring-swtpm-"));
  const socket = join(directory, "tpm.sock");
  if (options.endorsementCertificate) await setUp(directory);
  let process = await launch(directory, ...forPrograms(socket));

  const tcti = `swtpm:path=${socket}`;
  const env = { ...globalThis.process.env, TPM2TOOLS_TCTI: tcti, TSS2_LOG: "all+none" };
  const kill = (): Promise<void> => end(process, "SIGKILL");
  const stop = async (): Promise<void> => {
    await end(process, "SIGTERM");
    await rm(directory, { recursive: true, force: true });
  };
  return {
    tcti,
    env,
    socket,
    directory,
    get pid() {
      return process.pid as number;
    },
    tool: async (program, ...args) => (await run(program, [...args], { env, cwd: directory })).stdout,
    kill,
    restart: async () => {
      process = await launch(directory, ...forPrograms(socket));
    },
    restartForMachine: async () => {
      process = await launch(directory, [], [`${socket}.ctrl`]);
      return `${socket}.ctrl`;
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

const forPrograms = (socket: string): [string[], string[]] => [
  ["--flags", "not-need-init,startup-clear", "--server", `type=unixio,path=${socket}`],
  [`${socket}.ctrl`, socket],
];

/** `sockets`: control channel first. */
async function launch(
  directory: string,
  options: readonly string[],
  sockets: readonly string[],
): Promise<ChildProcess> {
  for (const socket of sockets) await rm(socket, { force: true });
  const channels = ["--tpmstate", `dir=${directory}`, "--ctrl", `type=unixio,path=${sockets[0]}`];
  const child = spawn("swtpm", ["socket", "--tpm2", ...channels, ...options], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let said = "";
  child.stderr?.on("data", (text) => {
    said += text;
  });
  let failure: Error | undefined;
  child.once("error", (error) => {
    failure = error;
  });
  while (!(await allAccept(sockets))) {
    if (failure) throw new Error("swtpm does not start; is it installed?", { cause: failure });
    if (child.exitCode !== null) throw new Error(`swtpm ended at once: ${said}`);
    await nextTurn();
  }
  return child;
}

async function allAccept(sockets: readonly string[]): Promise<boolean> {
  for (const socket of sockets) if (!(await accepts(socket))) return false;
  return true;
}

async function accepts(path: string): Promise<boolean> {
  const probe = connect(path);
  try {
    await once(probe, "connect");
    return true;
  } catch {
    return false;
  } finally {
    probe.destroy();
  }
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill(signal);
  await exited;
}

async function setUp(directory: string): Promise<void> {
  const config = join(directory, "setup.conf");
  const ca = join(directory, "ca");
  const { mkdir, writeFile } = await import("node:fs/promises");
  await mkdir(ca);
  await writeFile(join(directory, "localca.options"), "");
  await writeFile(
    join(directory, "localca.conf"),
    [
      `statedir = ${ca}`,
      `signingkey = ${ca}/signkey.pem`,
      `issuercert = ${ca}/issuercert.pem`,
      `certserial = ${ca}/certserial`,
    ].join("\n"),
  );
  await writeFile(
    config,
    [
      "create_certs_tool = /usr/bin/swtpm_localca",
      `create_certs_tool_config = ${directory}/localca.conf`,
      `create_certs_tool_options = ${directory}/localca.options`,
      "active_pcr_banks = sha256",
    ].join("\n"),
  );
  await run("swtpm_setup", [
    "--tpm2",
    "--tpmstate",
    directory,
    "--createek",
    "--create-ek-cert",
    "--config",
    config,
  ]);
}
