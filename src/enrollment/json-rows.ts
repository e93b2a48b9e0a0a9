// The records of a JSON file one by one, without ever holding the file: a list, or one record after the other.

import type { SourceRow } from "./rows-file.ts";

/** Throws SyntaxError, with the line, for what is no list of records, or is cut off. */
export async function* jsonRows(chunks: AsyncIterable<string>): AsyncGenerator<SourceRow> {
  const scanner = new Scanner();
  for await (const chunk of chunks) yield* scanner.take(chunk);
  scanner.end();
}

/** Finds where records begin and end; what is in them is for JSON.parse. */
class Scanner {
  #line = 1;
  #firstLine = 1;
  #depth = 0;
  #inString = false;
  #escaped = false;
  #isEmpty = true;
  #list: "none" | "open" | "closed" = "none";
  /** The part of the present record that earlier chunks held. */
  #head = "";

  *take(chunk: string): Generator<SourceRow> {
    let start = 0;
    for (let at = 0; at < chunk.length; at++) {
      const character = chunk.charCodeAt(at);
      if (character === newline) this.#line++;
      if (this.#inString) this.#stringCharacter(character);
      else if (this.#depth === 0) {
        if (character === openBrace) {
          start = at;
          this.#firstLine = this.#line;
          this.#depth = 1;
          this.#isEmpty = false;
        } else this.#between(character);
      } else if (character === quote) this.#inString = true;
      else if (character === openBrace) this.#depth++;
      else if (character === closeBrace && --this.#depth === 0) {
        yield this.#row(this.#head + chunk.slice(start, at + 1));
        this.#head = "";
      }
    }
    if (this.#depth > 0) this.#head += chunk.slice(start);
  }

  end(): void {
    if (this.#isEmpty && this.#list === "none") throw new SyntaxError("line 1: there is no record");
    if (this.#depth > 0)
      throw new SyntaxError(`line ${this.#firstLine}: the record that begins here is cut off`);
    if (this.#list === "open") throw new SyntaxError(`line ${this.#line}: the list is cut off`);
  }

  #stringCharacter(character: number): void {
    if (this.#escaped) this.#escaped = false;
    else if (character === backslash) this.#escaped = true;
    else if (character === quote) this.#inString = false;
  }

  #between(character: number): void {
    if (character === openBracket && this.#list === "none") this.#list = "open";
    else if (character === closeBracket && this.#list === "open") this.#list = "closed";
    else if (!whitespaceAndComma.has(character)) {
      const shown = JSON.stringify(String.fromCharCode(character));
      throw new SyntaxError(`line ${this.#line}: ${shown} where a record was expected, {…}`);
    }
  }

  #row(text: string): SourceRow {
    const line = this.#firstLine;
    try {
      return { line, record: JSON.parse(text), problems: [] };
    } catch {
      // What the parser says quotes the text, which may be a key.
      return { line, problems: [{ member: "", problem: "not JSON" }] };
    }
  }
}

const [newline, quote, backslash] = [10, 34, 92];
const [openBrace, closeBrace, openBracket, closeBracket] = [123, 125, 91, 93];
const whitespaceAndComma = new Set([9, 10, 13, 32, 44]);
