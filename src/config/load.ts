import type { Config } from "./schema.ts";

/**
 * Reads the configuration and its drop-ins. Throws ERR_CONFIG_NOT_FOUND, or ERR_CONFIG_INVALID with every problem
 * in `details.problems`.
 */
export declare function loadConfig(file: string): Config;
