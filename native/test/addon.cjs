// What mooring-system.node does with arguments that nobody gives it, and at the edges of what fits. Run by `make check`
// with the sanitizers watching; what it does when all is well is tested from TypeScript.

const assert = require("node:assert");
const { errno } = require("node:os").constants;

const module_ = { exports: {} };
process.dlopen(module_, process.argv[2]);
const { notify, peer, makeUndumpable } = module_.exports;

const none = "/nonexistent/";
for (const [args, expected] of [
  [[], errno.EINVAL],
  [[none], errno.EINVAL],
  [[1, 2], errno.EINVAL],
  [[none, undefined], errno.EINVAL],
  [["", ""], errno.ENAMETOOLONG],
  [[none.padEnd(107, "x"), "text"], errno.ENOENT],
  [[none.padEnd(108, "x"), "text"], errno.ENAMETOOLONG],
  [[none.padEnd(100_000, "x"), "text"], errno.ENAMETOOLONG],
  [[`@${"ü".repeat(53)}`, "text"], errno.ECONNREFUSED],
  [[`@${"ü".repeat(54)}`, "text"], errno.ENAMETOOLONG],
  [[none, "x".repeat(4_095)], errno.ENOENT],
  [[none, "x".repeat(4_096)], errno.EMSGSIZE],
  [[none, "ü".repeat(2_048)], errno.EMSGSIZE],
])
  assert.strictEqual(notify(...args), expected, `notify(${JSON.stringify(args).slice(0, 60)})`);
for (const args of [[], ["x"], [-1], [1e9], [Number.NaN], [{}]]) assert.strictEqual(peer(...args), undefined);
assert.strictEqual(makeUndumpable(), 0);
process.stdout.write("mooring-system.node: all is well\n");
