/* The marker: which key at a handle is ours, remembered by the TPM itself for the day the disk forgets it. */
#include "internal.h"

static const TPMA_NV marker_attributes = TPMA_NV_OWNERWRITE | TPMA_NV_OWNERREAD | TPMA_NV_AUTHREAD | TPMA_NV_NO_DA |
                                         ((TPMA_NV)TPM2_NT_ORDINARY << TPMA_NV_TPM2_NT_SHIFT);

static TSS2_RC find_marker(mooring_tpm *tpm, TPM2_HANDLE index, ESYS_TR *nv, TPMS_NV_PUBLIC *public_area)
{
    TSS2_RC rc = mooring_nv_find(tpm, index, nv, public_area);

    if (rc != TSS2_RC_SUCCESS)
        return rc;
    if (public_area->dataSize == MOORING_TPM_NAME_SIZE && public_area->authPolicy.size == 0 &&
        (public_area->attributes & ~TPMA_NV_WRITTEN) == marker_attributes)
        return TSS2_RC_SUCCESS;
    mooring_object_forget(tpm, nv);
    return MOORING_TPM_RC_OTHER_INDEX;
}

TSS2_RC mooring_tpm_read_marker(mooring_tpm *tpm, uint32_t index, uint8_t name[MOORING_TPM_NAME_SIZE])
{
    ESYS_TR nv = ESYS_TR_NONE;
    TPMS_NV_PUBLIC public_area = { 0 };
    uint32_t size = MOORING_TPM_NAME_SIZE;
    TSS2_RC rc = mooring_begin(tpm);

    if (rc != TSS2_RC_SUCCESS)
        return rc;
    rc = find_marker(tpm, index, &nv, &public_area);
    if (rc == TSS2_RC_SUCCESS && (public_area.attributes & TPMA_NV_WRITTEN) == 0)
        rc = MOORING_TPM_RC_ABSENT;
    if (rc == TSS2_RC_SUCCESS)
        rc = mooring_nv_read(tpm, nv, &public_area, name, &size);
    mooring_object_forget(tpm, &nv);
    return mooring_end(tpm, rc);
}

static TSS2_RC define_marker(mooring_tpm *tpm, TPM2_HANDLE index, ESYS_TR *nv)
{
    const TPM2B_AUTH no_auth = { 0 };
    const TPM2B_NV_PUBLIC public_area = { .nvPublic = { .nvIndex = index,
                                                        .nameAlg = TPM2_ALG_SHA256,
                                                        .attributes = marker_attributes,
                                                        .dataSize = MOORING_TPM_NAME_SIZE } };
    ESYS_TR session = ESYS_TR_NONE;
    TSS2_RC rc = mooring_session(tpm, MOORING_ENCRYPT_COMMAND, &session);

    if (rc == TSS2_RC_SUCCESS)
        rc = Esys_NV_DefineSpace(tpm->esys, ESYS_TR_RH_OWNER, session, ESYS_TR_NONE, ESYS_TR_NONE, &no_auth,
                                 &public_area, nv);
    if (rc != TSS2_RC_SUCCESS)
        *nv = ESYS_TR_NONE;
    return rc;
}

TSS2_RC mooring_tpm_write_marker(mooring_tpm *tpm, uint32_t index, const uint8_t name[MOORING_TPM_NAME_SIZE])
{
    TPM2B_MAX_NV_BUFFER content = { .size = MOORING_TPM_NAME_SIZE };
    TPMS_NV_PUBLIC public_area = { 0 };
    ESYS_TR nv = ESYS_TR_NONE;
    ESYS_TR session = ESYS_TR_NONE;
    TSS2_RC rc = mooring_begin(tpm);

    if (rc != TSS2_RC_SUCCESS)
        return rc;
    if (name == NULL)
        return MOORING_TPM_RC_ARGUMENT;
    memcpy(content.buffer, name, MOORING_TPM_NAME_SIZE);
    rc = find_marker(tpm, index, &nv, &public_area);
    if (rc == MOORING_TPM_RC_ABSENT)
        rc = define_marker(tpm, index, &nv);
    if (rc == TSS2_RC_SUCCESS)
        rc = mooring_session(tpm, MOORING_ENCRYPT_COMMAND, &session);
    if (rc == TSS2_RC_SUCCESS)
        rc = Esys_NV_Write(tpm->esys, ESYS_TR_RH_OWNER, nv, session, ESYS_TR_NONE, ESYS_TR_NONE, &content, 0);
    mooring_object_forget(tpm, &nv);
    return mooring_end(tpm, rc);
}

TSS2_RC mooring_tpm_remove_marker(mooring_tpm *tpm, uint32_t index)
{
    TPMS_NV_PUBLIC public_area = { 0 };
    ESYS_TR nv = ESYS_TR_NONE;
    ESYS_TR session = ESYS_TR_NONE;
    TSS2_RC rc = mooring_begin(tpm);

    if (rc != TSS2_RC_SUCCESS)
        return rc;
    rc = find_marker(tpm, index, &nv, &public_area);
    if (rc == TSS2_RC_SUCCESS)
        rc = mooring_session(tpm, MOORING_ENCRYPT_NOTHING, &session);
    if (rc == TSS2_RC_SUCCESS)
        rc = Esys_NV_UndefineSpace(tpm->esys, ESYS_TR_RH_OWNER, nv, session, ESYS_TR_NONE, ESYS_TR_NONE);
    if (rc != TSS2_RC_SUCCESS)
        mooring_object_forget(tpm, &nv); /* ESYS itself forgets what it undefined */
    return mooring_end(tpm, rc);
}
