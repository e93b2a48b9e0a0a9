// The commented template that `mooring config example` prints: the manual for config.toml. It parses, and as it
// stands it says exactly what the defaults say.

export const exampleConfig = `# Mooring: how this gateway gets its IoT Hub assignment.
#
# What is commented out shows the default, or an example where there is none. Check after every change with
#   mooring config check
# Files in config.d/*.toml beside this one are merged over it, in the order of their names. Relative paths are
# relative to this file. Where a file is read, "credential:NAME" means a systemd credential (LoadCredential=NAME:…).

[provisioning]
# The device API: Azure's global host, or the host of a local service.
endpoint = "global.azure-devices-provisioning.net"
# Which provisioning service: its ID scope, from the portal's overview page. There is no default.
id_scope = "0ne00000000"
# auto: https for a TPM (DPS offers it nothing else); otherwise mqtt, then mqtt-ws, then https as ports allow.
transport = "auto"                     # auto | mqtt | mqtt-ws | https
# One attempt, from the first connection to the assignment, takes no longer than this.
deadline = "2min"
# PEM certificates to trust beside the system's.
#ca_file = "/etc/mooring/ca.pem"
# HTTP proxy for https and mqtt-ws, http:// or https://. Without it HTTPS_PROXY and NO_PROXY count, as everywhere.
#proxy = "http://proxy.example:3128"
#proxy_credentials_file = "credential:proxy"     # one line: user:password
# JSON sent along with the registration, for custom allocation: a table here, or a file.
#payload = { line = 4, model = "gw-2" }
#payload_file = "/etc/mooring/payload.json"

[provisioning.ports]
https = 443
mqtt = 8883
mqtt_ws = 443

[identity]
# auto: the TPM if there is one, else [identity.x509]. A symmetric key is used only when it is named here.
source = "auto"                        # auto | tpm | x509 | symmetric-key
# The device's name towards DPS. X.509 takes the certificate's common name, a TPM the hash of its endorsement key;
# a symmetric key needs it. It and the texts of payload may use facts of the machine, for one image on many gateways:
# \${serial} \${product} \${machine-id} \${hostname} \${mac:eth0} \${cn} \${ek-sha256}; see \`mooring identity facts\`.
#registration_id = "gw-\${serial}"

[identity.tpm]
tcti = "device:/dev/tpmrm0"
# The persistent handle where the key for the hub is kept.
hub_key_handle = 0x81000100
# Where the TPM's own keys are, or are made when missing. Where another program keeps a key of another kind at the usual
# handle, such as systemd-cryptenroll, whose storage root key is ECC, an RSA key of its own goes elsewhere.
endorsement_key_handle = 0x81010001
storage_root_key_handle = 0x81000001
# How endorsement and storage root keys are made when the TPM has none: "zeros" as tpm2-tools and the TPM's
# certificate have it, "empty" as Azure's C and Node SDKs do. Keys that are there are used as they are.
template = "zeros"                     # zeros | empty
#owner_auth_file = "credential:tpm-owner"
#endorsement_auth_file = "credential:tpm-endorsement"
# How long the TPM may take over one command. Making a key may take six times as long.
timeout = "30s"

#[identity.x509]
#certificate = "/etc/mooring/identity/cert.pem"  # leaf and its chain, in any order
#private_key = "/etc/mooring/identity/key.pem"   # PKCS#8, PKCS#1 or SEC1, encrypted or not
#pkcs12 = "/etc/mooring/identity/device.p12"     # instead of private_key; holds the certificate too
#password_file = "credential:key-password"

#[identity.symmetric_key]
#key_file = "credential:device-key"              # base64
#group_key_file = "credential:group-key"         # instead: the device key is derived from it

[state]
# Assignments are kept here; nothing else is needed to start without a network.
directory = "/var/lib/mooring"

# When a gateway that has an assignment asks for another; \`mooring reprovision\` does so at any time.
[reprovision]
# Ask again this long after the last answer, such as "30d".
every = "off"
# When configuration or identity are no longer those of the assignment: register again, or only say so in
# \`mooring status\` and leave it to somebody's \`mooring reprovision\`.
on_change = "auto"                     # auto | ask
# When the service says that this device is disabled or removed: go on with the assignment, loudly, or take the
# outputs away from the programs that read them.
on_disenrolled = "keep"                # keep | withdraw
# What reaches a whole fleet at once (a new configuration, the timer) is acted on within this window, each gateway at
# its own place in it, so that the service's quota holds. DPS takes 1000 registrations a minute.
splay = "15min"
# The same for gateways without an assignment. Raise it where thousands are switched on for the first time at once.
first_boot_splay = "0s"

# \`mooring run\`
[daemon]
# End when nothing is due and nobody is connected; a socket or timer unit starts it again.
idle_exit = "off"                      # off, or a time such as "2min"
# A clock that cannot be right (1970, or before what this gateway has seen) is waited for this long at most.
clock_wait = "5min"
# Where the commands reach the daemon.
control_socket = "/run/mooring/control.sock"
# Members of this group may ask for the status, too. Where systemd opens the socket: SocketGroup= in a drop-in.
#control_group = "operators"

# Where the assignment is published. As many as you like; each file is replaced atomically, and only when it changed.
[[outputs]]
path = "/var/lib/mooring/hub.env"
format = "env"                         # env | json | toml | template
mode = 0o640
#owner = "root"
#group = "readers"
#template = "/etc/mooring/hub.conf.in"           # with format = "template": {{ assigned_hub }}, {{ device_id }}, …
# Run without a shell, as the agent's user, after the file changed. To restart a unit: PartOf=mooring-assigned.target.
#on_change = ["/usr/local/bin/hub-changed", "--quiet"]
`;
