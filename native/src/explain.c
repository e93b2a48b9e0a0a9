/* Response codes in words. */
#include <stdio.h>
#include <tss2/tss2_rc.h>

#include "internal.h"

static const char *explain_own(TSS2_RC rc)
{
    switch (rc) {
    case MOORING_TPM_RC_ABSENT:
        return "nothing is at the handle";
    case MOORING_TPM_RC_NOT_A_ROOT_KEY:
        return "the object at the handle is not an RSA-2048 key of the expected template";
    case MOORING_TPM_RC_INCONSISTENT:
        return "the TPM's answers contradict one another: something may sit between it and us";
    case MOORING_TPM_RC_BAD_KEY:
        return "the key is malformed, or not an HMAC-SHA-256 key";
    case MOORING_TPM_RC_OTHER_OBJECT:
        return "another object is at the handle";
    case MOORING_TPM_RC_OTHER_INDEX:
        return "the NV index is used for something else";
    case MOORING_TPM_RC_BUFFER:
        return "the buffer is too small";
    case MOORING_TPM_RC_MEMORY:
        return "out of memory";
    case MOORING_TPM_RC_TIMEOUT:
        return "the TPM did not answer in time";
    default:
        return "bad argument";
    }
}

void mooring_tpm_explain(TSS2_RC rc, char *text, uint32_t capacity)
{
    const bool own = (rc & TSS2_RC_LAYER_MASK) == MOORING_TPM_RC_LAYER;

    if (text != NULL && capacity > 0)
        (void)snprintf(text, capacity, "%s", own ? explain_own(rc) : Tss2_RC_Decode(rc));
}
