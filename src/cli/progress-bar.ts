// How far a long piece of work is, on one line of a terminal that is drawn over and over. Elsewhere it says nothing.

import type { Clock } from "../system/clock.ts";

export interface ProgressBar {
  show(done: number, note?: string): void;
  /** Takes the line away. */
  end(): void;
}

const leastMs = 100;
const barWidth = 24;

/** Without `total` it only counts. */
export function openProgressBar(
  total: number | undefined,
  { clock, stream = process.stderr }: { clock: Clock; stream?: NodeJS.WriteStream },
): ProgressBar {
  if (!stream.isTTY) return { show: () => {}, end: () => {} };
  const startedAt = clock.monotonic();
  let drawnAt = Number.NEGATIVE_INFINITY;
  let startedWith: number | undefined;
  return {
    show(done, note = "") {
      startedWith ??= done;
      const now = clock.monotonic();
      if (now - drawnAt < leastMs && done !== total) return;
      drawnAt = now;
      const speed = rate(done - startedWith, total === undefined ? undefined : total - done, now - startedAt);
      const line = `${total === undefined ? done.toLocaleString("en") : bar(done, total)}${speed}  ${note}`;
      stream.write(`\r\u001b[2K${line.slice(0, (stream.columns || 80) - 1)}`);
    },
    end: () => void stream.write("\r\u001b[2K"),
  };
}

function bar(done: number, total: number): string {
  const share = total === 0 ? 1 : done / total;
  const filled = Math.round(share * barWidth);
  const count = `${done.toLocaleString("en")}/${total.toLocaleString("en")}`;
  return `${"█".repeat(filled)}${"░".repeat(barWidth - filled)} ${Math.floor(share * 100)} %  ${count}`;
}

function rate(done: number, left: number | undefined, elapsedMs: number): string {
  if (done === 0 || elapsedMs < 1000) return "";
  const perSecond = (done * 1000) / elapsedMs;
  if (left === undefined) return `  ${Math.round(perSecond)}/s`;
  const seconds = Math.ceil(left / perSecond);
  return `  ${Math.round(perSecond)}/s  ${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")} left`;
}
