// Carries one TCP connection of the guest, which QEMU hands over as standard input, to a port of this machine.

import { connect } from "node:net";

const out = connect(Number(process.argv[2]), "127.0.0.1");
process.stdin.pipe(out).pipe(process.stdout);
for (const end of [out, process.stdin, process.stdout]) end.on("error", () => process.exit());
out.on("close", () => process.exit());
