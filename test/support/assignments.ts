// Assignments to put away and find again.

import type { Assignment } from "../../src/assignment/assignment.ts";

export const anAssignment = (change: Partial<Assignment> = {}): Assignment => ({
  schemaVersion: 1,
  assignedHub: "contoso.azure-devices.net",
  deviceId: "gw-0001",
  registrationId: "gw-0001",
  idScope: "0ne0012ABCD",
  endpoint: "global.azure-devices-provisioning.net",
  attestation: "x509",
  transport: "mqtt",
  substatus: "initialAssignment",
  assignedAt: "2026-01-02T03:04:05.000Z",
  operationId: "5.0123456789abcdef.00000000-0000-0000-0000-000000000000",
  publicKeySha256: "ab".repeat(32),
  inputs: "cd".repeat(32),
  ...change,
});
