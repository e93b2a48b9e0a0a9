/* What the files of this library share: the context, root keys, sessions, and the byte formats. */
#ifndef MOORING_TPM_INTERNAL_H
#define MOORING_TPM_INTERNAL_H

#include <stdbool.h>
#include <string.h>
#include <tss2/tss2_esys.h>

#include "../mooring-tpm.h"

/* An EK or SRK: its place, and once found and verified, its object. */
struct root_key {
    TPM2_HANDLE handle;
    ESYS_TR hierarchy;
    ESYS_TR object; /* ESYS_TR_NONE until found */
    TPM2B_PUBLIC public_area;
};

struct mooring_courier;

struct mooring_tpm {
    struct mooring_courier *courier; /* the connection */
    ESYS_CONTEXT *esys;
    struct root_key endorsement_key;
    struct root_key storage_root_key;
    ESYS_TR session; /* the salted session, kept between calls; ESYS_TR_NONE when there is none */
    TSS2_RC failure; /* the last one that was not the TPM's, in a clean-up too */
};

/* A key as it lies outside the TPM, wrapped by the SRK. */
struct wrapped_key {
    TPM2B_PUBLIC public_area;
    TPM2B_PRIVATE private_area;
};

/* The authentication key of the service, taken apart; its last part, the encrypted URI, is of no use to anybody. */
struct authentication_key {
    TPM2B_ID_OBJECT credential;
    TPM2B_ENCRYPTED_SECRET credential_seed;
    TPM2B_PRIVATE duplicate;
    TPM2B_ENCRYPTED_SECRET duplicate_seed;
    TPM2B_PUBLIC public_area;
};

/* context.c: how every function that talks to the TPM begins and ends. */
TSS2_RC mooring_begin(const mooring_tpm *tpm);
TSS2_RC mooring_end(mooring_tpm *tpm, TSS2_RC rc);
void mooring_flush(mooring_tpm *tpm, ESYS_TR *object);

/* courier.c: the connection, which obeys limits and cancellation. Once abandoned (MOORING_TPM_RC_TIMEOUT) it stays so. */
struct mooring_courier *mooring_courier_new(void);
void mooring_courier_free(struct mooring_courier *courier);
TSS2_RC mooring_courier_open(struct mooring_courier *courier, const char *conf, TSS2_TCTI_CONTEXT **tcti);
void mooring_courier_close(struct mooring_courier *courier);
TSS2_RC mooring_courier_begin(struct mooring_courier *courier);
void mooring_courier_cancel(struct mooring_courier *courier, bool is_cancelled);
void mooring_courier_set_timeout(struct mooring_courier *courier, uint32_t timeout_ms);
void mooring_courier_last(struct mooring_courier *courier, uint32_t *command, uint32_t *limit_ms);

/* object.c: what is at a handle. */
TSS2_RC mooring_object_find(mooring_tpm *tpm, TPM2_HANDLE handle, ESYS_TR *object);
void mooring_object_forget(mooring_tpm *tpm, ESYS_TR *object);
TSS2_RC mooring_object_read(mooring_tpm *tpm, ESYS_TR object, TPM2B_PUBLIC *public_area);
TSS2_RC mooring_object_has_name(mooring_tpm *tpm, ESYS_TR object, const uint8_t *name, size_t size, bool *has);

/* describe.c: what the TPM lists from `first` on, surely of that kind; to be given to Esys_Free. */
TSS2_RC mooring_list(mooring_tpm *tpm, TPM2_CAP kind, UINT32 first, UINT32 count, TPMI_YES_NO *more,
                     TPMS_CAPABILITY_DATA **list);

/* template.c: the public areas of EK and SRK. */
void mooring_template_endorsement_key(TPM2B_PUBLIC *public_area);
void mooring_template_storage_root_key(TPM2B_PUBLIC *public_area);
bool mooring_template_matches(const TPM2B_PUBLIC *public_area, const TPM2B_PUBLIC *expected);

/* root-key.c */
TSS2_RC mooring_root_key_find(mooring_tpm *tpm, struct root_key *key);

/* session.c: the salted session, set up for the next command. */
#define MOORING_ENCRYPT_BOTH ((TPMA_SESSION)(TPMA_SESSION_DECRYPT | TPMA_SESSION_ENCRYPT))
#define MOORING_ENCRYPT_COMMAND ((TPMA_SESSION)TPMA_SESSION_DECRYPT)
#define MOORING_ENCRYPT_RESPONSE ((TPMA_SESSION)TPMA_SESSION_ENCRYPT)
#define MOORING_ENCRYPT_NOTHING ((TPMA_SESSION)0)
TSS2_RC mooring_session(mooring_tpm *tpm, TPMA_SESSION encryption, ESYS_TR *session);

/* format.c */
TSS2_RC mooring_parse_authentication_key(const uint8_t *bytes, size_t size, struct authentication_key *key);
TSS2_RC mooring_parse_wrapped_key(const uint8_t *bytes, size_t size, struct wrapped_key *key);
TSS2_RC mooring_write_wrapped_key(const TPM2B_PUBLIC *public_area, const TPM2B_PRIVATE *private_area, uint8_t *bytes,
                                  uint32_t *size);
TSS2_RC mooring_write_public(const TPM2B_PUBLIC *public_area, uint8_t *bytes, uint32_t *size);

/* load.c: a wrapped key as a transient object, to be flushed by the caller. */
TSS2_RC mooring_load(mooring_tpm *tpm, const uint8_t *wrapped_key, size_t size, ESYS_TR *object);

/* nv.c */
TSS2_RC mooring_nv_find(mooring_tpm *tpm, TPM2_HANDLE index, ESYS_TR *nv, TPMS_NV_PUBLIC *public_area);
TSS2_RC mooring_nv_read(mooring_tpm *tpm, ESYS_TR nv, const TPMS_NV_PUBLIC *public_area, uint8_t *bytes,
                        uint32_t *size);

/* The TPM's way of saying that nothing is at a handle. */
static inline bool mooring_is_absent(TSS2_RC rc)
{
    return (rc & ~TSS2_RC_LAYER_MASK) == (TPM2_RC_HANDLE | TPM2_RC_1);
}

#endif
