// Server-sent events (HTML Living Standard, 9.2): whoever watches is told of every change it may read. A stream lives
// an hour at most and ends with the session behind it; whoever reads too slowly is let go, and comes back by itself.

import type { ServerResponse } from "node:http";
import { type LiveEvent, liveEvent } from "./live-event.ts";
import type { Permission } from "./records.ts";
import { Refusal } from "./refusal.ts";
import type { Store } from "./store.ts";

export interface Watcher {
  readonly permissions: readonly Permission[];
  /** Whether it may still watch; asked now and then. */
  readonly isIn: () => boolean;
  /** Calls back when it may not any more; undo with what is returned. */
  readonly onEnd: (listener: () => void) => () => void;
}

export interface EventStreams {
  /** Throws 429001 when nobody else may watch. */
  verifyRoom(): void;
  /** Writes to `response`, whose headers are sent, until either side ends it. */
  open(response: ServerResponse, watcher: Watcher): void;
  /** Ends all of them. */
  close(): void;
}

export interface EventStreamsOptions {
  readonly store: Pick<Store, "changes">;
  readonly mostWatchers?: number;
  /** What may wait for a slow reader, in bytes. */
  readonly mostBuffered?: number;
}

const heartbeatMs = 15_000;
const mostHeartbeats = (60 * 60_000) / heartbeatMs;

interface Stream extends Watcher {
  readonly response: ServerResponse;
  heartbeats: number;
  end(): void;
}

export function createEventStreams({
  store,
  mostWatchers = 100,
  mostBuffered = 256 * 1024,
}: EventStreamsOptions): EventStreams {
  const streams = new Set<Stream>();

  const send = (stream: Stream, text: string): void => {
    const { response } = stream;
    if (response.writableLength > mostBuffered) response.destroy();
    else response.write(text);
  };

  const undo = store.changes.subscribe((change) => {
    if (streams.size === 0) return;
    if (change.of === "policy") for (const stream of streams) if (!stream.isIn()) stream.end();
    const event = liveEvent(change);
    if (!event) return;
    const text = textOf(event);
    for (const stream of streams) if (stream.permissions.includes(event.permission)) send(stream, text);
  });

  const heart = setInterval(() => {
    for (const stream of streams) {
      stream.heartbeats++;
      if (stream.heartbeats > mostHeartbeats || !stream.isIn()) stream.end();
      else send(stream, "event: heartbeat\ndata: {}\n\n");
    }
  }, heartbeatMs);
  heart.unref();

  return {
    verifyRoom() {
      if (streams.size >= mostWatchers) throw new Refusal(429001, "Too many are watching already.");
    },
    open(response, watcher) {
      const stream: Stream = {
        ...watcher,
        response,
        heartbeats: 0,
        end: () => void response.end(),
      };
      const forget = watcher.onEnd(stream.end);
      streams.add(stream);
      response.once("close", () => {
        streams.delete(stream);
        forget();
      });
      response.write("retry: 2000\n\n");
    },
    close() {
      undo();
      clearInterval(heart);
      for (const stream of streams) stream.end();
    },
  };
}

const textOf = ({ event, data }: LiveEvent): string => `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
