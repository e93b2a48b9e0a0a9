/* A wrapped key becomes a transient object under the SRK. */
#include "internal.h"

TSS2_RC mooring_load(mooring_tpm *tpm, const uint8_t *wrapped_key, size_t size, ESYS_TR *object)
{
    struct wrapped_key key;
    ESYS_TR session = ESYS_TR_NONE;
    TSS2_RC rc;

    *object = ESYS_TR_NONE;
    rc = mooring_parse_wrapped_key(wrapped_key, size, &key);
    if (rc == TSS2_RC_SUCCESS)
        rc = mooring_root_key_find(tpm, &tpm->storage_root_key);
    if (rc == TSS2_RC_SUCCESS)
        rc = mooring_session(tpm, MOORING_ENCRYPT_BOTH, &session);
    if (rc == TSS2_RC_SUCCESS)
        rc = Esys_Load(tpm->esys, tpm->storage_root_key.object, session, ESYS_TR_NONE, ESYS_TR_NONE, &key.private_area,
                       &key.public_area, object);
    if (rc != TSS2_RC_SUCCESS)
        *object = ESYS_TR_NONE;
    return rc;
}
