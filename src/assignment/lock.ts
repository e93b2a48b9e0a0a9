export interface Lock {
  release(): void;
}

/** Takes the state directory's lock. Throws ERR_LOCKED when another process (or another caller here) holds it. */
export declare function lockState(stateDirectory: string): Lock;
