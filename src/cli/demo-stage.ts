// What the demo plays on: a temporary directory, the processes in it, and the clock that times each step.

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { MooringError, systemCode } from "../errors.ts";
import { paint, printLine } from "./output.ts";

interface Service {
  readonly idScope: string;
  readonly httpsPort: number;
  readonly mqttPort: number;
  readonly caFile: string;
  readonly connectionString: string;
}

export interface Stage {
  /** Starts a software TPM; answers with its TCTI. */
  startTpm(): Promise<string>;
  startService(): Promise<Service>;
  /** A configuration that names the local service, with `identity` in TOML; answers with its path. */
  writeConfig(name: string, identity: string): Promise<string>;
  makeCertificate(commonName: string): Promise<{ certificate: string; privateKey: string }>;
  /** Runs this program with `args` and answers with the JSON it printed. */
  mooring(args: readonly string[], what: string): Promise<unknown>;
  show(file: string): Promise<void>;
  close(): Promise<void>;
}

export async function openStage({ keep }: { keep: boolean }): Promise<Stage> {
  const directory = await mkdtemp(join(tmpdir(), "mooring-demo-"));
  const startedAt = performance.now();
  const children: ChildProcess[] = [];
  const complaints: Buffer[] = [];
  let service: Service | undefined;
  const stopped = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    process.once(name, () => stopped.abort(new MooringError("ERR_CANCELLED", `stopped by ${name}`)));
  }

  const step = async <T>(what: string, act: () => Promise<T>): Promise<T> => {
    const since = performance.now();
    stopped.signal.throwIfAborted();
    const result = await act();
    const at = ((performance.now() - startedAt) / 1000).toFixed(2).padStart(6);
    printLine(
      `${paint("dim", `${at} s`)}   ${what} ${paint("dim", `(${((performance.now() - since) / 1000).toFixed(2)} s)`)}`,
    );
    return result;
  };

  const start = (command: string, args: readonly string[]): ChildProcess => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
    children.push(child);
    // Heard only when the child fails: swtpm remarks on every connection.
    child.stderr?.on("data", (said: Buffer) => complaints.push(said));
    return child;
  };

  const run = async (command: string, args: readonly string[]): Promise<string> => {
    try {
      const environment = {
        ...process.env,
        ...(service && { MOORING_SERVICE: service.connectionString, MOORING_SERVICE_CA: service.caFile }),
      };
      return (await promisify(execFile)(command, args, { env: environment, signal: stopped.signal })).stdout;
    } catch (error) {
      stopped.signal.throwIfAborted();
      throw failed(command, error);
    }
  };

  return {
    startTpm: () =>
      step("start a software TPM (swtpm)", async () => {
        const state = join(directory, "tpm");
        await mkdir(state);
        const socket = join(directory, "tpm.sock");
        const child = start("swtpm", [
          ...["socket", "--tpm2", "--tpmstate", `dir=${state}`, "--flags", "not-need-init,startup-clear"],
          ...["--server", `type=unixio,path=${socket}`, "--ctrl", `type=unixio,path=${socket}.ctrl`],
        ]);
        await answering(child, `${socket}.ctrl`, complaints);
        return `swtpm:path=${socket}`;
      }),

    startService: () =>
      step("start the local provisioning service", async () => {
        const data = join(directory, "service");
        const child = start(process.execPath, [
          ...[
            programFile(),
            "service",
            "run",
            "--data",
            data,
            "--https-port",
            "0",
            "--mqtt-port",
            "0",
            "--json",
          ],
        ]);
        service = (await firstLine(child, complaints)) as Service;
        return service;
      }),

    writeConfig: async (name, identity) => {
      const here = join(directory, name);
      await mkdir(here);
      const file = join(here, "config.toml");
      if (!service) throw new MooringError("ERR_INTERNAL", "the demo's service is not running");
      const { idScope, caFile, httpsPort, mqttPort } = service;
      await writeFile(
        file,
        `[provisioning]\nendpoint = "localhost"\nid_scope = "${idScope}"\nca_file = "${caFile}"\n` +
          `[provisioning.ports]\nhttps = ${httpsPort}\nmqtt = ${mqttPort}\nmqtt_ws = ${httpsPort}\n` +
          `${identity}[state]\ndirectory = "${join(here, "state")}"\n` +
          `[daemon]\ncontrol_socket = "${join(here, "control.sock")}"\n`,
      );
      return file;
    },

    makeCertificate: (commonName) =>
      step(`make a certificate for CN=${commonName} (openssl)`, async () => {
        const privateKey = join(directory, `${commonName}.key`);
        const certificate = join(directory, `${commonName}.pem`);
        await run("openssl", [
          ...[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "1",
          ],
          ...["-subj", `/CN=${commonName}`, "-keyout", privateKey, "-out", certificate],
        ]);
        return { certificate, privateKey };
      }),

    mooring: (args, what) =>
      step(what, async () => JSON.parse(await run(process.execPath, [programFile(), ...args]))),

    show: async (file) => {
      printLine(paint("dim", `${" ".repeat(11)}${file}:`));
      for (const line of (await readFile(join(directory, file), "utf8")).trimEnd().split("\n")) {
        if (!line.startsWith("#")) printLine(`${" ".repeat(13)}${line}`);
      }
    },

    close: async () => {
      await Promise.all(children.map(stop));
      if (keep) printLine(`Kept: ${directory}`);
      else await rm(directory, { recursive: true, force: true });
    },
  };
}

const programFile = (): string => process.argv[1] ?? "mooring";

function failed(command: string, error: unknown): MooringError {
  if (systemCode(error) === "ENOENT") {
    return new MooringError("ERR_TPM_UNAVAILABLE", `the demo needs ${command}, which is not installed`, {
      cause: error,
      hint: "run `npm run demo` in the source tree, which installs it, or `apt install swtpm openssl`",
    });
  }
  const said = (error as { stderr?: string }).stderr?.trim();
  return new MooringError("ERR_INTERNAL", `a step of the demo failed${said ? `:\n${said}` : ""}`, {
    cause: error,
  });
}

/** The socket of a child that is up; a child that ends first is an error. */
async function answering(child: ChildProcess, path: string, complaints: readonly Buffer[]): Promise<void> {
  let ended: unknown;
  child.once("error", (error) => (ended = error));
  child.once(
    "exit",
    (code) =>
      (ended ??= Object.assign(new Error(`it ended with ${code}`), {
        stderr: Buffer.concat(complaints).toString(),
      })),
  );
  while (ended === undefined) {
    const socket = connect(path);
    const [outcome] = await Promise.race([
      once(socket, "connect").then(() => ["up"]),
      once(socket, "error"),
    ]).catch((e) => [e]);
    socket.destroy();
    if (outcome === "up") return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw failed("swtpm", ended);
}

async function firstLine(child: ChildProcess, complaints: readonly Buffer[]): Promise<unknown> {
  if (!child.stdout) throw new MooringError("ERR_INTERNAL", "the demo's service has no standard output");
  const lines = createInterface({ input: child.stdout });
  const ended = once(child, "exit").then(() => undefined);
  const line = await Promise.race([once(lines, "line").then(([text]) => text as string), ended]);
  if (line === undefined)
    throw new MooringError(
      "ERR_SERVICE_START",
      `the demo's local service did not start: ${Buffer.concat(complaints).toString().trim()}`,
    );
  return JSON.parse(line);
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  await ended;
}
