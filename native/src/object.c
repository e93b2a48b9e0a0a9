/* What is at a handle: found, read, compared by Name, and forgotten again. */
#include <openssl/evp.h>
#include <tss2/tss2_mu.h>

#include "internal.h"

TSS2_RC mooring_object_find(mooring_tpm *tpm, TPM2_HANDLE handle, ESYS_TR *object)
{
    TSS2_RC rc = Esys_TR_FromTPMPublic(tpm->esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, object);

    if (rc != TSS2_RC_SUCCESS)
        *object = ESYS_TR_NONE;
    return mooring_is_absent(rc) ? MOORING_TPM_RC_ABSENT : rc;
}

/* Lets go of our reference; the TPM keeps the object. ESYS gives one reference to all who look for the same handle, so
 * those of the EK and SRK stay. */
void mooring_object_forget(mooring_tpm *tpm, ESYS_TR *object)
{
    const bool kept = *object == tpm->endorsement_key.object || *object == tpm->storage_root_key.object;

    if (*object != ESYS_TR_NONE && !kept)
        (void)Esys_TR_Close(tpm->esys, object);
    *object = ESYS_TR_NONE;
}

static TSS2_RC name_of(const TPM2B_PUBLIC *public_area, uint8_t name[MOORING_TPM_NAME_SIZE])
{
    uint8_t marshalled[sizeof(TPMT_PUBLIC)];
    size_t size = 0;
    TSS2_RC rc = Tss2_MU_TPMT_PUBLIC_Marshal(&public_area->publicArea, marshalled, sizeof(marshalled), &size);

    if (rc != TSS2_RC_SUCCESS)
        return rc;
    name[0] = (uint8_t)(TPM2_ALG_SHA256 >> 8);
    name[1] = (uint8_t)(TPM2_ALG_SHA256 & 0xFF);
    return EVP_Digest(marshalled, size, name + 2, NULL, EVP_sha256(), NULL) == 1 ? TSS2_RC_SUCCESS
                                                                                : MOORING_TPM_RC_MEMORY;
}

/* ESYS salts sessions to, and authorizes with, the public area that it read when the object was found. What is read
 * here and shown to the caller must be that same public area, or somebody between us and the TPM shows two faces. */
TSS2_RC mooring_object_read(mooring_tpm *tpm, ESYS_TR object, TPM2B_PUBLIC *public_area)
{
    TPM2B_PUBLIC *read = NULL;
    uint8_t name[MOORING_TPM_NAME_SIZE];
    bool consistent = false;
    TSS2_RC rc;

    rc = Esys_ReadPublic(tpm->esys, object, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &read, NULL, NULL);
    if (rc != TSS2_RC_SUCCESS)
        return rc;
    *public_area = *read;
    Esys_Free(read);
    if (public_area->publicArea.nameAlg != TPM2_ALG_SHA256)
        return TSS2_RC_SUCCESS; /* never one of ours, and nothing is salted to it */
    rc = name_of(public_area, name);
    if (rc == TSS2_RC_SUCCESS)
        rc = mooring_object_has_name(tpm, object, name, sizeof(name), &consistent);
    if (rc == TSS2_RC_SUCCESS && !consistent)
        rc = MOORING_TPM_RC_INCONSISTENT;
    return rc;
}

TSS2_RC mooring_object_has_name(mooring_tpm *tpm, ESYS_TR object, const uint8_t *name, size_t size, bool *has)
{
    TPM2B_NAME *actual = NULL;
    TSS2_RC rc = Esys_TR_GetName(tpm->esys, object, &actual);

    if (rc == TSS2_RC_SUCCESS)
        *has = actual->size == size && memcmp(actual->name, name, size) == 0;
    Esys_Free(actual);
    return rc;
}

TSS2_RC mooring_tpm_read_public(mooring_tpm *tpm, uint32_t handle, uint8_t *public_bytes, uint32_t *public_size)
{
    ESYS_TR object = ESYS_TR_NONE;
    TPM2B_PUBLIC public_area = { 0 };
    TSS2_RC rc = mooring_begin(tpm);

    if (rc != TSS2_RC_SUCCESS)
        return rc;
    rc = mooring_object_find(tpm, handle, &object);
    if (rc == TSS2_RC_SUCCESS)
        rc = mooring_object_read(tpm, object, &public_area);
    if (rc == TSS2_RC_SUCCESS)
        rc = mooring_write_public(&public_area, public_bytes, public_size);
    mooring_object_forget(tpm, &object);
    return mooring_end(tpm, rc);
}
