// Where a JSON text goes wrong, and why, in words that are the same in every browser (RFC 8259).

export interface JsonMistake {
  readonly what: string;
  /** Counted from 0, in UTF-16 units as a text field counts. */
  readonly offset: number;
  /** Counted from 1. */
  readonly line: number;
  readonly column: number;
}

/** The value, or the first mistake. A name that stands twice in one object is a mistake too: one of them is lost. */
export function checkJson(
  text: string,
): { readonly value: unknown; readonly mistake?: never } | { readonly mistake: JsonMistake } {
  try {
    scan(text);
  } catch (found) {
    if (found instanceof Mistake) return { mistake: located(text, found) };
    throw found;
  }
  return { value: JSON.parse(text) };
}

class Mistake {
  readonly what: string;
  readonly offset: number;
  constructor(what: string, offset: number) {
    this.what = what;
    this.offset = offset;
  }
}

function located(text: string, { what, offset }: Mistake): JsonMistake {
  const before = text.slice(0, offset).split("\n");
  return { what, offset, line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}

const deepest = 100;

function scan(text: string): void {
  let at = 0;

  const fail = (what: string, offset = at): never => {
    throw new Mistake(what, offset);
  };
  const blank = (): void => {
    while (/[ \t\n\r]/.test(text[at] ?? "")) at += 1;
  };
  const found = (): string => {
    const character = text[at];
    if (character === undefined) return "the text ends here";
    return character === "'" ? "JSON takes double quotes" : `found ${character}`;
  };
  const token = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    return pattern.exec(text)?.[0];
  };

  const string = (): string => {
    const start = at;
    at += 1;
    for (;;) {
      const character = text[at];
      if (character === '"') {
        at += 1;
        return JSON.parse(text.slice(start, at)) as string;
      }
      if (character === undefined || character < " ") fail("the text in quotes does not end", start);
      const step = character === "\\" ? token(/\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4})/y) : character;
      if (step === undefined) fail("not an escape that JSON knows");
      at += step?.length ?? 0;
    }
  };

  const list = (end: "]" | "}", what: string, item: () => void): void => {
    at += 1;
    blank();
    if (text[at] === end) {
      at += 1;
      return;
    }
    for (;;) {
      item();
      blank();
      if (text[at] === end) {
        at += 1;
        return;
      }
      if (text[at] !== ",") fail(`expected a comma or ${end}; ${found()}`);
      const comma = at;
      at += 1;
      blank();
      if (text[at] === end) fail(`no comma after the last ${what}`, comma);
    }
  };

  const value = (depth: number): void => {
    if (depth > deepest) fail("nested too deep");
    blank();
    const character = text[at];
    if (character === "{") {
      const names = new Set<string>();
      list("}", "member", () => {
        blank();
        if (text[at] !== '"') fail(`expected a name in double quotes; ${found()}`);
        const start = at;
        const name = string();
        if (names.has(name)) fail(`the name ${JSON.stringify(name)} is here twice`, start);
        names.add(name);
        blank();
        if (text[at] !== ":") fail(`expected a colon after the name; ${found()}`);
        at += 1;
        value(depth + 1);
      });
    } else if (character === "[") list("]", "item", () => value(depth + 1));
    else if (character === '"') string();
    else {
      const word = token(/-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])|(?:true|false|null)\b/y);
      if (word === undefined) fail(`expected a value; ${found()}`);
      at += word?.length ?? 0;
    }
  };

  value(0);
  blank();
  if (at < text.length) fail(`nothing may follow the value; ${found()}`);
}
