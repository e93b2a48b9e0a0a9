/* HMAC-SHA-256 by a key that only the TPM knows: one command for what fits in a command, else a sequence. */
#include "internal.h"

static void fill(TPM2B_MAX_BUFFER *chunk, const uint8_t **data, size_t *left)
{
    const size_t size = *left < sizeof(chunk->buffer) ? *left : sizeof(chunk->buffer);

    chunk->size = (UINT16)size;
    if (size > 0)
        memcpy(chunk->buffer, *data, size);
    *data += size;
    *left -= size;
}

static TSS2_RC hmac_at_once(mooring_tpm *tpm, ESYS_TR key, const uint8_t *data, size_t left, TPM2B_DIGEST **hmac)
{
    TPM2B_MAX_BUFFER chunk;
    ESYS_TR session = ESYS_TR_NONE;
    TSS2_RC rc = mooring_session(tpm, MOORING_ENCRYPT_BOTH, &session);

    if (rc != TSS2_RC_SUCCESS)
        return rc;
    fill(&chunk, &data, &left);
    rc = Esys_HMAC(tpm->esys, key, session, ESYS_TR_NONE, ESYS_TR_NONE, &chunk, TPM2_ALG_SHA256, hmac);
    explicit_bzero(&chunk, sizeof(chunk));
    return rc;
}

static TSS2_RC hmac_in_sequence(mooring_tpm *tpm, ESYS_TR key, const uint8_t *data, size_t left, TPM2B_DIGEST **hmac)
{
    const TPM2B_AUTH no_auth = { 0 };
    TPM2B_MAX_BUFFER chunk;
    ESYS_TR sequence = ESYS_TR_NONE;
    ESYS_TR session = ESYS_TR_NONE;
    TSS2_RC rc;

    rc = mooring_session(tpm, MOORING_ENCRYPT_COMMAND, &session);
    if (rc == TSS2_RC_SUCCESS)
        rc = Esys_HMAC_Start(tpm->esys, key, session, ESYS_TR_NONE, ESYS_TR_NONE, &no_auth, TPM2_ALG_SHA256, &sequence);
    while (rc == TSS2_RC_SUCCESS && left > sizeof(chunk.buffer)) {
        fill(&chunk, &data, &left);
        rc = Esys_SequenceUpdate(tpm->esys, sequence, session, ESYS_TR_NONE, ESYS_TR_NONE, &chunk);
    }
    if (rc == TSS2_RC_SUCCESS)
        rc = mooring_session(tpm, MOORING_ENCRYPT_BOTH, &session);
    if (rc == TSS2_RC_SUCCESS) {
        fill(&chunk, &data, &left);
        rc = Esys_SequenceComplete(tpm->esys, sequence, session, ESYS_TR_NONE, ESYS_TR_NONE, &chunk, ESYS_TR_RH_NULL,
                                   hmac, NULL);
    }
    if (rc != TSS2_RC_SUCCESS)
        mooring_flush(tpm, &sequence); /* a completed sequence is gone by itself */
    explicit_bzero(&chunk, sizeof(chunk));
    return rc;
}

static TSS2_RC sign(mooring_tpm *tpm, ESYS_TR key, const uint8_t *data, size_t size, uint8_t *hmac)
{
    TPM2B_DIGEST *digest = NULL;
    TSS2_RC rc;

    if (hmac == NULL || (data == NULL && size > 0))
        return MOORING_TPM_RC_ARGUMENT;
    rc = size <= TPM2_MAX_DIGEST_BUFFER ? hmac_at_once(tpm, key, data, size, &digest)
                                        : hmac_in_sequence(tpm, key, data, size, &digest);
    if (rc == TSS2_RC_SUCCESS && digest->size != MOORING_TPM_HMAC_SIZE)
        rc = MOORING_TPM_RC_BAD_KEY;
    if (rc == TSS2_RC_SUCCESS)
        memcpy(hmac, digest->buffer, MOORING_TPM_HMAC_SIZE);
    if (digest != NULL)
        explicit_bzero(digest, sizeof(*digest));
    Esys_Free(digest);
    return rc;
}

TSS2_RC mooring_tpm_sign(mooring_tpm *tpm, const uint8_t *wrapped_key, uint32_t wrapped_size, const uint8_t *data,
                         uint32_t size, uint8_t hmac[MOORING_TPM_HMAC_SIZE])
{
    ESYS_TR key = ESYS_TR_NONE;
    TSS2_RC rc = mooring_begin(tpm);

    if (rc != TSS2_RC_SUCCESS)
        return rc;
    rc = mooring_load(tpm, wrapped_key, wrapped_size, &key);
    if (rc == TSS2_RC_SUCCESS)
        rc = sign(tpm, key, data, size, hmac);
    mooring_flush(tpm, &key);
    return mooring_end(tpm, rc);
}

TSS2_RC mooring_tpm_sign_with_handle(mooring_tpm *tpm, uint32_t handle, const uint8_t *data, uint32_t size,
                                     uint8_t hmac[MOORING_TPM_HMAC_SIZE])
{
    ESYS_TR key = ESYS_TR_NONE;
    TSS2_RC rc = mooring_begin(tpm);

    if (rc != TSS2_RC_SUCCESS)
        return rc;
    rc = mooring_object_find(tpm, handle, &key);
    if (rc == TSS2_RC_SUCCESS)
        rc = sign(tpm, key, data, size, hmac);
    mooring_object_forget(tpm, &key);
    return mooring_end(tpm, rc);
}
