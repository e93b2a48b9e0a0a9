/* The salted session under which every authorized command runs. Its salt is encrypted to a key that was verified, so
 * an eavesdropper learns neither authorization values nor parameters, and an answer that was tampered with is refused.
 * TPM 2.0 Library, Part 1, "Session-Based Authorizations", "Session-based encryption". */
#include "internal.h"

static const TPMT_SYM_DEF cipher = { .algorithm = TPM2_ALG_AES, .keyBits = { .aes = 128 }, .mode = { .aes = TPM2_ALG_CFB } };

/* On a TPM that has no SRK and no EK yet, a key of the NULL hierarchy serves: it needs no authorization and is gone
 * with the next reset. P-256, because every TPM makes it in a moment. */
static TSS2_RC create_salt_key(mooring_tpm *tpm, ESYS_TR *key)
{
    const TPM2B_SENSITIVE_CREATE no_sensitive = { 0 };
    const TPM2B_DATA no_outside_info = { 0 };
    const TPML_PCR_SELECTION no_pcr = { 0 };
    const TPM2B_PUBLIC public_area = {
        .publicArea = {
            .type = TPM2_ALG_ECC,
            .nameAlg = TPM2_ALG_SHA256,
            .objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN |
                                TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA | TPMA_OBJECT_RESTRICTED |
                                TPMA_OBJECT_DECRYPT,
            .parameters.eccDetail = {
                .symmetric = { .algorithm = TPM2_ALG_AES, .keyBits = { .aes = 128 }, .mode = { .aes = TPM2_ALG_CFB } },
                .scheme = { .scheme = TPM2_ALG_NULL },
                .curveID = TPM2_ECC_NIST_P256,
                .kdf = { .scheme = TPM2_ALG_NULL },
            },
        },
    };

    return Esys_CreatePrimary(tpm->esys, ESYS_TR_RH_NULL, ESYS_TR_PASSWORD, ESYS_TR_NONE, ESYS_TR_NONE, &no_sensitive,
                              &public_area, &no_outside_info, &no_pcr, key, NULL, NULL, NULL, NULL);
}

static TSS2_RC find_salt_key(mooring_tpm *tpm, ESYS_TR *key)
{
    TSS2_RC rc = mooring_root_key_find(tpm, &tpm->storage_root_key);

    if (rc == TSS2_RC_SUCCESS) {
        *key = tpm->storage_root_key.object;
        return rc;
    }
    if (rc != MOORING_TPM_RC_ABSENT)
        return rc;
    rc = mooring_root_key_find(tpm, &tpm->endorsement_key);
    if (rc == TSS2_RC_SUCCESS)
        *key = tpm->endorsement_key.object;
    return rc;
}

static TSS2_RC start_session(mooring_tpm *tpm)
{
    ESYS_TR salt_key = ESYS_TR_NONE;
    ESYS_TR created = ESYS_TR_NONE;
    TSS2_RC rc = find_salt_key(tpm, &salt_key);

    if (rc == MOORING_TPM_RC_ABSENT) {
        rc = create_salt_key(tpm, &created);
        salt_key = created;
    }
    if (rc == TSS2_RC_SUCCESS)
        rc = Esys_StartAuthSession(tpm->esys, salt_key, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, NULL,
                                   TPM2_SE_HMAC, &cipher, TPM2_ALG_SHA256, &tpm->session);
    if (rc != TSS2_RC_SUCCESS)
        tpm->session = ESYS_TR_NONE;
    mooring_flush(tpm, &created);
    return rc;
}

TSS2_RC mooring_session(mooring_tpm *tpm, TPMA_SESSION encryption, ESYS_TR *session)
{
    TSS2_RC rc = tpm->session == ESYS_TR_NONE ? start_session(tpm) : TSS2_RC_SUCCESS;

    if (rc == TSS2_RC_SUCCESS)
        rc = Esys_TRSess_SetAttributes(tpm->esys, tpm->session,
                                       (TPMA_SESSION)(TPMA_SESSION_CONTINUESESSION | encryption), 0xFF);
    *session = tpm->session;
    return rc;
}
