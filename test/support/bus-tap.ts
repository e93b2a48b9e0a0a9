// A listener on the bus between the program and the software TPM: sees every command and response as they are, and can
// answer in the TPM's place or change what it said.

import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { Swtpm } from "./swtpm.ts";

/** Frames have a 10-byte header: tag, size (4 bytes at offset 2), command or response code (4 bytes at offset 6). */
export interface BusTap extends AsyncDisposable {
  readonly tcti: string;
  readonly commands: Buffer[];
  readonly responses: Buffer[];
  /** What the TPM is made to answer to a command instead of doing it; undefined lets it through. */
  onCommand: (command: Buffer, code: number) => Buffer | "hang up" | undefined;
  /** What the program is made to read instead of a response; "hang up" loses it. */
  onResponse: (response: Buffer, commandCode: number) => Buffer | "hang up";
}

/** A response that is nothing but a response code. */
export function responseOf(rc: number): Buffer {
  const response = Buffer.alloc(10);
  response.writeUInt16BE(0x8001, 0);
  response.writeUInt32BE(10, 2);
  response.writeUInt32BE(rc, 6);
  return response;
}

export async function tapBus(swtpm: Swtpm): Promise<BusTap> {
  const path = `${swtpm.directory}/tap.sock`;
  const sockets = new Set<Socket>();
  const servers = [await listen(path, relayFrames), await listen(`${path}.ctrl`, relayBytes)];

  const tap: BusTap = {
    tcti: `swtpm:path=${path}`,
    commands: [],
    responses: [],
    onCommand: () => undefined,
    onResponse: (response) => response,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      for (const server of servers) await new Promise((resolve) => server.close(resolve));
    },
  };
  return tap;

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
    let code = 0;
    eachFrame(client, async (command) => {
      tap.commands.push(command);
      code = command.readUInt32BE(6);
      const answer = tap.onCommand(command, code);
      if (answer === "hang up") return void client.destroy();
      if (answer) return void client.write(answer);
      tpm ??= reach(client, swtpm.socket);
      const socket = await tpm;
      if (socket.listenerCount("data") === 0) eachFrame(socket, onResponse);
      socket.write(command);
    });

    function onResponse(response: Buffer): void {
      tap.responses.push(response);
      const shown = tap.onResponse(response, code);
      if (shown === "hang up") client.destroy();
      else client.write(shown);
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
