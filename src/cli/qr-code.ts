// A QR code (ISO/IEC 18004) that a phone can read off a terminal: two modules a character, above one another.

import { paint } from "./output.ts";

export interface QrCode {
  /** Modules a side, without the quiet zone. */
  readonly size: number;
  /** Rows of modules; true is dark. */
  readonly modules: readonly (readonly boolean[])[];
}

/** What the largest code holds at the lowest error correction, in bytes. */
const mostBytes = 2953;
/** Light modules around it. The standard asks for four; readers make do with two, and terminals are narrow. */
const quietZone = 2;

/** As small as `text` allows; undefined when it is too long for any. */
export async function qrCode(text: string): Promise<QrCode | undefined> {
  if (Buffer.byteLength(text) > mostBytes) return undefined;
  const { default: qrcode } = await import("qrcode-generator");
  const code = qrcode(0, "L");
  code.addData(text, "Byte");
  code.make();
  const size = code.getModuleCount();
  const along = Array.from({ length: size }, (_, index) => index);
  return { size, modules: along.map((row) => along.map((column) => code.isDark(row, column))) };
}

/** How many columns of a terminal `drawQrCode` needs. */
export const widthOf = ({ size }: QrCode): number => size + 2 * quietZone;

const halfBlocks = [" ", "▀", "▄", "█"];

/** Lines of half blocks, dark on light whatever the terminal's colours are. */
export function drawQrCode(code: QrCode): string[] {
  const width = widthOf(code);
  const isDark = (row: number, column: number): boolean =>
    code.modules[row - quietZone]?.[column - quietZone] ?? false;
  return Array.from({ length: Math.ceil(width / 2) }, (_, line) => {
    const characters = Array.from(
      { length: width },
      (_, column) => halfBlocks[Number(isDark(2 * line, column)) + 2 * Number(isDark(2 * line + 1, column))],
    );
    return paint("ink", characters.join(""));
  });
}
