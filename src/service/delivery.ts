// How an answer travels when a scenario meddles with it: its text, and over HTTPS its header, its time and its end.

import type { FastifyReply, FastifyRequest } from "fastify";
import type { Clock } from "../system/clock.ts";
import type { DeviceAnswer } from "./device-api.ts";
import type { Delivery } from "./scenario.ts";

/** The answer as JSON; a malformed one breaks off in the middle. */
export function answerText(body: unknown, delivery: Delivery | undefined): string {
  const text = JSON.stringify(body);
  return delivery?.malformed ? text.slice(0, text.length / 2) : text;
}

/** Sends what `reply` is prepared for. */
export async function sendDelivered(
  request: FastifyRequest,
  reply: FastifyReply,
  { body, delivery = {} }: DeviceAnswer,
  clock: Clock,
): Promise<FastifyReply> {
  const { socket } = request.raw;
  if (delivery.close === "instead") {
    socket.destroy();
    return reply.hijack();
  }
  if (delivery.delayMs !== undefined && !(await passes(delivery.delayMs, request, clock))) {
    return reply.hijack();
  }
  if (delivery.dateSkewMs !== undefined) {
    reply.header("date", new Date(clock.now() + delivery.dateSkewMs).toUTCString());
  }
  if (delivery.close === "after") reply.raw.once("finish", () => socket.destroySoon());
  return reply.type("application/json; charset=utf-8").send(answerText(body, delivery));
}

/** Whether the device is still there after so long. */
async function passes(delayMs: number, { raw: { socket } }: FastifyRequest, clock: Clock): Promise<boolean> {
  const gone = new AbortController();
  const leave = (): void => gone.abort();
  socket.once("close", leave);
  try {
    await clock.sleep(delayMs, { signal: gone.signal });
    return true;
  } catch {
    return false;
  } finally {
    socket.off("close", leave);
  }
}
