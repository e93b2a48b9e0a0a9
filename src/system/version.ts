import packageJson from "../../package.json" with { type: "json" };

/** Of the program; goes to DPS as part of the user agent. */
export const version = packageJson.version;
