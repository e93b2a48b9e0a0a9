/* Reading NV indices, in pieces as large as the TPM allows. */
#include "internal.h"

TSS2_RC mooring_nv_find(mooring_tpm *tpm, TPM2_HANDLE index, ESYS_TR *nv, TPMS_NV_PUBLIC *public_area)
{
    TPM2B_NV_PUBLIC *read = NULL;
    TSS2_RC rc = mooring_object_find(tpm, index, nv);

    if (rc != TSS2_RC_SUCCESS)
        return rc;
    rc = Esys_NV_ReadPublic(tpm->esys, *nv, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &read, NULL);
    if (rc == TSS2_RC_SUCCESS)
        *public_area = read->nvPublic;
    else
        mooring_object_forget(tpm, nv);
    Esys_Free(read);
    return rc;
}

static TSS2_RC largest_read(mooring_tpm *tpm, UINT16 *size)
{
    TPMS_CAPABILITY_DATA *capability = NULL;
    TPMI_YES_NO more;
    TSS2_RC rc = mooring_list(tpm, TPM2_CAP_TPM_PROPERTIES, TPM2_PT_NV_BUFFER_MAX, 1, &more, &capability);

    if (rc != TSS2_RC_SUCCESS)
        return rc;
    *size = 512; /* what every TPM can do */
    if (capability->data.tpmProperties.count == 1 &&
        capability->data.tpmProperties.tpmProperty[0].property == TPM2_PT_NV_BUFFER_MAX &&
        capability->data.tpmProperties.tpmProperty[0].value > 0 &&
        capability->data.tpmProperties.tpmProperty[0].value <= TPM2_MAX_NV_BUFFER_SIZE)
        *size = (UINT16)capability->data.tpmProperties.tpmProperty[0].value;
    Esys_Free(capability);
    return rc;
}

TSS2_RC mooring_nv_read(mooring_tpm *tpm, ESYS_TR nv, const TPMS_NV_PUBLIC *public_area, uint8_t *bytes,
                        uint32_t *size)
{
    const ESYS_TR reader = (public_area->attributes & TPMA_NV_AUTHREAD) != 0 ? nv : ESYS_TR_RH_OWNER;
    UINT16 offset = 0;
    UINT16 largest = 0;
    ESYS_TR session = ESYS_TR_NONE;
    TSS2_RC rc;

    if (bytes == NULL || size == NULL)
        return MOORING_TPM_RC_ARGUMENT;
    if (public_area->dataSize > *size)
        return MOORING_TPM_RC_BUFFER;
    rc = largest_read(tpm, &largest);
    if (rc == TSS2_RC_SUCCESS)
        rc = mooring_session(tpm, MOORING_ENCRYPT_RESPONSE, &session);
    while (rc == TSS2_RC_SUCCESS && offset < public_area->dataSize) {
        const UINT16 left = (UINT16)(public_area->dataSize - offset);
        const UINT16 wanted = left < largest ? left : largest;
        TPM2B_MAX_NV_BUFFER *piece = NULL;

        rc = Esys_NV_Read(tpm->esys, reader, nv, session, ESYS_TR_NONE, ESYS_TR_NONE, wanted, offset, &piece);
        if (rc == TSS2_RC_SUCCESS && piece->size != wanted)
            rc = TSS2_ESYS_RC_MALFORMED_RESPONSE;
        if (rc == TSS2_RC_SUCCESS) {
            memcpy(bytes + offset, piece->buffer, wanted);
            offset = (UINT16)(offset + wanted);
        }
        Esys_Free(piece);
    }
    if (rc == TSS2_RC_SUCCESS)
        *size = offset;
    return rc;
}

TSS2_RC mooring_tpm_endorsement_certificate(mooring_tpm *tpm, uint8_t *content, uint32_t *size)
{
    ESYS_TR nv = ESYS_TR_NONE;
    TPMS_NV_PUBLIC public_area = { 0 };
    TSS2_RC rc = mooring_begin(tpm);

    if (rc != TSS2_RC_SUCCESS)
        return rc;
    rc = mooring_nv_find(tpm, MOORING_TPM_ENDORSEMENT_CERTIFICATE_INDEX, &nv, &public_area);
    if (rc == TSS2_RC_SUCCESS && (public_area.attributes & TPMA_NV_WRITTEN) == 0)
        rc = MOORING_TPM_RC_ABSENT;
    if (rc == TSS2_RC_SUCCESS)
        rc = mooring_nv_read(tpm, nv, &public_area, content, size);
    mooring_object_forget(tpm, &nv);
    return mooring_end(tpm, rc);
}
