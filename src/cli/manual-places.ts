// What the man page tells of a gateway that has the package: the units that systemd runs there, and the files.

/** As the package has them. */
export const units = [
  [
    "mooring.service",
    "The agent: ready once what there is has been published, and gone when nothing is due.",
  ],
  ["mooring.socket", "Brings the agent back when a command asks."],
  ["mooring.timer", "Brings it back once a day, to look whether anything is due."],
  ["mooring.path", "Starts it anew, by mooring-reload.service, when configuration or certificate changed."],
  ["mooring-assigned.target", "Reached when there is an assignment to use."],
  [
    "mooring-changed.path",
    "Starts and stops that target, and restarts what is part of it when the assignment is another one, by \
mooring-changed.service.",
  ],
  ["mooring-wait.service", "Waits for it on behalf of units that want the target at boot."],
] as const;

export const files = [
  ["/etc/mooring/config.toml", "The configuration; see mooring.toml(5)."],
  ["/etc/mooring/config.d/*.toml", "Merged over it, in the order of their names."],
  ["/var/lib/mooring", "The assignment, in generations, and what is remembered of attempts."],
  ["/run/mooring/control.sock", "Where commands reach the agent."],
  [
    "/run/mooring/agent/assigned",
    "There while there is a published assignment to work with; the units go by it.",
  ],
  ["/run/mooring/hub.env", "Its variables, for units to have in their environment; root's."],
] as const;

export const dependentUnit = `[Unit]
After=mooring-assigned.target
PartOf=mooring-assigned.target
[Service]
EnvironmentFile=/run/mooring/hub.env
[Install]
WantedBy=mooring-assigned.target`;
