/* The EK and SRK: used as they are found when they are what they should be, created on request when missing. */
#include "internal.h"

static void template_of(const mooring_tpm *tpm, const struct root_key *key, TPM2B_PUBLIC *public_area)
{
    if (key == &tpm->endorsement_key)
        mooring_template_endorsement_key(public_area);
    else
        mooring_template_storage_root_key(public_area);
}

TSS2_RC mooring_root_key_find(mooring_tpm *tpm, struct root_key *key)
{
    ESYS_TR object = ESYS_TR_NONE;
    TPM2B_PUBLIC public_area = { 0 };
    TPM2B_PUBLIC expected;
    TSS2_RC rc;

    if (key->object != ESYS_TR_NONE)
        return TSS2_RC_SUCCESS;
    template_of(tpm, key, &expected);
    rc = mooring_object_find(tpm, key->handle, &object);
    if (rc == TSS2_RC_SUCCESS)
        rc = mooring_object_read(tpm, object, &public_area);
    if (rc == TSS2_RC_SUCCESS && !mooring_template_matches(&public_area, &expected))
        rc = MOORING_TPM_RC_NOT_A_ROOT_KEY;
    if (rc != TSS2_RC_SUCCESS) {
        mooring_object_forget(tpm, &object);
        return rc;
    }
    key->object = object;
    key->public_area = public_area;
    return TSS2_RC_SUCCESS;
}

static TSS2_RC read_root_key(mooring_tpm *tpm, struct root_key *key, uint8_t *public_bytes, uint32_t *public_size)
{
    TSS2_RC rc = mooring_root_key_find(tpm, key);

    if (rc == TSS2_RC_SUCCESS)
        rc = mooring_write_public(&key->public_area, public_bytes, public_size);
    return mooring_end(tpm, rc);
}

static TSS2_RC create_primary(mooring_tpm *tpm, const struct root_key *key, uint32_t unique_form, ESYS_TR *object)
{
    const TPM2B_SENSITIVE_CREATE no_sensitive = { 0 };
    const TPM2B_DATA no_outside_info = { 0 };
    const TPML_PCR_SELECTION no_pcr = { 0 };
    TPM2B_PUBLIC public_area;
    ESYS_TR session = ESYS_TR_NONE;
    TSS2_RC rc;

    template_of(tpm, key, &public_area);
    if (unique_form == MOORING_TPM_UNIQUE_ZEROS)
        public_area.publicArea.unique.rsa.size = 256;
    rc = mooring_session(tpm, MOORING_ENCRYPT_BOTH, &session);
    if (rc != TSS2_RC_SUCCESS)
        return rc;
    return Esys_CreatePrimary(tpm->esys, key->hierarchy, session, ESYS_TR_NONE, ESYS_TR_NONE, &no_sensitive,
                              &public_area, &no_outside_info, &no_pcr, object, NULL, NULL, NULL, NULL);
}

static TSS2_RC create_root_key(mooring_tpm *tpm, struct root_key *key, uint32_t unique_form)
{
    ESYS_TR created = ESYS_TR_NONE;
    ESYS_TR persistent = ESYS_TR_NONE;
    ESYS_TR session = ESYS_TR_NONE;
    TSS2_RC rc;

    if (unique_form > MOORING_TPM_UNIQUE_EMPTY)
        return MOORING_TPM_RC_ARGUMENT;
    rc = create_primary(tpm, key, unique_form, &created);
    if (rc == TSS2_RC_SUCCESS)
        rc = mooring_session(tpm, MOORING_ENCRYPT_NOTHING, &session);
    if (rc == TSS2_RC_SUCCESS)
        rc = Esys_EvictControl(tpm->esys, ESYS_TR_RH_OWNER, created, session, ESYS_TR_NONE, ESYS_TR_NONE, key->handle,
                               &persistent);
    if (rc == TSS2_RC_SUCCESS)
        mooring_object_forget(tpm, &persistent);
    mooring_flush(tpm, &created);
    return mooring_end(tpm, rc);
}

TSS2_RC mooring_tpm_endorsement_key(mooring_tpm *tpm, uint8_t *public_bytes, uint32_t *public_size)
{
    TSS2_RC rc = mooring_begin(tpm);

    return rc != TSS2_RC_SUCCESS ? rc : read_root_key(tpm, &tpm->endorsement_key, public_bytes, public_size);
}

TSS2_RC mooring_tpm_storage_root_key(mooring_tpm *tpm, uint8_t *public_bytes, uint32_t *public_size)
{
    TSS2_RC rc = mooring_begin(tpm);

    return rc != TSS2_RC_SUCCESS ? rc : read_root_key(tpm, &tpm->storage_root_key, public_bytes, public_size);
}

TSS2_RC mooring_tpm_create_endorsement_key(mooring_tpm *tpm, uint32_t unique_form)
{
    TSS2_RC rc = mooring_begin(tpm);

    return rc != TSS2_RC_SUCCESS ? rc : create_root_key(tpm, &tpm->endorsement_key, unique_form);
}

TSS2_RC mooring_tpm_create_storage_root_key(mooring_tpm *tpm, uint32_t unique_form)
{
    TSS2_RC rc = mooring_begin(tpm);

    return rc != TSS2_RC_SUCCESS ? rc : create_root_key(tpm, &tpm->storage_root_key, unique_form);
}
