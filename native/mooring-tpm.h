/* The TPM 2.0 commands that device provisioning needs, as flat functions over tpm2-tss ESYS.
 *
 * Every function that talks to the TPM returns a TSS2_RC: 0, the response code of the TPM or of the layer of tpm2-tss
 * that failed, or one of MOORING_TPM_RC_*. Buffers belong to the caller; a `size` that is a pointer holds the capacity
 * on entry and, after success, the bytes written. Nothing is left loaded in the TPM but one session, which the next failure
 * or mooring_tpm_close ends. A context serves one call at a time; it may move between threads. When a layer of tpm2-tss
 * failed over an answer, the context is of no more use, and says the same again to everything but mooring_tpm_close.
 *
 * Sessions are salted to the storage root key (else the endorsement key, else a key made for the purpose in the NULL
 * hierarchy), so authorization values never cross the bus, parameters travel encrypted both ways, and what the TPM
 * answers is authenticated. TPM 2.0 Library, Part 1, "Session-based encryption".
 */
#ifndef MOORING_TPM_H
#define MOORING_TPM_H

#include <stddef.h>
#include <stdint.h>
#include <tss2/tss2_common.h>

#define MOORING_TPM_API __attribute__((visibility("default")))

/* Where both are, unless mooring_tpm_set_root_keys says otherwise. TCG, Registry of Reserved TPM 2.0 Handles. */
#define MOORING_TPM_ENDORSEMENT_KEY_HANDLE 0x81010001U
#define MOORING_TPM_STORAGE_ROOT_KEY_HANDLE 0x81000001U
#define MOORING_TPM_ENDORSEMENT_CERTIFICATE_INDEX 0x01C00002U

/* Large enough for every TPM2B_PUBLIC and for every wrapped key this library returns. */
#define MOORING_TPM_PUBLIC_MAX 1024U
#define MOORING_TPM_WRAPPED_KEY_MAX 4096U
/* A Name: hash algorithm (SHA-256) and digest. */
#define MOORING_TPM_NAME_SIZE 34U
#define MOORING_TPM_HMAC_SIZE 32U
#define MOORING_TPM_AUTHENTICATION_KEY_MAX 65536U

/* Failures of this library's own, in a layer that tpm2-tss leaves to applications. */
#define MOORING_TPM_RC_LAYER TSS2_RC_LAYER(0x4D)
/* No object is at the handle. */
#define MOORING_TPM_RC_ABSENT (MOORING_TPM_RC_LAYER | 1U)
/* The object at the handle of the EK or SRK is not an RSA-2048 key of that template. */
#define MOORING_TPM_RC_NOT_A_ROOT_KEY (MOORING_TPM_RC_LAYER | 2U)
/* The TPM's answers about the EK or SRK contradict one another. */
#define MOORING_TPM_RC_INCONSISTENT (MOORING_TPM_RC_LAYER | 3U)
/* The authentication key or wrapped key is not well-formed, or not an HMAC-SHA-256 key. */
#define MOORING_TPM_RC_BAD_KEY (MOORING_TPM_RC_LAYER | 4U)
/* The object at the handle is not the one that was named. */
#define MOORING_TPM_RC_OTHER_OBJECT (MOORING_TPM_RC_LAYER | 5U)
/* The NV index holds something that is not a marker. */
#define MOORING_TPM_RC_OTHER_INDEX (MOORING_TPM_RC_LAYER | 6U)
/* The caller's buffer is too small. */
#define MOORING_TPM_RC_BUFFER (MOORING_TPM_RC_LAYER | 7U)
#define MOORING_TPM_RC_MEMORY (MOORING_TPM_RC_LAYER | 8U)
/* The context is not open, or an argument is out of range. */
#define MOORING_TPM_RC_ARGUMENT (MOORING_TPM_RC_LAYER | 9U)

/* The TPM did not answer in time. The context is of no more use: everything but mooring_tpm_close says this again. */
#define MOORING_TPM_RC_TIMEOUT (MOORING_TPM_RC_LAYER | 10U)

/* How long the TPM may take over one command, and over being busy (TPM_RC_RETRY and the like) in one call; making a key
 * may take this many times longer. */
#define MOORING_TPM_TIMEOUT_MS 30000U
#define MOORING_TPM_KEY_CREATION_FACTOR 6U

