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
    // A serial line says 0 for what it does not know.
    width = process.stdout.columns || undefined,
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

/** Takes from whichever column is widest until all of them fit. */
function fitWidths(widths: readonly number[], width: number | undefined): number[] {
  const fitted = [...widths];
  const gaps = gap * (fitted.length - 1);
  let tooMuch = width === undefined ? 0 : fitted.reduce((sum, each) => sum + each, gaps) - width;
  for (; tooMuch > 0; tooMuch--) {
    const widest = Math.max(...fitted);
    if (widest <= narrowest) break;
    fitted[fitted.indexOf(widest)] = widest - 1;
  }
  return fitted;
}

const padOrCut = (cell: string, width: number): string =>
  cell.length > width ? `${cell.slice(0, width - 1)}…` : cell.padEnd(width);
