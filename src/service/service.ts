// The local provisioning service, put together: a locked data directory, its CA and store in there, and the two
// ports through which devices and operators come. Everything it takes, stop() gives back.

import { isIP } from "node:net";
import { join } from "node:path";
import type { Clock } from "../system/clock.ts";
import type { Log } from "../system/log.ts";
import { openAuthority } from "./authority.ts";
import { certificateApi } from "./certificate-api.ts";
import { lockDataDirectory, writeDataFile } from "./data-directory.ts";
import { createDeviceApi } from "./device-api.ts";
import { createEventStreams } from "./event-streams.ts";
import { createHttpsServer } from "./https-server.ts";
import { linkHubs } from "./hubs.ts";
import { type Listener, listen } from "./listener.ts";
import { managementApi } from "./management-api.ts";
import { createMqttServer, mqttSessions } from "./mqtt-server.ts";
import { createPortal } from "./portal/portal.ts";
import type { Policy } from "./records.ts";
import { serviceApi } from "./service-api.ts";
import { stage } from "./staged-device-api.ts";
import { openStore, storeFile } from "./store.ts";
import { tlsOptions } from "./tls.ts";
import { createWebhook } from "./webhook.ts";
import { acceptMqttOverWebSockets } from "./websocket.ts";

export interface ServiceOptions {
  readonly dataDirectory: string;
  /** Address or name to listen on. */
  readonly host: string;
  /** 0 takes any free port; the same below. */
  readonly httpsPort: number;
  readonly mqttPort: number;
  /** Names that the server certificate carries beside localhost, 127.0.0.1 and ::1. */
  readonly hostnames: readonly string[];
  /** Hubs to link if they are not linked yet. */
  readonly hubs: readonly string[];
  /** 1 to 300; with 0 a registration is finished in the first answer. */
  readonly retryAfterSeconds: number;
  /** PEM; trusted for the webhooks of custom allocation beside the system's store. */
  readonly webhookCa?: string;
  readonly log: Log;
  readonly clock: Clock;
}

export interface RunningService {
  readonly idScope: string;
  readonly httpsPort: number;
  readonly mqttPort: number;
  /** What devices have to trust, PEM. */
  readonly caFile: string;
  /** Of the policy that may do everything, with its present primary key; a secret. */
  readonly connectionString: string;
  /** The same in a file of mode 0600. */
  readonly connectionStringFile: string;
  /** Opens the portal once, within ten minutes, for whoever has it; a secret. */
  newPortalLink(): string;
  stop(): Promise<void>;
}

/** The server certificate of a service that is never restarted has to be renewed as well. */
const renewalCheckMs = 24 * 60 * 60 * 1000;

/** Throws ERR_SERVICE_START when the directory or a port cannot be had; nothing stays open then. */
export async function startService(options: ServiceOptions): Promise<RunningService> {
  const { dataDirectory, host, clock, log } = options;
  const undo: (() => void | Promise<void>)[] = [];
  const undoAll = async (): Promise<void> => {
    for (const step of undo.reverse()) await step();
  };
  let stopping: Promise<void> | undefined;
  try {
    const lock = lockDataDirectory(dataDirectory);
    undo.push(lock.release);
    const ownName = isEverywhere(host) || isLoopback(host) ? [] : [host];
    const hostnames = [...options.hostnames, ...ownName];
    const credential = openAuthority(dataDirectory, { hostnames, clock });
    const store = openStore(join(dataDirectory, storeFile));
    undo.push(() => store.close());
    linkHubs(store, options.hubs);

    const connectionStringFile = join(dataDirectory, "connection-string");
    const serviceHost = ownName[0] ?? "localhost";
    let connectionString = "";
    const publishConnectionString = (): void => {
      const [owner] = store.policies.all() as [Policy, ...Policy[]];
      connectionString = connectionStringOf(owner, addressOf(serviceHost, https.port));
      writeDataFile(connectionStringFile, `${connectionString}\n`, 0o600);
    };

    const webhook = createWebhook({ clock, ...(options.webhookCa && { ca: options.webhookCa }) });
    undo.push(() => webhook[Symbol.dispose]());
    const deviceOptions = { store, clock, log, webhook, retryAfterSeconds: options.retryAfterSeconds };
    const plainDeviceApi = createDeviceApi(deviceOptions);
    undo.push(() => plainDeviceApi.close());
    const deviceApi = stage(plainDeviceApi, deviceOptions);
    const sessions = mqttSessions({ deviceApi, clock, log });
    const portal = createPortal({
      store,
      clock,
      log,
      names: ["localhost", "127.0.0.1", "::1", ...hostnames],
    });
    const eventStreams = createEventStreams({ store });
    const listeners: Listener[] = [];
    undo.push(async () => {
      sessions.closeAll();
      portal.close();
      eventStreams.close();
      await Promise.all(listeners.map((listener) => listener.close()));
    });

    const operators = { store, clock, log, signedIn: portal.signedIn };
    const httpsServer = await createHttpsServer({
      credential,
      deviceApi,
      operatorApis: [
        serviceApi(operators),
        managementApi({ ...operators, eventStreams, onKeyRotated: publishConnectionString }),
        certificateApi(operators),
        portal.routes,
      ],
      clock,
      log,
    });
    acceptMqttOverWebSockets(httpsServer, sessions);

    const https = await listen(httpsServer, { host, port: options.httpsPort, purpose: "HTTPS", log });
    listeners.push(https);
    const mqttServer = createMqttServer(credential, sessions);
    const mqtt = await listen(mqttServer, { host, port: options.mqttPort, purpose: "MQTT", log });
    listeners.push(mqtt);

    const renewal = setInterval(() => {
      try {
        const renewed = tlsOptions(openAuthority(dataDirectory, { hostnames, clock }));
        for (const server of [httpsServer, mqttServer]) server.setSecureContext(renewed);
      } catch (error) {
        log.error("service.renewal-failed", { error });
      }
    }, renewalCheckMs);
    undo.push(() => clearInterval(renewal));

    publishConnectionString();
    // They survive a restart, and must not be a surprise after it.
    for (const { target, scenario } of store.scenarios.all())
      log.warn("scenario.on", { target, ...scenario });
    return {
      idScope: store.idScope,
      httpsPort: https.port,
      mqttPort: mqtt.port,
      caFile: credential.caFile,
      get connectionString() {
        return connectionString;
      },
      connectionStringFile,
      newPortalLink: () => portal.newLink(addressOf(serviceHost, https.port)),
      stop: () => {
        stopping ??= undoAll();
        return stopping;
      },
    };
  } catch (error) {
    await undoAll();
    throw error;
  }
}

const isEverywhere = (host: string): boolean => host === "0.0.0.0" || host === "::";
const isLoopback = (host: string): boolean => host === "localhost" || host === "::1" || /^127\./.test(host);

/** As in an address: brackets around IPv6, and no port that goes without saying. */
function addressOf(host: string, port: number): string {
  const bracketed = isIP(host) === 6 ? `[${host}]` : host;
  return port === 443 ? bracketed : `${bracketed}:${port}`;
}

const connectionStringOf = ({ name, primaryKey }: Policy, hostName: string): string =>
  `HostName=${hostName};SharedAccessKeyName=${name};SharedAccessKey=${primaryKey}`;