/* How `unique` of the EK and SRK templates is filled: the two make different keys on the same TPM. */
#define MOORING_TPM_UNIQUE_ZEROS 0U /* 256 zero bytes: TCG EK Credential Profile, template L-1 */
#define MOORING_TPM_UNIQUE_EMPTY 1U /* zero length */

typedef struct mooring_tpm mooring_tpm;

/* TPM_PT_* properties (TPM 2.0 Library, Part 2, 6.13), as the TPM reports them; 0 when it does not. */
typedef struct {
    uint32_t manufacturer;           /* four ASCII characters, first one most significant */
    uint32_t vendor_string[4];       /* likewise, four times */
    uint32_t firmware_version[2];    /* high, low */
    uint32_t revision;               /* of the specification, times 100 */
    uint32_t permanent;              /* TPMA_PERMANENT: 0x1 owner auth set, 0x2 endorsement auth set, 0x200 in lockout */
    uint32_t lockout_counter;        /* authorization failures counted */
    uint32_t lockout_limit;          /* failures that start the lockout */
    uint32_t lockout_interval_s;     /* seconds until the counter goes down by one */
    uint32_t lockout_recovery_s;     /* seconds of lockout after a failed lockoutAuth */
    uint32_t transient_slots_free;   /* more objects that can be loaded now */
    uint32_t session_slots_free;     /* more sessions that can be loaded now */
    uint32_t persistent_slots_free;  /* more objects that fit in NV, an estimate */
} mooring_tpm_facts;

/* A context that is not open yet; NULL when memory is exhausted. */
MOORING_TPM_API mooring_tpm *mooring_tpm_new(void);

/* Opens `tcti` (such as "device:/dev/tpmrm0" or "swtpm:path=SOCKET"). The authorization values of the owner and
 * endorsement hierarchies may be empty; they are copied, and cleansed by mooring_tpm_close. */
MOORING_TPM_API TSS2_RC mooring_tpm_open(mooring_tpm *tpm, const char *tcti, const uint8_t *owner_auth,
                                         uint32_t owner_auth_size, const uint8_t *endorsement_auth,
                                         uint32_t endorsement_auth_size);

/* Persistent handles of the EK and the SRK, where other programs keep keys of another kind at the usual ones. Before
 * mooring_tpm_open. */
MOORING_TPM_API void mooring_tpm_set_root_keys(mooring_tpm *tpm, uint32_t endorsement_key, uint32_t storage_root_key);

/* For what follows, mooring_tpm_open included, instead of MOORING_TPM_TIMEOUT_MS. */
MOORING_TPM_API void mooring_tpm_set_timeout(mooring_tpm *tpm, uint32_t timeout_ms);

/* Ends the call under way, from any thread: no further command is sent but those that clean up (the call then returns
 * TPM2_RC_CANCELED), and a command that the TPM has may take one second more (else MOORING_TPM_RC_TIMEOUT). Holds until
 * mooring_tpm_resume. */
MOORING_TPM_API void mooring_tpm_cancel(mooring_tpm *tpm);
MOORING_TPM_API void mooring_tpm_resume(mooring_tpm *tpm);

/* After MOORING_TPM_RC_TIMEOUT: the command that was not answered (TPM_CC; 0 when opening), and its limit. */
MOORING_TPM_API void mooring_tpm_last_command(mooring_tpm *tpm, uint32_t *command, uint32_t *limit_ms);

/* Ends the session, closes the connection, frees the context; takes two seconds at most. NULL is allowed. */
MOORING_TPM_API void mooring_tpm_close(mooring_tpm *tpm);

MOORING_TPM_API TSS2_RC mooring_tpm_describe(mooring_tpm *tpm, mooring_tpm_facts *facts);

/* The TPM2B_PUBLIC at a handle, size prefix included. MOORING_TPM_RC_ABSENT when nothing is there. */
MOORING_TPM_API TSS2_RC mooring_tpm_read_public(mooring_tpm *tpm, uint32_t handle, uint8_t *public_area,
                                                uint32_t *public_size);

/* The TPM2B_PUBLIC of the EK (316 bytes) or SRK (284 bytes), verified to be of its template.
 * MOORING_TPM_RC_ABSENT, MOORING_TPM_RC_NOT_A_ROOT_KEY, MOORING_TPM_RC_INCONSISTENT. */
