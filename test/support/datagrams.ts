// A service manager's ear: a real Unix datagram socket, which Python has and Node.js has not.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { onTestFinished } from "vitest";

const program = `
import json, socket, sys
ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
name = sys.argv[1]
ear.bind("\\0" + name[1:] if name.startswith("@") else name)
print(json.dumps("listening"), flush=True)
while True:
    print(json.dumps(ear.recv(65536).decode()), flush=True)
`;

/** Listens at a path, or with "@" in front at an abstract name; answers with datagrams in the order in which they came. */
export async function datagramsAt(name: string): Promise<() => Promise<string>> {
  const child = spawn("python3", ["-c", program, name], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "exit");
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => JSON.parse((await lines.next()).value ?? '"the ear is gone"');
  await next();
  return next;
}
