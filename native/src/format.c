/* Bytes in, structures out, and back: every length is checked against what is there before anything is copied. */
#include <tss2/tss2_mu.h>

#include "internal.h"

struct reader {
    const uint8_t *bytes;
    size_t left;
};

/* One TPM2B: a big-endian length and as many bytes, of which a view is returned. */
static bool take_2b(struct reader *reader, const uint8_t **content, size_t *size)
{
    size_t length;

    if (reader->left < 2)
        return false;
    length = ((size_t)reader->bytes[0] << 8) | reader->bytes[1];
    if (length > reader->left - 2)
        return false;
    *content = reader->bytes + 2;
    *size = length;
    reader->bytes += 2 + length;
    reader->left -= 2 + length;
    return true;
}

static bool take_buffer(struct reader *reader, BYTE *buffer, size_t capacity, UINT16 *size)
{
    const uint8_t *content;
    size_t length;

    if (!take_2b(reader, &content, &length) || length > capacity)
        return false;
    memcpy(buffer, content, length);
    *size = (UINT16)length;
    return true;
}

/* A key that this library works with: an HMAC-SHA-256 key used by authorization value. */
static bool is_hmac_key(const TPMT_PUBLIC *public_area)
{
    const TPMA_OBJECT needed = TPMA_OBJECT_SIGN_ENCRYPT | TPMA_OBJECT_USERWITHAUTH;
    const TPMT_KEYEDHASH_SCHEME *scheme = &public_area->parameters.keyedHashDetail.scheme;

    return public_area->type == TPM2_ALG_KEYEDHASH && public_area->nameAlg == TPM2_ALG_SHA256 &&
           (public_area->objectAttributes & needed) == needed &&
           (public_area->objectAttributes & (TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT)) == 0 &&
           scheme->scheme == TPM2_ALG_HMAC && scheme->details.hmac.hashAlg == TPM2_ALG_SHA256;
}

static bool take_hmac_public(struct reader *reader, TPM2B_PUBLIC *public_area)
{
    const uint8_t *content;
    size_t length;
    size_t offset = 0;

    memset(public_area, 0, sizeof(*public_area));
    return take_2b(reader, &content, &length) &&
           Tss2_MU_TPMT_PUBLIC_Unmarshal(content, length, &offset, &public_area->publicArea) == TSS2_RC_SUCCESS &&
           offset == length && is_hmac_key(&public_area->publicArea);
}

TSS2_RC mooring_parse_authentication_key(const uint8_t *bytes, size_t size, struct authentication_key *key)
{
    struct reader reader = { bytes, size };
    const uint8_t *uri;
    size_t uri_size;
    bool whole;

    if (bytes == NULL || size > MOORING_TPM_AUTHENTICATION_KEY_MAX)
        return MOORING_TPM_RC_BAD_KEY;
    memset(key, 0, sizeof(*key));
    whole = take_buffer(&reader, key->credential.credential, sizeof(key->credential.credential),
                        &key->credential.size) &&
            take_buffer(&reader, key->credential_seed.secret, sizeof(key->credential_seed.secret),
                        &key->credential_seed.size) &&
            take_buffer(&reader, key->duplicate.buffer, sizeof(key->duplicate.buffer), &key->duplicate.size) &&
            take_buffer(&reader, key->duplicate_seed.secret, sizeof(key->duplicate_seed.secret),
                        &key->duplicate_seed.size) &&
            take_hmac_public(&reader, &key->public_area) && take_2b(&reader, &uri, &uri_size);
    return whole ? TSS2_RC_SUCCESS : MOORING_TPM_RC_BAD_KEY;
}

TSS2_RC mooring_parse_wrapped_key(const uint8_t *bytes, size_t size, struct wrapped_key *key)
{
    struct reader reader = { bytes, size };

    if (bytes == NULL)
        return MOORING_TPM_RC_BAD_KEY;
    memset(key, 0, sizeof(*key));
    if (!take_hmac_public(&reader, &key->public_area) ||
        !take_buffer(&reader, key->private_area.buffer, sizeof(key->private_area.buffer), &key->private_area.size) ||
        reader.left != 0)
        return MOORING_TPM_RC_BAD_KEY;
    return TSS2_RC_SUCCESS;
}

TSS2_RC mooring_write_wrapped_key(const TPM2B_PUBLIC *public_area, const TPM2B_PRIVATE *private_area, uint8_t *bytes,
                                  uint32_t *size)
{
    size_t offset = 0;
    TSS2_RC rc;

    if (bytes == NULL || size == NULL)
        return MOORING_TPM_RC_ARGUMENT;
    rc = Tss2_MU_TPM2B_PUBLIC_Marshal(public_area, bytes, *size, &offset);
    if (rc == TSS2_RC_SUCCESS)
        rc = Tss2_MU_TPM2B_PRIVATE_Marshal(private_area, bytes, *size, &offset);
    if (rc == TSS2_MU_RC_INSUFFICIENT_BUFFER)
        return MOORING_TPM_RC_BUFFER;
    *size = (uint32_t)offset;
    return rc;
}

TSS2_RC mooring_write_public(const TPM2B_PUBLIC *public_area, uint8_t *bytes, uint32_t *size)
{
    size_t offset = 0;
    TSS2_RC rc;

    if (bytes == NULL || size == NULL)
        return MOORING_TPM_RC_ARGUMENT;
    rc = Tss2_MU_TPM2B_PUBLIC_Marshal(public_area, bytes, *size, &offset);
    if (rc == TSS2_MU_RC_INSUFFICIENT_BUFFER)
        return MOORING_TPM_RC_BUFFER;
    *size = (uint32_t)offset;
    return rc;
}
