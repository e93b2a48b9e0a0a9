import { defineConfig } from "vitest/config";

// `fast` needs nothing but the sources; `e2e` runs the built program in real processes, against swtpm where a TPM
// is needed. Both belong to `npm test`; `npm run check` runs `fast` alone.
const e2e = ["test/hil/**/*.test.ts", "test/e2e/**/*.test.ts"];
// `npm run test:boot`: the package on a whole machine, emulated; MOORING_BOOT=all for everything that can happen to one.
const boot = ["test/boot/**/*.test.ts"];
const { MOORING_BOOT: extent } = process.env;

// CommonJS packages are imported as Node does it (interopDefault: false), not as a bundler would like it.
// biome-ignore lint/style/noDefaultExport: vitest wants its configuration as the default export
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "fast",
          deps: { interopDefault: false },
          include: ["test/**/*.test.ts"],
          exclude: [...e2e, ...boot],
          testTimeout: 20_000,
          hookTimeout: 60_000,
          expect: { poll: { timeout: 15_000 } },
        },
      },
      {
        test: {
          name: "e2e",
          deps: { interopDefault: false },
          include: e2e,
          globalSetup: "test/support/e2e-setup.ts",
          testTimeout: 120_000,
          expect: { poll: { timeout: 30_000 } },
          hookTimeout: 120_000,
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: "boot",
          deps: { interopDefault: false },
          include: extent === "all" ? boot : ["test/boot/{disk,first-boot}.test.ts"],
          globalSetup: "test/boot/setup.ts",
          testTimeout: 900_000,
          hookTimeout: 300_000,
          maxWorkers: 1,
        },
      },
    ],
  },
});