MOORING_TPM_API TSS2_RC mooring_tpm_endorsement_key(mooring_tpm *tpm, uint8_t *public_area, uint32_t *public_size);
MOORING_TPM_API TSS2_RC mooring_tpm_storage_root_key(mooring_tpm *tpm, uint8_t *public_area, uint32_t *public_size);

/* Derives the EK or SRK from its hierarchy's seed and makes it persistent at its handle, which must be free. */
MOORING_TPM_API TSS2_RC mooring_tpm_create_endorsement_key(mooring_tpm *tpm, uint32_t unique_form);
MOORING_TPM_API TSS2_RC mooring_tpm_create_storage_root_key(mooring_tpm *tpm, uint32_t unique_form);

/* The content of the NV index of the RSA-2048 EK certificate: DER, perhaps padded. MOORING_TPM_RC_ABSENT. */
MOORING_TPM_API TSS2_RC mooring_tpm_endorsement_certificate(mooring_tpm *tpm, uint8_t *content, uint32_t *size);

/* Turns an authentication key of the service (TPM2B_ID_OBJECT, TPM2B_ENCRYPTED_SECRET, TPM2B_PRIVATE,
 * TPM2B_ENCRYPTED_SECRET, TPM2B_PUBLIC, TPM2B_DATA; more bytes may follow) into a key wrapped by this TPM's SRK:
 * TPM2B_PUBLIC, TPM2B_PRIVATE. Needs EK and SRK. The key itself never leaves the TPM. */
MOORING_TPM_API TSS2_RC mooring_tpm_activate(mooring_tpm *tpm, const uint8_t *authentication_key, uint32_t size,
                                             uint8_t *wrapped_key, uint32_t *wrapped_size);

/* HMAC-SHA-256 of data of any length by a wrapped key, loaded for the purpose, or by the key at a handle. */
MOORING_TPM_API TSS2_RC mooring_tpm_sign(mooring_tpm *tpm, const uint8_t *wrapped_key, uint32_t wrapped_size,
                                         const uint8_t *data, uint32_t size, uint8_t hmac[MOORING_TPM_HMAC_SIZE]);
MOORING_TPM_API TSS2_RC mooring_tpm_sign_with_handle(mooring_tpm *tpm, uint32_t handle, const uint8_t *data,
                                                     uint32_t size, uint8_t hmac[MOORING_TPM_HMAC_SIZE]);

/* Makes a wrapped key persistent at a handle, which must be free (TPM_RC_NV_DEFINED otherwise). The handles of the EK
 * and SRK are refused here and by mooring_tpm_evict: MOORING_TPM_RC_ARGUMENT. */
MOORING_TPM_API TSS2_RC mooring_tpm_persist(mooring_tpm *tpm, const uint8_t *wrapped_key, uint32_t wrapped_size,
                                            uint32_t handle);

/* Removes the object at a handle if its Name is the one given: MOORING_TPM_RC_ABSENT, MOORING_TPM_RC_OTHER_OBJECT. */
MOORING_TPM_API TSS2_RC mooring_tpm_evict(mooring_tpm *tpm, uint32_t handle,
                                          const uint8_t name[MOORING_TPM_NAME_SIZE]);

/* A marker is an NV index of the owner that holds one Name: ordinary, 34 bytes, written by the owner, read by anyone.
 * MOORING_TPM_RC_ABSENT when there is none or it was never written; MOORING_TPM_RC_OTHER_INDEX when the index is
 * something else, which is never written or removed. */
MOORING_TPM_API TSS2_RC mooring_tpm_read_marker(mooring_tpm *tpm, uint32_t index, uint8_t name[MOORING_TPM_NAME_SIZE]);
MOORING_TPM_API TSS2_RC mooring_tpm_write_marker(mooring_tpm *tpm, uint32_t index,
                                                 const uint8_t name[MOORING_TPM_NAME_SIZE]);
MOORING_TPM_API TSS2_RC mooring_tpm_remove_marker(mooring_tpm *tpm, uint32_t index);

/* Flushes every loaded object and session, whoever left them there. Only for a TPM without a resource manager whose
 * slots are full: what is loaded then belongs to programs that are dead, but for one in the middle of a call. */
MOORING_TPM_API TSS2_RC mooring_tpm_flush_leftovers(mooring_tpm *tpm);

/* A response code in words, cut to fit. */
MOORING_TPM_API void mooring_tpm_explain(TSS2_RC rc, char *text, uint32_t capacity);

#endif
