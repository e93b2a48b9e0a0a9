/* From the service's authentication key to a key of this TPM. The service encrypted a wrapping key so that only the
 * TPM that holds this EK beside this SRK can read it (ActivateCredential), and the HMAC key under that (Import).
 * TPM 2.0 Library, Part 1, "Credential Protection" and "Protected Storage, Duplication". */
#include "internal.h"

/* The EK's policy: whoever knows the endorsement authorization value may use it. The policy session needs no salt: it
 * carries no secret, the salted session beside it does. */
static TSS2_RC start_endorsement_policy(mooring_tpm *tpm, ESYS_TR *policy)
{
    const TPMT_SYM_DEF no_cipher = { .algorithm = TPM2_ALG_NULL };
    const TPM2B_NONCE nothing = { 0 };
    ESYS_TR session = ESYS_TR_NONE;
    TSS2_RC rc;

    rc = mooring_session(tpm, MOORING_ENCRYPT_NOTHING, &session);
    if (rc != TSS2_RC_SUCCESS)
        return rc;
    rc = Esys_StartAuthSession(tpm->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, NULL,
                               TPM2_SE_POLICY, &no_cipher, TPM2_ALG_SHA256, policy);
    if (rc != TSS2_RC_SUCCESS) {
        *policy = ESYS_TR_NONE;
        return rc;
    }
    return Esys_PolicySecret(tpm->esys, ESYS_TR_RH_ENDORSEMENT, *policy, session, ESYS_TR_NONE, ESYS_TR_NONE, &nothing,
                             &nothing, &nothing, 0, NULL, NULL);
}

static TSS2_RC recover_wrapping_key(mooring_tpm *tpm, const struct authentication_key *key, TPM2B_DATA *wrapping_key)
{
    TPM2B_DIGEST *recovered = NULL;
    ESYS_TR policy = ESYS_TR_NONE;
    ESYS_TR session = ESYS_TR_NONE;
    TSS2_RC rc;

    rc = start_endorsement_policy(tpm, &policy);
    if (rc == TSS2_RC_SUCCESS)
        rc = mooring_session(tpm, MOORING_ENCRYPT_BOTH, &session);
    if (rc == TSS2_RC_SUCCESS)
        rc = Esys_ActivateCredential(tpm->esys, tpm->storage_root_key.object, tpm->endorsement_key.object, session,
                                     policy, ESYS_TR_NONE, &key->credential, &key->credential_seed, &recovered);
    /* AES-128 in practice; the TPM refuses a length that does not fit. */
    if (rc == TSS2_RC_SUCCESS && (recovered->size == 0 || recovered->size > 32))
        rc = MOORING_TPM_RC_BAD_KEY;
    if (rc == TSS2_RC_SUCCESS) {
        wrapping_key->size = recovered->size;
        memcpy(wrapping_key->buffer, recovered->buffer, recovered->size);
    }
    if (recovered != NULL)
        explicit_bzero(recovered, sizeof(*recovered));
    Esys_Free(recovered);
    mooring_flush(tpm, &policy);
    return rc;
}

static TSS2_RC import_key(mooring_tpm *tpm, const struct authentication_key *key, const TPM2B_DATA *wrapping_key,
                          TPM2B_PRIVATE **private_area)
{
    const TPMT_SYM_DEF_OBJECT inner_cipher = { .algorithm = TPM2_ALG_AES,
                                               .keyBits = { .aes = (TPM2_KEY_BITS)(wrapping_key->size * 8) },
                                               .mode = { .aes = TPM2_ALG_CFB } };
    ESYS_TR session = ESYS_TR_NONE;
    TSS2_RC rc = mooring_session(tpm, MOORING_ENCRYPT_BOTH, &session);

    if (rc != TSS2_RC_SUCCESS)
        return rc;
    return Esys_Import(tpm->esys, tpm->storage_root_key.object, session, ESYS_TR_NONE, ESYS_TR_NONE, wrapping_key,
                       &key->public_area, &key->duplicate, &key->duplicate_seed, &inner_cipher, private_area);
}

TSS2_RC mooring_tpm_activate(mooring_tpm *tpm, const uint8_t *authentication_key, uint32_t size, uint8_t *wrapped_key,
                             uint32_t *wrapped_size)
{
    struct authentication_key key;
    TPM2B_DATA wrapping_key = { 0 };
    TPM2B_PRIVATE *private_area = NULL;
    TSS2_RC rc = mooring_begin(tpm);

    if (rc == TSS2_RC_SUCCESS)
        rc = mooring_parse_authentication_key(authentication_key, size, &key);
    if (rc == TSS2_RC_SUCCESS)
        rc = mooring_root_key_find(tpm, &tpm->endorsement_key);
    if (rc == TSS2_RC_SUCCESS)
        rc = mooring_root_key_find(tpm, &tpm->storage_root_key);
    if (rc == TSS2_RC_SUCCESS)
        rc = recover_wrapping_key(tpm, &key, &wrapping_key);
    if (rc == TSS2_RC_SUCCESS)
        rc = import_key(tpm, &key, &wrapping_key, &private_area);
    if (rc == TSS2_RC_SUCCESS)
        rc = mooring_write_wrapped_key(&key.public_area, private_area, wrapped_key, wrapped_size);
    explicit_bzero(&wrapping_key, sizeof(wrapping_key));
    Esys_Free(private_area);
    return mooring_end(tpm, rc);
}
