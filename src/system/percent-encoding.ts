// Percent-encoded text from others (RFC 3986, section 2.1).

/** Decoded; as it is where that is not possible: who compares it finds out. */
export function decodeLeniently(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
