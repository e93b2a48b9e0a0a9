// Between the program and the software TPM: sees every command and response as they are, and is whatever goes wrong
// there. It answers in the TPM's place, keeps quiet, delays, cuts, garbles, hangs up; for every command or for one.

import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { Swtpm } from "./swtpm.ts";

/** TPM_CC */
export const commandCode = {
  evictControl: 0x120,
  nvDefineSpace: 0x12a,
  createPrimary: 0x131,
  activateCredential: 0x147,
  hmac: 0x155,
  import: 0x156,
  load: 0x157,
  flushContext: 0x165,
  readPublic: 0x173,
  startAuthSession: 0x176,
  getCapability: 0x17a,
} as const;

export type Trouble =
  /** The TPM does not see the command, and this code is its answer. */
  | { readonly answer: number }
  /** The TPM does not see the command, and nobody answers. */
  | "silence"
  /** The connection ends before the TPM sees the command, */
  | "hang up"
  /** or after it has done it. */
  | "lose the response"
  | { readonly delayMs: number }
  /** Only the first bytes of the response arrive; then the connection ends, or stays open and quiet. */
  | { readonly cutTo: number; readonly andThen: "hang up" | "silence" }
  /** What the program is made to read instead of the response. */
  | { readonly garble: (response: Buffer) => Buffer };

interface Fault {
  readonly trouble: Trouble;
  /** TPM_CC; any command when absent. */
  readonly command?: number;
  /** Only from and to which of these commands it happens, counted from 1. */
  readonly from?: number;
  readonly to?: number;
}

/** Frames have a 10-byte header: tag, size (4 bytes at offset 2), command or response code (4 bytes at offset 6). */
export interface TpmProxy extends AsyncDisposable {
  readonly tcti: string;
  readonly commands: Buffer[];
  readonly responses: Buffer[];
  /** From now on; the first of several that apply counts. Resolves when it happens for the first time. */
  inject(fault: Fault): Promise<void>;
  /** Ends all faults. */
  heal(): void;
}

export async function startTpmProxy(swtpm: Swtpm): Promise<TpmProxy> {
  const path = `${swtpm.directory}/proxy.sock`;
  const sockets = new Set<Socket>();
  const faults: ((code: number) => Trouble | undefined)[] = [];
  const servers = [await listen(path, relayFrames), await listen(`${path}.ctrl`, relayBytes)];

  const proxy: TpmProxy = {
    tcti: `swtpm:path=${path}`,
    commands: [],
    responses: [],
    inject: ({ trouble, command, from = 1, to = Number.POSITIVE_INFINITY }) => {
      let seen = 0;
      return new Promise((resolve) => {
        faults.push((code) => {
          if (command !== undefined && command !== code) return undefined;
          seen++;
          if (seen < from || seen > to) return undefined;
          resolve();
          return trouble;
        });
      });
    },
    heal: () => {
      faults.length = 0;
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      for (const server of servers) await new Promise((resolve) => server.close(resolve));
    },
  };
  return proxy;

  /** Every fault counts every command, also when another one applies. */
  function troubleFor(code: number): Trouble | undefined {
    return faults.map((fault) => fault(code)).find((trouble) => trouble !== undefined);
  }

  function join(socket: Socket): Socket {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.once("close", () => sockets.delete(socket));
    return socket;
  }

  function listen(at: string, onClient: (client: Socket) => void): Promise<Server> {
    const server = createServer((client) => onClient(join(client)));
    return new Promise((resolve) => server.listen(at, () => resolve(server)));
  }

  // tpm2-tss connects anew for each command. swtpm is connected to only when a command goes through: it serves one
  // connection at a time, and would wait for the command of an idle one.
  function relayFrames(client: Socket): void {
    let tpm: Promise<Socket> | undefined;
    let trouble: Trouble | undefined;
    eachFrame(client, async (command) => {
      proxy.commands.push(command);
      trouble = troubleFor(command.readUInt32BE(6));
      if (trouble === "silence") return;
      if (trouble === "hang up") return void client.destroy();
      if (typeof trouble === "object" && "answer" in trouble)
        return void client.write(responseOf(trouble.answer));
      tpm ??= reach(client, swtpm.socket);
      const socket = await tpm;
      if (socket.listenerCount("data") === 0) eachFrame(socket, onResponse);
      socket.write(command);
    });

    function onResponse(response: Buffer): void {
      proxy.responses.push(response);
      if (trouble === "lose the response") client.destroy();
      else if (typeof trouble !== "object") client.write(response);
      else if ("delayMs" in trouble) setTimeout(() => client.write(response), trouble.delayMs);
      else if ("garble" in trouble) client.write(trouble.garble(response));
      else if ("cutTo" in trouble) {
        client.write(response.subarray(0, trouble.cutTo));
        if (trouble.andThen === "hang up") client.end();
      }
    }
  }

  async function relayBytes(client: Socket): Promise<void> {
    const tpm = await reach(client, `${swtpm.socket}.ctrl`);
    client.pipe(tpm).pipe(client);
  }

  /** Node does not wait where the listener's queue is full; one end's close is the other's. */
  async function reach(client: Socket, at: string): Promise<Socket> {
    for (;;) {
      const socket = connect(at);
      try {
        await once(socket, "connect");
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "EAGAIN" && !client.destroyed) continue;
        client.destroy();
        return join(socket);
      }
      client.once("close", () => socket.destroy());
      socket.once("close", () => client.destroy());
      return join(socket);
    }
  }
}

/** A response that is nothing but a response code. */
function responseOf(rc: number): Buffer {
  const response = Buffer.alloc(10);
  response.writeUInt16BE(0x8001, 0);
  response.writeUInt32BE(10, 2);
  response.writeUInt32BE(rc, 6);
  return response;
}

function eachFrame(socket: Socket, onFrame: (frame: Buffer) => void): void {
  let pending = Buffer.alloc(0);
  socket.on("data", (data) => {
    pending = Buffer.concat([pending, data]);
    while (pending.length >= 10 && pending.length >= pending.readUInt32BE(2)) {
      const size = pending.readUInt32BE(2);
      onFrame(pending.subarray(0, size));
      pending = pending.subarray(size);
    }
  });
}
