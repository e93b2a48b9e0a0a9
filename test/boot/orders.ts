// The host's end of the serial line over which the guest takes scripts: one line of base64 each way.

import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { createInterface } from "node:readline";

export interface Answer {
  /** Exit code of the script. */
  readonly code: number;
  /** Its standard output and error. */
  readonly text: string;
}

interface Orders {
  /** Where QEMU connects. */
  readonly socket: string;
  /** Runs a shell script in the guest; waits for a guest that has still to boot. One at a time. */
  ask(script: string): Promise<Answer>;
  close(): void;
}

export async function takeOrders(socket: string): Promise<Orders> {
  const server = createServer().listen(socket);
  await once(server, "listening");
  const connected = once(server, "connection").then(([line]) => {
    const answers = createInterface({ input: line as Socket });
    line.on("error", () => {}); // the power was cut
    return { line: line as Socket, answers };
  });
  return {
    socket,
    ask: async (script) => {
      const { line, answers } = await connected;
      // A line that breaks answers nothing: QEMU's end tells of it.
      const answered = once(answers, "line").catch(() => new Promise<never>(() => {}));
      line.write(`${Buffer.from(script).toString("base64")}\n`);
      const [code, text = ""] = String((await answered)[0]).split(" ");
      return { code: Number(code), text: Buffer.from(text, "base64").toString() };
    },
    close: () => void server.close(),
  };
}
