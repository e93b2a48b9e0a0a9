/* The life of a context: made, opened, cancelled, closed. */
#include <stdlib.h>

#include "internal.h"

static TSS2_RC set_auth(ESYS_CONTEXT *esys, ESYS_TR hierarchy, const uint8_t *auth, uint32_t size)
{
    TPM2B_AUTH value = { 0 };
    TSS2_RC rc;

    if (size > sizeof(value.buffer) || (auth == NULL && size > 0))
        return MOORING_TPM_RC_ARGUMENT;
    value.size = (UINT16)size;
    if (size > 0)
        memcpy(value.buffer, auth, size);
    rc = Esys_TR_SetAuth(esys, hierarchy, &value);
    explicit_bzero(&value, sizeof(value));
    return rc;
}

/* ESYS frees its copy as it is; zeros of full length overwrite it first. */
static void cleanse_auth(ESYS_CONTEXT *esys, ESYS_TR hierarchy)
{
    const TPM2B_AUTH zeros = { .size = sizeof(zeros.buffer) };

    (void)Esys_TR_SetAuth(esys, hierarchy, &zeros);
}

mooring_tpm *mooring_tpm_new(void)
{
    mooring_tpm *tpm = calloc(1, sizeof(*tpm));

    if (tpm == NULL)
        return NULL;
    tpm->courier = mooring_courier_new();
    if (tpm->courier == NULL) {
        free(tpm);
        return NULL;
    }
    tpm->session = ESYS_TR_NONE;
    tpm->endorsement_key = (struct root_key){
        .handle = MOORING_TPM_ENDORSEMENT_KEY_HANDLE, .hierarchy = ESYS_TR_RH_ENDORSEMENT, .object = ESYS_TR_NONE
    };
    tpm->storage_root_key = (struct root_key){
        .handle = MOORING_TPM_STORAGE_ROOT_KEY_HANDLE, .hierarchy = ESYS_TR_RH_OWNER, .object = ESYS_TR_NONE
    };
    return tpm;
}

/* Nobody waits for more than a moment to say good-bye. */
static void disconnect(mooring_tpm *tpm)
{
    mooring_courier_cancel(tpm->courier, true);
    if (tpm->esys != NULL) {
        mooring_flush(tpm, &tpm->session);
        cleanse_auth(tpm->esys, ESYS_TR_RH_OWNER);
        cleanse_auth(tpm->esys, ESYS_TR_RH_ENDORSEMENT);
        Esys_Finalize(&tpm->esys);
    }
    mooring_courier_close(tpm->courier);
}

TSS2_RC mooring_tpm_open(mooring_tpm *tpm, const char *tcti, const uint8_t *owner_auth, uint32_t owner_auth_size,
                         const uint8_t *endorsement_auth, uint32_t endorsement_auth_size)
{
    TSS2_TCTI_CONTEXT *courier = NULL;
    TSS2_RC rc;

    if (tpm == NULL || tpm->esys != NULL || tcti == NULL)
        return MOORING_TPM_RC_ARGUMENT;
    rc = mooring_courier_open(tpm->courier, tcti, &courier);
    if (rc == TSS2_RC_SUCCESS)
        rc = Esys_Initialize(&tpm->esys, courier, NULL);
    if (rc == TSS2_RC_SUCCESS)
        rc = set_auth(tpm->esys, ESYS_TR_RH_OWNER, owner_auth, owner_auth_size);
    if (rc == TSS2_RC_SUCCESS)
        rc = set_auth(tpm->esys, ESYS_TR_RH_ENDORSEMENT, endorsement_auth, endorsement_auth_size);
    if (rc != TSS2_RC_SUCCESS)
        disconnect(tpm);
    return rc;
}

void mooring_tpm_close(mooring_tpm *tpm)
{
    if (tpm == NULL)
        return;
    disconnect(tpm);
    mooring_courier_free(tpm->courier);
    explicit_bzero(tpm, sizeof(*tpm));
    free(tpm);
}

void mooring_tpm_set_root_keys(mooring_tpm *tpm, uint32_t endorsement_key, uint32_t storage_root_key)
{
    tpm->endorsement_key.handle = endorsement_key;
    tpm->storage_root_key.handle = storage_root_key;
}

void mooring_tpm_set_timeout(mooring_tpm *tpm, uint32_t timeout_ms)
{
    mooring_courier_set_timeout(tpm->courier, timeout_ms);
}

void mooring_tpm_cancel(mooring_tpm *tpm)
{
    mooring_courier_cancel(tpm->courier, true);
}

void mooring_tpm_resume(mooring_tpm *tpm)
{
    mooring_courier_cancel(tpm->courier, false);
}

void mooring_tpm_last_command(mooring_tpm *tpm, uint32_t *command, uint32_t *limit_ms)
{
    mooring_courier_last(tpm->courier, command, limit_ms);
}

TSS2_RC mooring_begin(const mooring_tpm *tpm)
{
    return tpm != NULL && tpm->esys != NULL ? mooring_courier_begin(tpm->courier) : MOORING_TPM_RC_ARGUMENT;
}

static bool is_of_tss_or_timeout(TSS2_RC rc)
{
    switch (rc & TSS2_RC_LAYER_MASK) {
    case TSS2_ESAPI_RC_LAYER:
    case TSS2_SYS_RC_LAYER:
    case TSS2_MU_RC_LAYER:
    case TSS2_TCTI_RC_LAYER:
        return true;
    default:
        return rc == MOORING_TPM_RC_TIMEOUT;
    }
}

/* After an answer that did not come, or was none, ESYS finds everything out of sequence. The reason is what happened
 * then, and not that; though it may have happened to a clean-up, whose failure nobody heard of. */
static TSS2_RC reason(mooring_tpm *tpm, TSS2_RC rc)
{
    if (rc == TSS2_ESYS_RC_BAD_SEQUENCE)
        return tpm->failure != TSS2_RC_SUCCESS ? tpm->failure : rc;
    if (is_of_tss_or_timeout(rc))
        tpm->failure = rc;
    return rc;
}

/* A session that was part of a failure may be the cause of it (a TPM reset loses sessions): the next call starts anew. */
TSS2_RC mooring_end(mooring_tpm *tpm, TSS2_RC rc)
{
    if (rc == TSS2_RC_SUCCESS || tpm == NULL || tpm->esys == NULL)
        return rc;
    rc = reason(tpm, rc);
    mooring_flush(tpm, &tpm->session);
    return rc;
}

/* Gives up a transient object or session, whatever the TPM says to it. */
void mooring_flush(mooring_tpm *tpm, ESYS_TR *object)
{
    TSS2_RC rc;

    if (*object == ESYS_TR_NONE)
        return;
    rc = Esys_FlushContext(tpm->esys, *object);
    if (rc != TSS2_RC_SUCCESS) {
        (void)reason(tpm, rc);
        (void)Esys_TR_Close(tpm->esys, object);
    }
    *object = ESYS_TR_NONE;
}
