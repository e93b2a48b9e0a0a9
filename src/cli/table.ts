// Rows in columns, as wide as the terminal and no wider; printed as they come, with one heading.

import { paint, printLine, visible } from "./output.ts";

export interface Table {
  add(rows: readonly (readonly string[])[]): void;
}

/** As narrow as a column may become before others are cut. */
const narrowest = 4;
const gap = 2;

/** `width` in characters; without it nothing is cut, as in a file or a pipe. */
export function openTable(
  heading: readonly string[],
  {
    width = process.stdout.columns,
    print = printLine,
  }: { width?: number | undefined; print?: (line: string) => void } = {},
): Table {
  let widths = heading.map((title) => title.length);
  let headed = false;
  const line = (cells: readonly string[], fitted: readonly number[]): string =>
    cells
      .map((cell, column) => padOrCut(cell, fitted[column] ?? 0))
      .join(" ".repeat(gap))
      .trimEnd();
  return {
    add(rows) {
      const shown = rows.map((row) => row.map(visible));
      widths = widths.map((before, column) =>
        Math.max(before, ...shown.map((row) => row[column]?.length ?? 0)),
      );
      const fitted = fitWidths(widths, width);
      if (!headed) print(paint("bold", line(heading, fitted)));
      headed = true;
      for (const row of shown) print(line(row, fitted));
    },
  };
}

/** Takes from the widest columns until all of them fit. */
function fitWidths(widths: readonly number[], width: number | undefined): number[] {
  const fitted = [...widths];
  const tooMuch = (): number =>
    width === undefined ? 0 : fitted.reduce((sum, each) => sum + each, gap * (fitted.length - 1)) - width;
  while (tooMuch() > 0) {
    const widest = Math.max(...fitted);
    if (widest <= narrowest) break;
    const second = Math.max(narrowest, ...fitted.filter((each) => each < widest));
    const at = fitted.indexOf(widest);
    fitted[at] = Math.max(second, widest - tooMuch(), narrowest);
    if (fitted[at] === widest) fitted[at] = widest - 1;
  }
  return fitted;
}

const padOrCut = (cell: string, width: number): string =>
  cell.length > width ? `${cell.slice(0, width - 1)}…` : cell.padEnd(width);
