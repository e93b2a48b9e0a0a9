/* Keys that stay: made persistent at a free handle, removed only when they are the key that was named. */
#include "internal.h"

static TSS2_RC evict_control(mooring_tpm *tpm, ESYS_TR object, TPM2_HANDLE handle, ESYS_TR *persistent)
{
    ESYS_TR session = ESYS_TR_NONE;
    TSS2_RC rc = mooring_session(tpm, MOORING_ENCRYPT_NOTHING, &session);

    *persistent = ESYS_TR_NONE;
    if (rc == TSS2_RC_SUCCESS)
        rc = Esys_EvictControl(tpm->esys, ESYS_TR_RH_OWNER, object, session, ESYS_TR_NONE, ESYS_TR_NONE, handle,
                               persistent);
    if (rc != TSS2_RC_SUCCESS)
        *persistent = ESYS_TR_NONE;
    return rc;
}

static bool is_root_key_handle(const mooring_tpm *tpm, TPM2_HANDLE handle)
{
    return handle == tpm->endorsement_key.handle || handle == tpm->storage_root_key.handle;
}

TSS2_RC mooring_tpm_persist(mooring_tpm *tpm, const uint8_t *wrapped_key, uint32_t wrapped_size, uint32_t handle)
{
    ESYS_TR key = ESYS_TR_NONE;
    ESYS_TR persistent = ESYS_TR_NONE;
    TSS2_RC rc = mooring_begin(tpm);

    if (rc != TSS2_RC_SUCCESS)
        return rc;
    if (is_root_key_handle(tpm, handle))
        return MOORING_TPM_RC_ARGUMENT;
    rc = mooring_load(tpm, wrapped_key, wrapped_size, &key);
    if (rc == TSS2_RC_SUCCESS)
        rc = evict_control(tpm, key, handle, &persistent);
    mooring_object_forget(tpm, &persistent);
    mooring_flush(tpm, &key);
    return mooring_end(tpm, rc);
}

/* The session's HMAC covers the object's Name: had it changed since it was read, the TPM would refuse. */
TSS2_RC mooring_tpm_evict(mooring_tpm *tpm, uint32_t handle, const uint8_t name[MOORING_TPM_NAME_SIZE])
{
    ESYS_TR object = ESYS_TR_NONE;
    ESYS_TR gone = ESYS_TR_NONE;
    bool named = false;
    TSS2_RC rc = mooring_begin(tpm);

    if (rc != TSS2_RC_SUCCESS)
        return rc;
    if (name == NULL || is_root_key_handle(tpm, handle))
        return MOORING_TPM_RC_ARGUMENT;
    rc = mooring_object_find(tpm, handle, &object);
    if (rc == TSS2_RC_SUCCESS)
        rc = mooring_object_has_name(tpm, object, name, MOORING_TPM_NAME_SIZE, &named);
    if (rc == TSS2_RC_SUCCESS && !named)
        rc = MOORING_TPM_RC_OTHER_OBJECT;
    if (rc == TSS2_RC_SUCCESS)
        rc = evict_control(tpm, object, handle, &gone);
    /* ESYS may keep what it evicted, and then refuses the next object at the handle: it has another Name. */
    mooring_object_forget(tpm, &object);
    return mooring_end(tpm, rc);
}
